"""Every state that a run directory can be in is told of, and none of them raises."""

import fcntl
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from made_runs import make

from gan_cli.comparison.records import find, read
from gan_cli.errors import Refused


def test_a_finished_run_is_read_whole(tmp_path: Path) -> None:
    losses = [{"step": 50, "loss/D": 1.5, "loss/G": 0.5}]
    record = make(tmp_path / "0", (0.5, 0.25), seed=7, typed=("loss=bce",), lines=losses, minutes=2, reason="all done")
    assert (record.state, record.step, record.reason, record.seconds) == ("finished", 100, "all done", 120)
    assert record.config["optim.generator.lr"] == 1e-3
    assert record.typed == {"loss": "bce", "seed": "7"}
    assert record.seed == 7
    assert record.log.mean("loss/D").values == [1.5]
    assert record.log.metric("kl").values == [0.5, 0.25]


def test_a_running_run_that_nobody_holds_was_killed(tmp_path: Path) -> None:
    path = make(tmp_path / "0", state="running").path
    assert read(path).state == "killed"
    with open(path / ".lock", "w") as lock:
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert read(path).state == "running"
    assert read(path).state == "killed"  # the file alone holds nothing


def test_a_job_that_failed_before_it_started_has_its_overrides(tmp_path: Path) -> None:
    (tmp_path / ".hydra").mkdir()
    (tmp_path / ".hydra/overrides.yaml").write_text("- loss=wgan\n- +search.trial=3\n- ~model.x\n- seed=4\n- [1]\n")
    (tmp_path / "status.json").write_text('{"state": "refused", "step": 0, "reason": "no"}')
    record = read(tmp_path)
    assert (record.state, record.config, record.seed, record.seconds) == ("refused", {}, 4, None)
    assert record.typed == {"loss": "wgan", "search.trial": "3", "model.x": "", "seed": "4"}
    assert len(record.log.mean("loss/D")) == 0


def test_what_is_not_there_is_absent(tmp_path: Path) -> None:
    assert read(tmp_path / "nowhere").state == "absent"
    assert read(tmp_path).state == "absent"


DAMAGE: list[tuple[str, bytes]] = [
    (name, content)
    for name in ("status.json", "config.yaml", ".hydra/overrides.yaml", "metrics.jsonl", "summary.json")
    for content in (b"", b"{", b"\xff\xfe\x00", b"[1, 2", b"[" * 100_000, b"null", b"17", b'"text"', b"- 1\n- {a: b}\n")
]


@pytest.mark.parametrize(("name", "content"), DAMAGE)
def test_a_damaged_file_costs_what_it_held_and_no_more(name: str, content: bytes, tmp_path: Path) -> None:
    path = make(tmp_path / "0", (0.5,), minutes=1, typed=("loss=bce",)).path
    (path / name).write_bytes(content)
    record = read(path)
    assert record.state == ("unreadable" if name == "status.json" else "finished")
    assert (record.config == {}) == (name == "config.yaml")
    assert (record.overrides == ()) == (name == ".hydra/overrides.yaml")
    assert (record.log.metrics == {}) == (name == "metrics.jsonl")
    assert (record.seconds is None) == (name == "summary.json")


@pytest.mark.parametrize("name", ["status.json", "config.yaml", "metrics.jsonl", "summary.json"])
def test_a_directory_in_place_of_a_file_is_damage_too(name: str, tmp_path: Path) -> None:
    path = make(tmp_path / "0", (0.5,)).path
    (path / name).unlink(missing_ok=True)
    (path / name).mkdir()
    read(path)


def test_yaml_that_would_grow_without_bounds_is_not_read(tmp_path: Path) -> None:
    path = make(tmp_path / "0").path
    lines = ["a0: &a0 {x: 1}", *(f"a{n}: &a{n} {{x: *a{n - 1}, y: *a{n - 1}}}" for n in range(1, 60))]
    (path / "config.yaml").write_text("\n".join(lines))
    assert read(path).config == {}


@pytest.mark.parametrize("time", [float("nan"), float("inf"), -1, 10**400, "7", None, [1]])
def test_a_time_that_is_none_is_left_out(time: object, tmp_path: Path) -> None:
    path = make(tmp_path / "0").path
    (path / "summary.json").write_text(json.dumps({"wall_s": time}))
    assert read(path).seconds is None


def header(facts: object) -> bytes:
    content = json.dumps({"__metadata__": {"facts": json.dumps(facts)}}).encode()
    return len(content).to_bytes(8, "little") + content


def test_a_run_without_summary_takes_time_and_data_from_its_last_checkpoint(tmp_path: Path) -> None:
    path = make(tmp_path / "0", state="interrupted").path
    (path / "checkpoints").mkdir()
    last = path / "checkpoints/last.safetensors"
    last.write_bytes(header({"wall_s": 90.5, "data_digest": "abc"}))
    assert (read(path).seconds, read(path).data_digest) == (90.5, "abc")
    for damaged in (b"", b"\x08", b"\xff" * 100, header([1]), header({"wall_s": "x", "data_digest": 3})):
        last.write_bytes(damaged)
        assert (read(path).seconds, read(path).data_digest) == (None, None)


def test_runs_are_found_in_natural_order_and_once(tmp_path: Path) -> None:
    for name in ("sweep/10", "sweep/9", "sweep/b2/1", "other"):
        make(tmp_path / name)
    found = find([tmp_path / "other", tmp_path / "sweep", tmp_path, tmp_path / "sweep/9"])
    assert [str(path.relative_to(tmp_path)) for path in found] == ["other", "sweep/9", "sweep/10", "sweep/b2/1"]


def a_file(path: Path) -> None:
    path.write_text("x")


@pytest.mark.parametrize(
    ("create", "words"),
    [(lambda path: None, "no such directory"), (Path.mkdir, "no run lies at or below"), (a_file, "no directory")],
)
def test_a_path_without_runs_is_refused(create: Callable[[Path], None], words: str, tmp_path: Path) -> None:
    make(tmp_path / "run")
    create(tmp_path / "here")
    with pytest.raises(Refused, match=words):
        find([tmp_path / "run", tmp_path / "here"])
