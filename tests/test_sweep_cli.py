"""Sweeps from the command line: what becomes of each job, what is told, and what the same command does again."""

import itertools
import json
import os
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from conftest import TINY, Result, outcomes
from safetensors.torch import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

Cli = Callable[..., Result]

GRID = (*TINY, "train.sample_every=0")

UNRULY = """
import sys

import torch
from torch import nn


class Raises(nn.Linear):
    def __init__(self, latent_dim, sample_shape):
        super().__init__(latent_dim, *sample_shape)

    def forward(self, z):
        if self.training:
            raise ZeroDivisionError("one over nothing")
        return super().forward(z)


class Exits(Raises):
    def forward(self, z):
        sys.exit(3)


class Judge(nn.Linear):
    def __init__(self, sample_shape):
        super().__init__(*sample_shape, 1)

    def forward(self, x):
        return super().forward(x).squeeze(1)
"""


def states(directory: str | Path) -> dict[int, str]:
    """What status.json says of each job."""
    return {number: state for number, (state, _) in outcomes(Path(directory)).items()}


def weights(run: str | Path) -> dict[str, torch.Tensor]:
    return load_file(Path(run) / "checkpoints" / "last.safetensors")


def same(a: str | Path, b: str | Path) -> bool:
    one, other = weights(a), weights(b)
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.fixture
def unruly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A module of networks that fail, as a user could write it."""
    (tmp_path / "unruly.py").write_text(UNRULY)
    monkeypatch.syspath_prepend(tmp_path)
    yield
    sys.modules.pop("unruly", None)


# The jobs of a grid.


def test_each_job_of_a_grid_is_its_run_alone(cli: Cli) -> None:
    result = cli(*GRID, "-m", "loss=bce,lsgan", "seed=1,2", "hydra.sweep.dir=sweep")
    assert result.code == 0, result.err
    assert states("sweep") == dict.fromkeys(range(4), "finished")
    for number, (loss, seed) in enumerate([("bce", 1), ("bce", 2), ("lsgan", 1), ("lsgan", 2)]):
        assert cli(*GRID, f"loss={loss}", f"seed={seed}", f"hydra.run.dir=alone{number}").code == 0
        assert same(f"sweep/{number}", f"alone{number}")


@pytest.mark.slow
def test_two_sweeps_of_the_same_second_have_a_directory_each(cli: Cli) -> None:
    for _ in range(2):
        assert cli(*GRID, "-m", "seed=1,2").code == 0
    assert len(list(Path("outputs/multirun").glob("*/*/sweep.json"))) == 2


@pytest.mark.usefixtures("unruly")
def test_every_job_runs_whatever_happens_to_the_others_and_failures_are_named(cli: Cli) -> None:
    """An exception, a divergence, `sys.exit`, bad data, and two that are well."""
    gaussian, folder = ["override /data: gaussian2d"], ["override /data: folder", "override /model: dcgan"]
    custom = [*gaussian, "override /model: custom"]
    networks = {"accepts": ["vector"], "discriminator": {"_target_": "unruly.Judge"}}
    presets: dict[str, dict[str, Any]] = {
        "well": {"defaults": gaussian},
        "fine": {"defaults": gaussian},
        "diverges": {"defaults": gaussian, "optim": {"lr": 1e38}},
        "baddata": {"defaults": folder, "data": {"root": "nowhere"}},
        "raises": {"defaults": custom, "model": {**networks, "generator": {"_target_": "unruly.Raises"}}},
        "exits": {"defaults": custom, "model": {**networks, "generator": {"_target_": "unruly.Exits"}}},
    }
    Path("mine/experiment").mkdir(parents=True)
    for name, preset in presets.items():
        text = "# @package _global_\n" + yaml.safe_dump(preset).replace("'", "")
        (Path("mine/experiment") / f"{name}.yaml").write_text(text)
    small = ("latent.dim=4", "train.steps=40", "train.batch_size=16", "train.log_every=4", "train.sample_every=0")
    result = cli(
        *("-m", "--config-dir", "mine", "experiment=raises,diverges,well,exits,baddata,fine", *small),
        *("optim=sgd", "hydra.sweep.dir=sweep"),
    )
    assert result.code == 1
    assert states("sweep") == {0: "failed", 1: "diverged", 2: "finished", 3: "failed", 4: "failed", 5: "finished"}
    table = result.out[result.out.rindex("experiment") :]
    for words in ("one over nothing", "NaN or infinite", "nowhere", "SystemExit"):
        assert words in table.replace("\n", " ")
    assert "4 of 6 jobs failed" in result.err
    for number in (0, 1, 3, 4):
        assert "failed" in (Path("sweep") / str(number) / "train.log").read_text()
    assert "ZeroDivisionError" in Path("sweep/0/train.log").read_text()


def test_an_illegal_cell_is_refused_with_its_reason_and_is_no_failure(cli: Cli) -> None:
    result = cli(*GRID, "-m", "loss=hinge,wgan", "hydra.sweep.dir=sweep")
    assert result.code == 0, result.err
    assert states("sweep") == {0: "finished", 1: "refused"}
    assert "no minimum" in result.out
    again = cli(*GRID, "-m", "loss=hinge,wgan", "hydra.sweep.dir=sweep")
    assert again.code == 0
    assert "job 1:" not in again.out


@pytest.mark.exhaustive(5)
@pytest.mark.parametrize(
    ("typed", "words"),
    [
        (["loss=bce,lsgn"], "Did you mean: lsgan"),
        (["model.generator.width=[1],[2]"], "width"),
        (["optim.lr=interval(0.1,1)"], "a grid needs values one by one; search=random"),
        (["search=tpe,random"], "cannot be swept"),
        (["sweep.jobs=1,2"], "cannot be swept"),
        (["seed=1,2", "sweep.jobs=0"], "sweep.jobs must be at least 1"),
        (["seed=1,2", "sweep.name=a", "sweep.resume=b"], "leave out one"),
        (["seed=1,2", "sweep.name=../a"], "names a directory"),
        (["seed=1,2", "sweep.resume=b"], "no sweep's directory"),
        (["seed=1,2", "dry_run=true"], "leave out -m"),
        (["search=tpe", "seed=1,2"], "finds luck"),
        (["search=tpe", "optim.lr=tag(log,interval(0,1))"], "cannot be searched"),
        (["search=tpe", "loss=bce,lsgn"], "Did you mean: lsgan"),
        (["search=tpe", "search.num_trials=0"], "search.num_trials must be at least 1"),
        (["search=tpee"], "tpe"),
    ],
)
def test_a_mistake_is_told_before_anything_is_started(typed: list[str], words: str, cli: Cli, tmp_path: Path) -> None:
    result = cli(*GRID, "-m", *typed)
    assert result.code == 2, result.out
    assert words in result.err
    assert not list(tmp_path.glob("outputs/multirun/**/sweep.json"))


def test_another_sweeper_is_refused(cli: Cli) -> None:
    result = cli(*GRID, "-m", "seed=1,2", "hydra/sweeper=basic")
    assert result.code == 2
    assert "leave out hydra/sweeper" in result.err


def test_a_search_without_a_sweep_is_refused(cli: Cli) -> None:
    result = cli(*GRID, "search=tpe")
    assert result.code == 2
    assert "add -m" in result.err


# The same command again.


def test_the_same_command_runs_only_what_is_missing(cli: Cli) -> None:
    command = (*GRID, "-m", "seed=1,2,3", "sweep.name=mine")
    assert cli(*command).code == 0
    kept = {path: path.stat().st_mtime_ns for path in Path("outputs/multirun/mine").rglob("*") if path.is_file()}
    again = cli(*command)
    assert again.code == 0
    assert not re.search(r"job \d:", again.out)
    ledger = Path("outputs/multirun/mine/sweep.json")
    assert {path for path, time in kept.items() if path.stat().st_mtime_ns != time} <= {ledger}
    grown = cli(*GRID, "-m", "seed=1,2,3,4", "sweep.resume=outputs/multirun/mine")
    assert "job 3" in grown.out
    assert "job 2:" not in grown.out
    assert states("outputs/multirun/mine") == dict.fromkeys(range(4), "finished")


@pytest.mark.slow
def test_what_failed_is_tried_again_and_what_was_interrupted_goes_on(cli: Cli) -> None:
    command = (*GRID, "-m", "seed=1,2", "hydra.sweep.dir=sweep")
    assert cli(*command).code == 0
    for number in (0, 1):
        status = Path(f"sweep/{number}/status.json")
        (Path(f"sweep/{number}/checkpoints") / "last.safetensors").unlink()
        (Path(f"sweep/{number}/checkpoints") / "step_00000006.safetensors").rename(
            Path(f"sweep/{number}/checkpoints") / "last.safetensors"
        )
        status.write_text(json.dumps({"state": ("interrupted", "failed")[number], "step": 6, "reason": "so"}))
    result = cli(*command)
    assert result.code == 0
    assert result.out.count("at step 6") == 2
    for number in (0, 1):
        assert cli(*GRID, f"seed={number + 1}", f"hydra.run.dir=alone{number}").code == 0
        assert same(f"sweep/{number}", f"alone{number}")


@pytest.mark.slow
def test_another_command_does_not_go_on_with_a_sweep(cli: Cli) -> None:
    assert cli(*GRID, "-m", "seed=1,2", "sweep.name=mine").code == 0
    for again in ("sweep.resume=outputs/multirun/mine", "sweep.name=mine", "hydra.sweep.dir=outputs/multirun/mine"):
        result = cli(*GRID, "-m", "seed=1,2", "loss=lsgan", again)
        assert result.code == 2
        assert "holds another sweep" in result.err
        assert "seed=1,2" in result.err


def test_a_sweep_in_use_is_refused(cli: Cli) -> None:
    from gan_cli.run_directory import RunDirectory

    Path("sweep").mkdir()
    with RunDirectory(Path("sweep")).claimed(resuming=True):
        result = cli(*GRID, "-m", "seed=1,2", "hydra.sweep.dir=sweep")
    assert result.code == 2
    assert "in use by process" in result.err


# Described in a file.


def test_a_sweep_can_be_described_in_a_file_of_the_users(cli: Cli) -> None:
    Path("mine/experiment").mkdir(parents=True)
    Path("mine/experiment/losses.yaml").write_text(
        "# @package _global_\n"
        "defaults:\n  - override /data: gaussian2d\n"
        "sweep: {name: losses}\n"
        "search:\n  space:\n    loss: bce,lsgan\n    optim.lr: [1e-3, 2e-3]\n    seed: range(2)\n"
    )
    result = cli(*GRID, "-m", "--config-dir", "mine", "experiment=losses", "seed=5")
    assert result.code == 0, result.err
    jobs = json.loads(Path("outputs/multirun/losses/sweep.json").read_text())["jobs"]
    swept = [sorted(text for text in job["overrides"] if text.startswith(("loss", "optim", "seed"))) for job in jobs]
    assert swept == [
        ["loss=bce", "optim.lr=0.001", "seed=5"],
        ["loss=bce", "optim.lr=0.002", "seed=5"],
        ["loss=lsgan", "optim.lr=0.001", "seed=5"],
        ["loss=lsgan", "optim.lr=0.002", "seed=5"],
    ]
    assert states("outputs/multirun/losses") == dict.fromkeys(range(4), "finished")


# Searches.

SEARCH = (
    *(*TINY, "train.sample_every=0", "train.evaluate_every=4", "evaluate.num_images=64", "evaluate.final_images=0"),
    *("-m", "search=tpe", "sweep.name=s", "optim.lr=tag(log,interval(1e-4,1e-2))"),
)


def test_a_search_runs_so_many_trials_in_all(cli: Cli) -> None:
    result = cli(*SEARCH, "loss=bce,lsgan", "search.num_trials=3")
    assert result.code == 0, result.err
    assert set(states("outputs/multirun/s")) == {0, 1, 2}
    more = cli(*SEARCH, "loss=bce,lsgan", "search.num_trials=5")
    assert more.code == 0, more.err
    assert set(states("outputs/multirun/s")) == {0, 1, 2, 3, 4}
    assert "job 2:" not in more.out
    again = cli(*SEARCH, "loss=bce,lsgan", "search.num_trials=5")
    assert again.code == 0
    assert not re.search(r"job \d:", again.out)


@pytest.mark.slow
def test_a_trial_that_fails_is_recorded_and_the_search_goes_on(cli: Cli) -> None:
    import optuna

    command = (*SEARCH[:-1], "optim=sgd", "optim.generator.lr=1e-3,1e38", "search=random", "search.num_trials=6")
    result = cli(*(text for text in command if text != "search=tpe"))
    found = states("outputs/multirun/s")
    assert result.code == 1
    assert len(found) == 6
    assert set(found.values()) == {"finished", "diverged"}
    study = optuna.load_study(study_name="search", storage="sqlite:///outputs/multirun/s/optuna.db")
    for trial in study.trials:
        assert (trial.state.name == "FAIL") == (found[trial.number] == "diverged")


def test_a_search_over_nothing_goes_over_the_learning_rates(cli: Cli) -> None:
    result = cli(*SEARCH[:-1], "search.num_trials=1")
    assert result.code == 0, result.err
    (job,) = json.loads(Path("outputs/multirun/s/sweep.json").read_text())["jobs"]
    keys = {text.split("=")[0] for text in job["overrides"]}
    assert {"optim.generator.lr", "optim.discriminator.lr"} <= keys


@pytest.mark.slow
def test_a_search_for_what_no_run_logs_fails_with_the_reason(cli: Cli) -> None:
    result = cli(*SEARCH, "search.num_trials=1", "search.metric=nonsense")
    assert result.code == 1
    assert "finished without nonsense" in result.err
    assert "kl" in result.err


# Launchers.


def assert_each_is_its_run_alone(cli: Cli, seeds: tuple[int, ...]) -> None:
    assert states("sweep") == dict.fromkeys(range(len(seeds)), "finished")
    for number, seed in enumerate(seeds):
        assert cli(*GRID, f"seed={seed}", "device.threads=1", f"hydra.run.dir=alone{number}").code == 0
        assert same(f"sweep/{number}", f"alone{number}")


@pytest.mark.slow
def test_parallel_jobs_share_the_cores_and_are_their_runs_alone(cli: Cli) -> None:
    cores = len(os.sched_getaffinity(0))
    result = cli(*GRID, "-m", "seed=1,2,3", f"sweep.jobs={cores}", "hydra.sweep.dir=sweep")
    assert result.code == 0, result.err
    assert_each_is_its_run_alone(cli, (1, 2, 3))
    for number in range(3):
        assert "threads: 1\n" in Path(f"sweep/{number}/config.yaml").read_text()


@pytest.mark.slow
@pytest.mark.usefixtures("unruly")
def test_a_parallel_job_that_takes_its_process_with_it_is_told_and_can_be_run_again(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path.cwd()))
    dies = UNRULY.replace("sys.exit(3)", "os._exit(9)").replace("import sys", "import os")
    Path("unruly.py").write_text(dies)
    networks = ("model.generator._target_=unruly.Exits", "model.discriminator._target_=unruly.Judge")
    command = ("-m", "model=custom", *networks, "data=gaussian2d", "train.steps=3", "latent.dim=4", "seed=1,2,3")
    result = cli(*command, "sweep.jobs=2", "hydra.sweep.dir=sweep")
    assert result.code == 1
    assert "the launcher failed" in result.out
    assert "3 of 3 jobs failed" in result.err
    Path("unruly.py").write_text(UNRULY.replace("sys.exit(3)", "return nn.Linear.forward(self, z)"))
    again = cli(*command, "sweep.jobs=2", "hydra.sweep.dir=sweep")
    assert again.code == 0, again.err
    assert states("sweep") == dict.fromkeys(range(3), "finished")


@pytest.mark.slow
def test_jobs_by_submitit_are_their_runs_alone(cli: Cli) -> None:
    local = ("hydra/launcher=submitit_local", "device.threads=1")
    result = cli(*GRID, "-m", "seed=1,2", *local, "hydra.sweep.dir=sweep")
    assert result.code == 0, result.err
    assert_each_is_its_run_alone(cli, (1, 2))


# Several runs as one program.


@pytest.mark.slow
def test_runs_that_train_together_are_ordinary_runs_and_close_to_their_runs_alone(cli: Cli) -> None:
    command = (*GRID, "-m", "seed=1,2", "optim.lr=1e-3,2e-3", "sweep.together=true", "hydra.sweep.dir=sweep")
    result = cli(*command)
    assert result.code == 0, result.err
    assert "4 runs as one program" in result.out
    assert states("sweep") == dict.fromkeys(range(4), "finished")
    for number, (seed, rate) in enumerate(itertools.product((1, 2), (1e-3, 2e-3))):
        assert cli(*GRID, f"seed={seed}", f"optim.lr={rate}", f"hydra.run.dir=alone{number}").code == 0
        together, alone = weights(f"sweep/{number}"), weights(f"alone{number}")
        assert together.keys() == alone.keys()
        for name, tensor in alone.items():
            torch.testing.assert_close(together[name], tensor, rtol=1e-5, atol=1e-5)
        files = [
            sorted(path.name for path in Path(run).rglob("*") if path.is_file() and ".hydra" not in path.parts)
            for run in (f"sweep/{number}", f"alone{number}")
        ]
        assert [name for name in files[0] if "tfevents" not in name] == [
            name for name in files[1] if "tfevents" not in name
        ]
    assert cli("resume=sweep/1", "train.steps=15").code == 0
    again = cli(*command)
    assert again.code == 0
    assert "as one program" not in again.out


@pytest.mark.slow
def test_jobs_that_cannot_train_together_train_one_by_one_with_the_reason(cli: Cli) -> None:
    result = cli(*GRID, "-m", "model.generator.widths=[8],[9]", "sweep.together=true", "hydra.sweep.dir=sweep")
    assert result.code == 0, result.err
    assert "2 jobs train one by one: they differ in model.generator.widths" in result.out
    assert states("sweep") == dict.fromkeys(range(2), "finished")


@pytest.mark.slow
def test_a_job_that_is_refused_does_not_keep_the_others_from_training_together(cli: Cli) -> None:
    result = cli(*GRID, "-m", "loss=bce,wgan", "seed=1,2", "sweep.together=true", "hydra.sweep.dir=sweep")
    assert result.code == 0, result.err
    assert "2 runs as one program" in result.out
    assert list(states("sweep").values()) == ["finished", "finished", "refused", "refused"]


@pytest.mark.slow
def test_a_search_may_ask_for_trials_that_train_together(cli: Cli) -> None:
    together = ("search.num_trials=4", "sweep.jobs=2", "sweep.together=true")
    result = cli(*SEARCH, *together)
    assert result.code == 0, result.err
    assert result.out.count("2 runs as one program") == 2
    assert states("outputs/multirun/s") == dict.fromkeys(range(4), "finished")


def test_tensorboard_shows_the_keys_that_differ_and_the_metric(cli: Cli) -> None:
    evaluated = ("train.evaluate_every=6", "evaluate.num_images=64", "evaluate.final_images=0")
    assert cli(*GRID, *evaluated, "-m", "loss=bce,lsgan", "optim.lr=1e-3,2e-3", "hydra.sweep.dir=sweep").code == 0
    for number, (loss, rate) in enumerate(itertools.product(("bce", "lsgan"), (1e-3, 2e-3))):
        board = EventAccumulator(f"sweep/{number}/tensorboard").Reload()
        found = [HParamsPluginData.FromString(data) for data in board.PluginTagToContent("hparams").values()]
        (session,) = (data.session_start_info for data in found if data.HasField("session_start_info"))
        shown = {key: value.string_value or value.number_value for key, value in session.hparams.items()}
        assert shown == {"loss": loss, "optim.lr": rate}
        (experiment,) = (data.experiment for data in found if data.HasField("experiment"))
        metrics = [metric.name.tag for metric in experiment.metric_infos]
        assert metrics == ["metrics/kl", "loss/D", "loss/G"]
        assert set(metrics) <= set(board.Tags()["scalars"])
