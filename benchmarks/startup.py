"""How long until something happens? Fresh processes, beside `import torch` in one of its own.

python benchmarks/startup.py --rounds 5
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from table import Row, machine, table

_TRAIN = [sys.executable, "-c", "from gan_cli.commands.train import train; train()"]
_MISTAKE = "optim.leraning_rate=3"


def _ended(*command: str) -> Callable[[], float]:
    """Seconds until a command has ended."""

    def measured() -> float:
        start = time.perf_counter()
        subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
        return time.perf_counter() - start

    return measured


def _first_step() -> float:
    """Seconds from the start of `gan-train`, as it comes, until a checkpoint says that its first step is done."""
    with tempfile.TemporaryDirectory() as directory:
        run = Path(directory) / "run"
        start = time.perf_counter()
        process = subprocess.Popen(
            [*_TRAIN, "train.checkpoint_every=1", f"hydra.run.dir={run}"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        while process.poll() is None and not list(run.glob("checkpoints/step_*.safetensors")):
            time.sleep(0.005)
        taken = time.perf_counter() - start
        process.kill()
        process.wait()
        return taken


def rows(rounds: int) -> Iterator[Row]:
    """Help, a mistake and the first step; the first round warms up."""
    measured = {
        "torch": _ended(sys.executable, "-c", "import torch"),
        "gan-train --help": _ended(*_TRAIN, "--help"),
        f"a mistake (gan-train {_MISTAKE})": _ended(*_TRAIN, _MISTAKE),
        "gan-train: from typing to the first step": _first_step,
    }
    times = [{name: take() for name, take in measured.items()} for _ in range(rounds + 1)][1:]
    for name in list(measured)[1:]:
        pairs = [(taken["torch"], taken[name]) for taken in times]
        if measured[name] is _first_step:
            yield Row.of(name, "s", pairs, 0.5, lambda ours: "beside `import torch`")
        else:
            yield Row.of(name, "s", pairs, note=lambda ours: f"within a second {'✓' if ours < 1 else '✗'}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    print(machine())
    print(table("Start-up", rows(options.rounds)))


if __name__ == "__main__":
    main()
