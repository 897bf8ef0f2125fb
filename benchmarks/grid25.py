"""How many of 25 modes does each loss find? Trains every row ten times and prints the table of docs/axes.md.

    python benchmarks/grid25.py                  about an hour on two cores; a finished row is kept, another begins anew
    python benchmarks/grid25.py --table          the table of what there is

Intervals are Student's, 95 %, over the seeds.
"""

import argparse
import json
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from interval import interval

ROWS = {
    "bce": ["loss=bce"],
    "lsgan": ["loss=lsgan"],
    "hinge": ["loss=hinge"],
    "rsgan + r1r2": ["loss=rsgan", "penalty=r1r2", "penalty.gamma=0.1"],
    "wgan + gp": ["loss=wgan", "penalty=gp", "penalty.weight=0.1"],
    "wgan + gp, 5 D steps": [
        "loss=wgan",
        "penalty=gp",
        "penalty.weight=0.1",
        "train.d_steps=5",
        "optim.betas=[0.5,0.9]",
    ],
}
SEEDS = 10


def directory(out: Path, row: str) -> Path:
    return out / row.replace(" ", "").replace("+", "_").replace(",", "_")


def train(out: Path, row: str) -> None:
    """The row's sweep over seeds, unless it is there."""
    where = directory(out, row)
    if len(summaries(where)) == SEEDS:
        return
    shutil.rmtree(where, ignore_errors=True)
    command = "from gan_cli.commands.train import train; train()"
    overrides = ["-m", "experiment=grid25", *ROWS[row], f"seed=range({SEEDS})", "device.threads=1"]
    subprocess.run(
        [sys.executable, "-c", command, *overrides, f"hydra.sweep.dir={where}"],
        check=True,
        stdout=subprocess.DEVNULL,
    )


def summaries(where: Path) -> list[dict[str, float]]:
    return [json.loads(path.read_text()) for path in sorted(where.glob("*/summary.json"))]


def table(out: Path) -> str:
    lines = ["| | modes of 25 | all 25 | high quality, % | million images shown to D |", "|---|---|---|---|---|"]
    for row in ROWS:
        found = summaries(directory(out, row))
        if len(found) != SEEDS:
            continue
        modes = [run["metrics/modes"] for run in found]
        lines.append(
            f"| {row} | {interval(modes, 1)} | {sum(m == 25 for m in modes)} of {SEEDS} | "
            f"{interval([run['metrics/high_quality'] for run in found], 1, 100)} | "
            f"{found[0]['images_seen'] / 1e6:.2f} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("outputs/grid25"))
    parser.add_argument("--jobs", type=int, default=2, help="rows at a time, one thread each")
    parser.add_argument("--table", action="store_true", help="train nothing")
    options = parser.parse_args()
    if not options.table:
        with ThreadPoolExecutor(options.jobs) as pool:
            list(pool.map(lambda row: train(options.out, row), ROWS))
    print(table(options.out))


if __name__ == "__main__":
    main()
