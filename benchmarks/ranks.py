"""What two processes bring beside one, on this machine: images per second of the training steps alone.

Each round trains every row once, one after the other, so that what else the machine does falls on all alike; the
median over the rounds is printed, and its ratio to one process with one thread.

    python benchmarks/ranks.py --rounds 5 --steps 40 model=dcgan
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

QUIET = ("train.log_every=0", "train.sample_every=0", "train.evaluate_every=0", "train.checkpoint_every=0")
TRAIN = [sys.executable, "-c", "from gan_cli.commands.train import train; train()"]
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--no-python", "--nproc-per-node=2"]
ROWS = {
    "one process, one thread": (TRAIN, "1"),
    "one process, two threads": (TRAIN, "2"),
    "two processes, one thread each": (TORCHRUN + TRAIN, "1"),
}


def images_per_s(start: list[str], threads: str, steps: int, overrides: list[str]) -> float:
    """The speed that a run's summary tells."""
    with tempfile.TemporaryDirectory() as directory:
        run = [f"hydra.run.dir={directory}/run", f"train.steps={steps}", f"device.threads={threads}"]
        environment = os.environ | {"OMP_NUM_THREADS": threads}
        subprocess.run([*start, *QUIET, *run, *overrides], check=True, capture_output=True, env=environment)
        return float(json.loads(Path(directory, "run/summary.json").read_text())["images_per_s"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("overrides", nargs="*", default=["model=dcgan"])
    options = parser.parse_args()
    found: dict[str, list[float]] = {name: [] for name in ROWS}
    for _ in range(options.rounds):
        for name, (start, threads) in ROWS.items():
            found[name].append(images_per_s(start, threads, options.steps, options.overrides))
    base = statistics.median(found["one process, one thread"])
    load = " ".join(f"{number:.1f}" for number in os.getloadavg())
    print(f"{' '.join(options.overrides)}, {options.rounds} rounds of {options.steps} steps; load {load}")
    print(f"{'':32}{'images/s':>10}{'ratio':>8}   lowest to highest")
    for name, speeds in found.items():
        middle = statistics.median(speeds)
        print(f"{name:32}{middle:10,.0f}{middle / base:8.2f}   {min(speeds):,.0f} to {max(speeds):,.0f}")


if __name__ == "__main__":
    main()
