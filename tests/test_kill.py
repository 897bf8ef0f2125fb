"""Stop a run anywhere, start it again, and nobody can tell."""

import json
import os
import random
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from conftest import TINY
from fork_server import ForkServer
from test_resume import assert_same, curves, told

from gan_cli import checkpoint

OFTEN = (
    *(*TINY, "train.checkpoint_every=5", "train.log_every=7", "train.sample_every=50", "train.keep=2"),
    *("train.evaluate_every=6", "evaluate.num_images=50", "evaluate.final_images=60"),
)


@dataclass
class Count:
    stops: int = 0
    inside_a_save: int = 0


def stop_repeatedly(server: ForkServer, steps: int, stops: int, signals: list[int], seed: int = 0) -> Count:
    """Start a run, stop it `stops` times at random moments, each after one more checkpoint at least, and finish it."""
    chance = random.Random(seed)
    last = Path("run/checkpoints/last.safetensors")
    arguments = (*OFTEN, f"train.steps={steps}", "hydra.run.dir=run")
    count = Count()
    while count.stops < stops:
        before = last.stat().st_ino if last.exists() else None
        process = server.start(*arguments)
        while not last.exists() or last.stat().st_ino == before:
            time.sleep(0.001)
        time.sleep(chance.uniform(0, 0.06))
        chosen = signals[count.stops % len(signals)]
        while chosen == signal.SIGKILL and count.stops % 3 == 0 and not any(last.parent.glob(".*.tmp")):
            pass  # every third kill waits for a save to be under way
        os.kill(process, chosen)
        code = server.wait()
        assert code == (-signal.SIGKILL if chosen == signal.SIGKILL else 128 + chosen), server.output()[-2000:]
        count.stops += 1
        count.inside_a_save += any(Path("run").rglob(".*.tmp"))
        checkpoint.load(last)  # never unreadable
        if chosen != signal.SIGKILL:
            status = json.loads(Path("run/status.json").read_text())
            assert status["state"] == "interrupted"
            assert status["step"] == checkpoint.load(last).step
        arguments = ("resume=run",)
    server.start(*arguments)
    assert server.wait() == 0, server.output()[-2000:]
    return count


def assert_equal_to_straight(server: ForkServer, steps: int) -> None:
    server.start(*OFTEN, f"train.steps={steps}", "hydra.run.dir=straight")
    assert server.wait() == 0, server.output()[-2000:]
    for name in ("last", "best"):
        assert_same(*(checkpoint.load(Path(run, f"checkpoints/{name}.safetensors")) for run in ("straight", "run")))
    assert told("straight") == told("run")
    assert curves("straight") == curves("run")
    files = [sorted(str(p.relative_to(run)) for p in Path(run).glob("[cs]*/*")) for run in ("straight", "run")]
    assert files[0] == files[1]


@pytest.mark.slow
@pytest.mark.parametrize("stops", [3, 100], ids=lambda stops: f"{stops} kills")
def test_killed_run_ends_in_the_same_bits(stops: int, server: ForkServer) -> None:
    count = stop_repeatedly(server, 30 * stops, stops, [signal.SIGKILL])
    assert_equal_to_straight(server, 30 * stops)
    print(f"{count.stops} SIGKILLs, {count.inside_a_save} inside a save, 0 unreadable files, equal state")
    if stops == 100:
        assert count.inside_a_save >= 10


@pytest.mark.parametrize("stops", [2, pytest.param(40, marks=pytest.mark.slow)], ids=lambda stops: f"{stops} signals")
def test_interrupted_run_ends_in_the_same_bits(stops: int, server: ForkServer) -> None:
    count = stop_repeatedly(server, 30 * stops, stops, [signal.SIGINT, signal.SIGTERM])
    assert_equal_to_straight(server, 30 * stops)
    assert server.output().count("go on with: gan-train resume=") == stops
    print(f"{count.stops} SIGINT or SIGTERM, all exit codes right, equal state")


def test_a_run_in_use_is_refused(server: ForkServer) -> None:
    process = server.start(*TINY, "train.steps=10000000", "hydra.run.dir=run")
    while not Path("run/checkpoints/last.safetensors").exists():
        time.sleep(0.001)
    other = ForkServer(server.directory)
    other.start("resume=run")
    try:
        assert other.wait() == 2
    finally:
        os.kill(process, signal.SIGTERM)
        other.close()
    assert server.wait() == 143
    assert f"run is in use by process {process}" in server.output()


@pytest.mark.slow
def test_interrupt_stops_a_sweep_after_saving_the_running_job(server: ForkServer) -> None:
    process = server.start(*TINY, "train.steps=10000000", "-m", "seed=0,1", "hydra.sweep.dir=sweep")
    while not Path("sweep/0/checkpoints/last.safetensors").exists():
        time.sleep(0.001)
    os.kill(process, signal.SIGINT)
    assert server.wait() == 130
    status = json.loads(Path("sweep/0/status.json").read_text())
    assert status["state"] == "interrupted"
    assert checkpoint.load(Path("sweep/0/checkpoints/last.safetensors")).step == status["step"]
    assert not Path("sweep/1").exists()
