"""What is each stabilizer worth? Trains each row five times on MNIST and prints the table of docs/stabilizers.md.

    python benchmarks/stabilizers.py             about an hour on two cores; a finished row is kept, another begins anew
    python benchmarks/stabilizers.py --table     the table of what there is

Every row is the first one with one thing changed: a small DCGAN with the cross-entropy loss, 500 steps of 64 images.
KID is that of benchmarks/kid.py; intervals are Student's, 95 %, over the seeds.
"""

import argparse
import json
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
from interval import interval
from kid import kid

BASE = [
    *("model=dcgan", "model.generator.hidden=128", "model.generator.widths=[32,16]"),
    *("model.discriminator.hidden=128", "model.discriminator.widths=[8,16]"),
    *("train.batch_size=64", "train.steps=500", "train.log_every=500", "train.sample_every=500"),
    *("train.checkpoint_every=500", "train.keep=0", "device.threads=1"),
]
D = "model.discriminator"
FEW = "data.limit=500"
ROWS = {
    "nothing added": [],
    "spectral normalization": [f"{D}.norm=spectral"],
    "BatchNorm in D": [f"{D}.norm=batch"],
    "LayerNorm in D": [f"{D}.norm=layer"],
    "minibatch standard deviation, groups of 8": [f"{D}.minibatch_std=8"],
    "packing 2": [f"{D}.packing=2"],
    "instance noise 0.5 → 0": ["critic.noise={start:0.5,end:0}"],
    "critic sees flips": ["critic.flip=true"],
    "DiffAugment": ["augment=diffaugment"],
    "ADA": ["augment=ada", "augment.images=20000"],
    "dropout 0.3 in G": ["model.generator.dropout=0.3"],
    "EMA, half-life 2,000 images": ["ema.half_life=2000"],
    "orthogonal init": ["model.init=orthogonal"],
    "N(0, 0.02²) init": ["model.init=normal"],
    "PyTorch's init": ["model.init=default"],
    "two D steps": ["train.d_steps=2"],
    "D learns 4 times as fast as G": ["optim.generator.lr=5e-4", "optim.discriminator.lr=2e-3"],
    "unrolled, 3 steps": ["train.unroll=3"],
    "learning rates cosine → 0": ["optim.schedule.shape=cosine"],
    "β2 0.9 → 0.999": ["optim.betas=[0.5,{start:0.9,end:0.999}]"],
    "R1, γ = 1": ["penalty=r1"],
    "R1, γ 1 → 0.1": ["penalty=r1", "penalty.gamma={start:1,end:0.1,shape:cosine}"],
    "gradient clipped to length 1": ["optim.clip_norm=1"],
    "AdamW": ["optim=adamw"],
    "RMSprop": ["optim=rmsprop", "optim.lr=5e-4"],
    "SGD": ["optim=sgd", "optim.lr=0.05", "optim.momentum=0.5"],
    "label smoothing 0.9": ["loss.real_target=0.9"],
    "mirrored data": ["data.flip=true"],
    "500 images: nothing added": [FEW],
    "500 images: DiffAugment": [FEW, "augment=diffaugment"],
    "500 images: ADA": [FEW, "augment=ada", "augment.images=20000"],
    "500 images: instance noise 0.5 → 0": [FEW, "critic.noise={start:0.5,end:0}"],
    "500 images: R1, γ = 1": [FEW, "penalty=r1"],
}
SEEDS = 5


def directory(out: Path, row: str) -> Path:
    return out / f"{list(ROWS).index(row):02d}"


def train(out: Path, row: str) -> None:
    """The row's sweep over seeds, unless it is there and the row means what it meant."""
    where = directory(out, row)
    meant = where / "overrides.json"
    if meant.exists() and json.loads(meant.read_text()) == ROWS[row]:
        return
    shutil.rmtree(where, ignore_errors=True)
    command = "from gan_cli.commands.train import train; train()"
    overrides = ["-m", *BASE, *ROWS[row], f"seed=range({SEEDS})", f"hydra.sweep.dir={where}"]
    subprocess.run([sys.executable, "-c", command, *overrides], check=True, stdout=subprocess.DEVNULL)
    meant.write_text(json.dumps(ROWS[row]))


def measure(out: Path, row: str) -> None:
    """KID of each seed's generator, kept beside the run."""
    for run in sorted(directory(out, row).glob("[0-9]*")):
        if not (run / "kid.json").exists():
            (run / "kid.json").write_text(json.dumps(kid(run)))


def table(out: Path) -> str:
    lines = ["| | KID × 1000 |", "|---|---|"]
    for row in ROWS:
        found = [json.loads(path.read_text()) for path in sorted(directory(out, row).glob("*/kid.json"))]
        if len(found) == SEEDS:
            lines.append(f"| {row} | {interval(found, 0, 1000)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("outputs/stabilizers"))
    parser.add_argument("--jobs", type=int, default=2, help="rows at a time, one thread each")
    parser.add_argument("--table", action="store_true", help="train nothing")
    options = parser.parse_args()
    if not options.table:
        torch.set_num_threads(1)
        with ThreadPoolExecutor(options.jobs) as pool:
            for row, _ in zip(ROWS, pool.map(lambda row: train(options.out, row), ROWS), strict=True):
                measure(options.out, row)
    print(table(options.out))


if __name__ == "__main__":
    main()
