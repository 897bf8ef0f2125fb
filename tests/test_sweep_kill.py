"""Kill a sweep anywhere, start it again, and every job is there once, and is its run alone."""

import contextlib
import os
import random
import signal
import time
from pathlib import Path

import pytest
from conftest import TINY
from fork_server import ForkServer
from test_resume import assert_same
from test_sweep_cli import SEARCH, states

from gan_cli import checkpoint

pytestmark = pytest.mark.slow

JOBS = (*TINY, "train.steps=40", "train.checkpoint_every=5", "train.sample_every=20", "device.threads=1")


def kill_repeatedly(server: ForkServer, typed: tuple[str, ...], kills: int, within: float, seed: int = 0) -> int:
    """Start a sweep, kill it `kills` times at random moments, and finish it; how many kills met it at work."""
    chance = random.Random(seed)
    at_work = 0
    for _ in range(kills):
        process = server.start(*typed)
        time.sleep(chance.uniform(0, within))
        with contextlib.suppress(ProcessLookupError):  # it has ended
            os.kill(process, signal.SIGKILL)
        code = server.wait()
        assert code in (0, -signal.SIGKILL), server.output()[-2000:]
        at_work += code != 0
    server.start(*typed)
    assert server.wait() == 0, server.output()[-2000:]
    return at_work


def assert_each_is_its_run_alone(server: ForkServer, sweep: str, runs: dict[int, tuple[str, ...]]) -> None:
    for number, typed in runs.items():
        server.start(*JOBS, *typed, f"hydra.run.dir=alone/{number}")
        assert server.wait() == 0, server.output()[-2000:]
        last = (Path(run, "checkpoints/last.safetensors") for run in (f"alone/{number}", f"{sweep}/{number}"))
        assert_same(*map(checkpoint.load, last))


@pytest.mark.parametrize(("jobs", "kills"), [(4, 3), (12, 25)])
def test_a_killed_grid_ends_with_each_job_once_and_as_alone(jobs: int, kills: int, server: ForkServer) -> None:
    typed = (*JOBS, "-m", "loss=bce,lsgan", f"seed=range({jobs // 2})", "hydra.sweep.dir=sweep")
    assert kill_repeatedly(server, typed, kills, within=2.0) >= 1
    assert states("sweep") == dict.fromkeys(range(jobs), "finished")
    combinations = [(f"loss={loss}", f"seed={seed}") for loss in ("bce", "lsgan") for seed in range(jobs // 2)]
    assert_each_is_its_run_alone(server, "sweep", dict(enumerate(combinations)))


def test_a_killed_grid_of_parallel_jobs_ends_with_each_job_once_and_as_alone(server: ForkServer) -> None:
    typed = (*JOBS, "-m", "loss=bce,lsgan", "seed=range(6)", "hydra.sweep.dir=sweep", "sweep.jobs=2")
    kill_repeatedly(server, typed, 6, within=20.0)
    assert states("sweep") == dict.fromkeys(range(12), "finished")
    combinations = [(f"loss={loss}", f"seed={seed}") for loss in ("bce", "lsgan") for seed in range(6)]
    assert_each_is_its_run_alone(server, "sweep", dict(enumerate(combinations)))


@pytest.mark.parametrize(("trials", "kills"), [(4, 2), (12, 15)])
def test_a_killed_search_ends_as_one_that_was_not(trials: int, kills: int, server: ForkServer) -> None:
    import optuna

    typed = (*SEARCH, f"search.num_trials={trials}", "device.threads=1")
    kill_repeatedly(server, typed, kills, within=3.0)
    other = tuple("sweep.name=straight" if text == "sweep.name=s" else text for text in typed)
    server.start(*other)
    assert server.wait() == 0, server.output()[-2000:]
    told = []
    for name in ("s", "straight"):
        study = optuna.load_study(study_name="search", storage=f"sqlite:///outputs/multirun/{name}/optuna.db")
        told.append([(trial.number, trial.state.name, trial.params, trial.value) for trial in study.trials])
    assert len(told[0]) == trials
    assert told[0] == told[1]
    assert states("outputs/multirun/s") == states("outputs/multirun/straight")


def test_an_interrupted_parallel_sweep_saves_its_jobs_and_goes_on(server: ForkServer) -> None:
    typed = (*JOBS, "-m", "seed=range(3)", "hydra.sweep.dir=sweep", "sweep.jobs=2", "train.steps=100000")
    process = server.start(*typed)
    started = [Path(f"sweep/{number}/checkpoints/last.safetensors") for number in (0, 1)]
    while not all(path.exists() for path in started):
        time.sleep(0.01)
    os.kill(process, signal.SIGINT)
    assert server.wait() == 130, server.output()[-2000:]
    assert states("sweep") == {0: "interrupted", 1: "interrupted"}
    for number in (0, 1):
        stored = checkpoint.load(started[number])
        assert f'"step": {stored.step}' in Path(f"sweep/{number}/status.json").read_text()
    assert not Path("sweep/.stop").exists()
