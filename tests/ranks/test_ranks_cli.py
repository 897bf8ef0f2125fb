"""gan-train as torchrun starts it: one run, one directory, one voice; and what becomes of it when a rank dies."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import TINY
from test_resume import assert_same, told

from gan_cli import checkpoint

ENDLESS = (*TINY, "train.steps=10000000", "train.sample_every=0", "train.log_every=200", "train.checkpoint_every=100")
SCRIPT = """
import os
from gan_cli.commands.train import train
from gan_cli.games.gan import GAN
import torch
play = GAN.play
def played(self, step):
    if os.environ["RANK"] == "1" and step == 8:
        {what}
    return play(self, step)
GAN.play = played
train()
"""


class Job:
    """A torchrun of two processes, in the current directory."""

    def __init__(self, *arguments: str, script: str | None = None, command: str = "gan-train") -> None:
        train = [sys.executable, "-c", f"from gan_cli.commands.{command[4:]} import {command[4:]} as c; c()"]
        if script is not None:
            Path("script.py").write_text(script)
            train = [sys.executable, "script.py"]
        start = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "--no-python"]
        self.process = subprocess.Popen(
            [*start, *train, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )

    def ranks(self) -> list[int]:
        """The process numbers of the ranks, in order."""
        children = subprocess.run(["ps", "-o", "pid=", "--ppid", str(self.process.pid)], capture_output=True, text=True)
        found = [int(line) for line in children.stdout.split()]
        return sorted(found, key=lambda pid: int(_environment(pid)["RANK"]))

    def wait(self, seconds: float = 90) -> tuple[int, str]:
        """Its exit code and all that was printed."""
        output, _ = self.process.communicate(timeout=seconds)
        return self.process.returncode, output

    def until(self, path: str) -> None:
        """Wait for a file."""
        while not Path(path).exists():
            assert self.process.poll() is None, self.process.stdout and self.process.stdout.read()
            time.sleep(0.05)


def _environment(pid: int) -> dict[str, str]:
    found = Path(f"/proc/{pid}/environ").read_text().split("\0")
    return dict(entry.split("=", 1) for entry in found if "=" in entry)


def alive(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False


def status(run: str) -> dict[str, str]:
    return dict(json.loads(Path(run, "status.json").read_text()))


def files(run: str) -> set[str]:
    found = {str(path.relative_to(run)) for path in Path(run).rglob("*")}
    return {re.sub(r"tfevents\..*", "tfevents", name) for name in found}


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def alone(*arguments: str) -> str:
    command = [sys.executable, "-c", "from gan_cli.commands.train import train; train()", *arguments]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=90, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_two_ranks_leave_what_one_leaves() -> None:
    code, output = Job(*TINY, "hydra.run.dir=two").wait()
    assert code == 0, output
    assert output.count("64 samples of 2; 12 steps of 16 samples, 8 on each of 2 ranks; cpu, fp32, 1 threads") == 1
    assert output.count("all steps done") == 1
    alone(*TINY, "hydra.run.dir=one")
    assert files("two") == files("one")
    one, two = (json.loads(Path(run, "summary.json").read_text()) for run in ("one", "two"))
    assert two["images_seen"] == one["images_seen"] == 12 * 16
    assert two["loss/D"] == pytest.approx(one["loss/D"], rel=1e-4)
    assert checkpoint.load(Path("two/checkpoints/last.safetensors")).facts["ranks"] == 2


@pytest.mark.slow
def test_resume_on_two_ranks_is_bit_exact_and_on_one_is_told() -> None:
    assert Job(*TINY, "hydra.run.dir=straight").wait()[0] == 0
    assert Job(*TINY, "train.steps=6", "hydra.run.dir=run").wait()[0] == 0
    code, output = Job("resume=run", "train.steps=12").wait()
    assert code == 0, output
    assert output.count("resuming at step 6") == 1
    assert "not bit-exact" not in output
    assert_same(*(checkpoint.load(Path(run, "checkpoints/last.safetensors")) for run in ("straight", "run")))
    assert told("straight") == told("run")
    output = alone("resume=run", "train.steps=18")
    assert "not bit-exact from here on: ranks was 2, is 1" in output
    alone(*TINY, "train.steps=18", "hydra.run.dir=one")
    one, run = (checkpoint.load(Path(run, "checkpoints/last.safetensors")) for run in ("one", "run"))
    for name, tensor in one.part("network").items():
        assert run.part("network")[name] == pytest.approx(tensor, abs=1e-3), name


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1])
def test_a_killed_rank_ends_the_job_with_its_reason_and_a_resume_goes_on(rank: int) -> None:
    job = Job(*ENDLESS, "hydra.run.dir=run")
    job.until("run/checkpoints/step_00000100.safetensors")
    ranks = job.ranks()
    os.kill(ranks[rank], signal.SIGKILL)
    code, output = job.wait(30)
    assert code != 0
    assert not any(alive(pid) for pid in ranks)
    found = status("run")
    assert found["state"] == "failed"
    assert re.match(rf"rank {rank} ended without a word .*; gan-train resume=\S+run goes on", found["reason"])
    assert output.count(f"gan-train: {found['reason']}") == 1
    before = checkpoint.load(Path("run/checkpoints/last.safetensors")).step
    code, output = Job("resume=run", f"train.steps={before + 20}").wait()
    assert code == 0, output
    assert status("run") == {"state": "finished", "step": before + 20, "reason": "all steps done"}


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_torchrun_stops_all_ranks_at_one_step_after_saving(number: signal.Signals) -> None:
    job = Job(*ENDLESS, "hydra.run.dir=run")
    job.until("run/checkpoints/step_00000100.safetensors")
    job.process.send_signal(number)
    _, output = job.wait(30)
    found = status("run")
    assert (found["state"], found["reason"]) == ("interrupted", f"stopped by signal {number}")
    assert checkpoint.load(Path("run/checkpoints/last.safetensors")).step == found["step"]
    assert output.count("go on with: gan-train resume=") == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("what", "reason"),
    [
        ("raise ValueError('out of luck')", r"rank 1: ValueError: out of luck; gan-train resume=\S+ goes on"),
        (
            "next(self.generator.parameters()).data.add_(1)",
            r"the ranks have drifted apart by step 12: \d+ of \d+ tensors differ between them, the first is network/.*",
        ),
    ],
    ids=["raises", "drifts"],
)
def test_what_goes_wrong_on_another_rank_is_told_by_the_first(what: str, reason: str) -> None:
    code, output = Job(*TINY, "hydra.run.dir=run", script=SCRIPT.format(what=what)).wait(60)
    assert code != 0
    found = status("run")
    assert found["state"] == "failed"
    assert re.fullmatch(reason, found["reason"]), found
    assert output.count(f"gan-train: {found['reason']}") == 1


@pytest.mark.slow
def test_all_ranks_diverge_at_once_and_one_tells() -> None:
    code, output = Job(*TINY, "optim=sgd", "optim.lr=1e30", "hydra.run.dir=run").wait(60)
    assert code != 0
    assert status("run")["state"] == "diverged"
    assert output.count("became NaN or infinite at step") == 1
    assert len(list(Path("run/checkpoints").glob("diverged_*"))) == 1


@pytest.mark.slow
def test_a_time_budget_ends_all_ranks_at_one_step() -> None:
    code, output = Job(*ENDLESS, "train.minutes=0.02", "hydra.run.dir=run").wait(60)
    assert code == 0, output
    assert status("run")["reason"] == "train.minutes=0.02 spent"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["tran.steps=3"], "Did you mean: train?"),
        (["train.batch_size=15"], "train.batch_size=15 cannot be shared out among 2 ranks: train.batch_size=14 can"),
        (["-m", "seed=1,2"], "-m asks for several runs: leave out -m, or train the sweep without torchrun"),
        (["resume=nothing"], "resume=nothing: not a run directory"),
    ],
    ids=["key", "batch", "sweep", "resume"],
)
def test_a_refusal_is_told_once_and_ends_all_ranks_with_its_code(arguments: list[str], message: str) -> None:
    code, output = Job(*TINY, *arguments).wait(60)
    assert code != 0
    assert output.count(message) == 1
    assert re.findall(r"exitcode *: (-?\d+)", output)[-2:] == ["2", "2"]
    assert not Path("outputs").exists()


@pytest.mark.slow
def test_a_dry_run_tells_once_and_leaves_nothing() -> None:
    code, output = Job(*TINY, "dry_run=true").wait(60)
    assert code == 0, output
    assert output.count("images/s") == 1
    assert not Path("outputs").exists()
