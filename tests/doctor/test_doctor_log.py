"""A log is read whatever state its file is in."""

import json
import math
import random
from pathlib import Path

import pytest

from gan_cli.doctor.diagnosis import examine, report
from gan_cli.doctor.log import Log, parse
from gan_cli.doctor.run_files import findings_of, read
from gan_cli.errors import Refused

LOGS = Path(__file__).parent / "logs"


def lines(*contents: dict[str, object]) -> str:
    return "".join(json.dumps(content) + "\n" for content in contents)


def metric(step: int, name: str, value: float | None, **about: object) -> dict[str, object]:
    return {"step": step, name: value, "extractor": "mnist_v1", "count": 2000, "floor": 0.1, "weights": "raw"} | about


def test_curves_are_what_the_lines_say() -> None:
    log = parse(
        lines({"step": 1, "loss/D": 3.0, "images_seen": 9}, {"step": 5, "loss/D": 2}, metric(5, "metrics/kid", 7))
    )
    assert (log.mean("loss/D").steps, log.mean("loss/D").values) == ([1, 5], [3.0, 2.0])
    assert (log.metric("kid").last, log.metric("kid").floor, log.metric("kid").count) == (7.0, 0.1, 2000)
    assert (log.damaged, dict(log.not_finite)) == (0, {})
    assert len(log.mean("loss/G")) == len(log.metric("fid")) == 0


def test_curves_of_other_counts_weights_and_extractors_are_not_mixed() -> None:
    text = lines(
        *(metric(step, "metrics/fid", 1.0) for step in (1, 2, 3)),
        metric(2, "metrics/fid", 50.0, weights="ema"),
        metric(3, "metrics/fid", 60.0, count=500),
        metric(3, "final/fid", 70.0, extractor="other"),
    )
    log = parse(text)
    assert log.metric("fid").values == [1.0, 1.0, 1.0]
    assert log.final("fid").last in (1.0, 70.0)


def test_later_line_of_a_step_counts() -> None:
    assert parse(lines({"step": 3, "loss/D": 1.0}, {"step": 3, "loss/D": 2.0})).mean("loss/D").values == [2.0]


def test_line_that_is_being_written_is_no_damage_and_others_are() -> None:
    text = lines({"step": 1, "loss/D": 1.0})
    assert parse(text + '{"step": 2, "los').damaged == 0
    log = parse('{"step": 0, "lo\n[1]\n{"step": -1}\n{"step": true}\n{}\nnull\n' + text)
    assert (log.damaged, log.mean("loss/D").values) == (6, [1.0])


def test_what_is_not_finite_is_kept_out_of_the_curves_and_told() -> None:
    text = '{"step": 1, "loss/D": NaN}\n{"step": 2, "loss/D": Infinity}\n{"step": 3, "loss/D": 1.0, "x/y": "text"}\n'
    log = parse(text + lines(metric(3, "metrics/kid", None), metric(4, "metrics/kid", math.nan)))
    assert (log.mean("loss/D").values, dict(log.not_finite)) == ([1.0], {"loss/D": 1})
    assert len(log.metric("kid")) == 0


def test_no_state_of_the_file_stops_the_doctor() -> None:
    text = (LOGS / "healthy_dcgan" / "metrics.jsonl").read_text()
    drawn = random.Random(0)
    for _ in range(150):
        start, length = drawn.randrange(len(text)), drawn.choice((1, 7, 300, 3000))
        junk = drawn.choice(("", "\n", '"', "}", "NaN", "1e999", "9" * 500, "null", "-", "[" * 40, "\x00"))
        changed = text[:start] + junk + text[start + length :]
        log = parse(changed)
        assert report(log, examine(log))
    for end in range(0, len(text), 997):
        log = parse(text[:end])
        assert report(log, examine(log))


@pytest.mark.parametrize("name", ["config.yaml", "status.json"])
@pytest.mark.parametrize(
    "content", ["", "[1", "- 1\n", "\x00\xff", "a: &a [*a]", "{loss: 3, optim: [1], train: {steps: x}}"]
)
def test_damaged_file_beside_the_log_costs_no_verdict_that_does_without(
    name: str, content: str, tmp_path: Path
) -> None:
    (tmp_path / "metrics.jsonl").write_text(lines(*({"step": s, "loss/D": 1.0, "loss/G": 1.0} for s in range(1, 99))))
    (tmp_path / name).write_text(content, encoding="latin-1")
    log = read(tmp_path)
    assert len(log.mean("loss/D")) == 98
    assert report(log, examine(log))
    assert findings_of(tmp_path) is not None


def test_directory_without_a_log_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"it holds no metrics\.jsonl"):
        read(tmp_path)
    with pytest.raises(Refused, match="there is no such directory"):
        read(tmp_path / "nowhere")
    assert findings_of(tmp_path) is None


def test_setting_of_any_shape_is_found_or_none() -> None:
    log = Log(config={"a": {"b": 3, "c": True, "d": "x", "e": math.nan}})
    assert (log.setting("a.b"), log.setting("a.x"), log.setting("a.b.c")) == (3, None, None)
    assert [log.rate(f"a.{key}") for key in "bcdex"] == [3.0, None, None, None, None]
