import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import TINY, Result

from gan_cli.commands.doctor import doctor
from gan_cli.commands.evaluate import evaluate
from gan_cli.commands.sample import sample
from gan_cli.ending import ending
from gan_cli.evaluation.measure import told
from gan_cli.run_directory import RunDirectory

COMMANDS = {"gan-sample": sample, "gan-evaluate": evaluate, "gan-doctor": doctor}


def left(tmp_path: Path, *metrics: dict[str, Any]) -> RunDirectory:
    """A directory as a run leaves it, with these lines of metrics."""
    directory = RunDirectory(tmp_path / "it's a run")
    for path in (directory.summary, directory.last, directory.sample(40), directory.sample(200)):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    directory.summary.write_text(json.dumps({"wall_s": 192.2}))
    directory.metrics.write_text("".join(json.dumps(line) + "\n" for line in metrics))
    return directory


def config(
    data: str = "gan_cli.data.mnist.load", augment: str = "none.NoAugment", **train: int | None
) -> dict[str, Any]:
    return {
        "model": {"generator": {"_target_": "gan_cli.models.dcgan64.DCGAN64Generator"}},
        "augment": {"_target_": f"gan_cli.augment.{augment}"},
        "data": {"_target_": data, "root": "my pictures"},
        "train": {"steps": None, "epochs": 5} | train,
    }


def commands(lines: list[str]) -> list[list[str]]:
    return [shlex.split(line, comments=True) for line in lines[lines.index("next:") + 1 :]]


def line(step: int, group: str, value: float | None, **about: Any) -> dict[str, Any]:
    return {"step": step, group: value, "count": 10000, "floor": 0.031, "weights": "raw"} | about


def test_it_tells_the_last_metric_with_its_floor_the_time_and_the_grid(tmp_path: Path) -> None:
    measured = [line(100, "metrics/kid", 9.0), line(200, "metrics/kid", 8.0), line(200, "final/fid", 3.14)]
    directory = left(tmp_path, *measured, line(200, "final/kid", 2.0))
    lines = list(ending(directory, config(), 200, 200, troubled=False))
    assert lines[0].startswith("FID 3.14 (real data 0.031) of 10,000 samples")
    assert lines[1].startswith("took 3:12; ")
    assert "step_00000200.png" in lines[1]
    path = str(directory.path)
    assert commands(lines) == [
        ["gan-sample", f"checkpoint={path}", "num_images=64", "out=drawn"],
        ["gan-train", f"resume={path}", "train.epochs=10"],
        ["tensorboard", "--logdir", path],
    ]


def test_where_nothing_was_measured_it_says_how_to(tmp_path: Path) -> None:
    lines = list(ending(left(tmp_path), config(steps=200), 200, 200, troubled=True))
    assert lines[0].startswith("took")
    assert [command[0] for command in commands(lines)] == [
        *("gan-sample", "gan-evaluate", "gan-train", "gan-doctor", "tensorboard")
    ]
    assert "train.steps=400" in lines[-3]


def test_a_run_whose_time_was_spent_goes_on_as_it_is(tmp_path: Path) -> None:
    lines = list(ending(left(tmp_path), config(), 20, 200, troubled=False))
    assert next(command for command in commands(lines) if command[0] == "gan-train")[2:] == []


def test_without_a_checkpoint_there_is_nothing_to_sample_or_resume(tmp_path: Path) -> None:
    directory = left(tmp_path)
    directory.last.unlink()
    lines = list(ending(directory, config(), 200, 200, troubled=False))
    assert [command[0] for command in commands(lines)] == ["tensorboard"]


@pytest.mark.parametrize("augment", ["none.NoAugment", "diffaugment.DiffAugment"])
def test_a_plain_run_on_a_folder_is_shown_the_preset_for_it(augment: str, tmp_path: Path) -> None:
    of = config("gan_cli.data.folder.load", augment)
    found = commands(list(ending(left(tmp_path), of, 200, 200, troubled=False)))
    assert (["gan-train", "experiment=folder64", "data.root=my pictures"] in found) == (augment == "none.NoAugment")


def test_packages_of_others_are_trusted_by_name(tmp_path: Path) -> None:
    of = config() | {"loss": {"_target_": "my_losses.Squared"}, "optim": {"_target_": "torch.optim.Adam"}}
    for command in commands(list(ending(left(tmp_path), of, 200, 200, troubled=False)))[:-1]:
        assert command[-1] == "trust=[my_losses]"


def test_numbers_are_told_with_what_real_data_score() -> None:
    assert told("fid", 3.14159, 0.0312) == "FID 3.14 (real data 0.0312)"
    assert told("mode_kl", None, 0.0) == "mode kl infinite (real data 0)"


@pytest.mark.parametrize("evaluated", [0, 4])
def test_what_is_told_to_type_works(evaluated: int, cli: Callable[..., Result], tmp_path: Path) -> None:
    run = ("hydra.run.dir=a run", f"train.evaluate_every={evaluated}", "evaluate.num_images=100")
    result = cli(*TINY, *run)
    assert result.code == 0, result.err
    lines = result.out.splitlines()
    assert lines.count("next:") == 1
    assert ("real data" in result.out) == bool(evaluated)
    assert Path("a run/train.log").read_text().count("next:") == 1
    for program, *arguments in commands(lines):
        if program == "gan-train":
            again = cli(*arguments)
            assert again.code == 0, again.err
            assert json.loads(Path("a run/status.json").read_text())["step"] == 24
        elif program in COMMANDS:
            assert cli(*arguments, command=COMMANDS[program]).code == 0
        else:
            assert program == "tensorboard"
            assert Path(arguments[-1]).is_dir()
