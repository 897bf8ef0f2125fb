"""Writes this version's files into tests/releases: run once for each release, from the source tree.

python tests/make_release_files.py
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from gan_cli import __version__, checkpoint
from gan_cli.latents import Latents
from gan_cli.networks import restore_generator
from gan_cli.sampling import Sampler
from gan_cli.streams import Streams

RUNS = {
    "mlp": ["model=mlp", "data=gaussian2d", "model.generator.widths=[8]", "model.discriminator.widths=[8]"],
    "dcgan": [
        "model=dcgan",
        "data.limit=64",
        "loss=lsgan",
        "model.generator={hidden:8,widths:[4,4]}",
        "model.discriminator={hidden:8,widths:[2,4]}",
    ],
    "dcgan64": [
        "model=dcgan64",
        "data.limit=64",
        "latent.distribution=normal",
        "model.generator.widths=[2,2,2,2]",
        "model.discriminator.widths=[2,2,2,2]",
    ],
}
COMMON = ["train.steps=3", "train.batch_size=8", "latent.dim=4", "train.keep=0", "train.sample_every=0"]


def drawn(path: Path) -> list[float]:
    """A few numbers of the first two samples of seed 0."""
    stored = checkpoint.load(path)
    config, generator = restore_generator(stored, [])
    streams = Streams(0, next(generator.parameters()).device)
    two = Sampler(generator, Latents(config.latent.dim, config.latent.distribution.name, streams))([0, 1])
    return [float(number) for number in two.flatten(1)[:, ::97].flatten()]


def main() -> None:
    folder = Path(__file__).parent / "releases"
    for name, overrides in RUNS.items():
        path = folder / f"{__version__}_{name}.safetensors"
        with tempfile.TemporaryDirectory() as directory:
            command = [sys.executable, "-c", "from gan_cli.commands.train import train; train()"]
            subprocess.run([*command, *overrides, *COMMON, f"hydra.run.dir={directory}/run"], check=True)
            path.write_bytes(Path(directory, "run/checkpoints/last.safetensors").read_bytes())
        path.with_suffix(".json").write_text(json.dumps(drawn(path)))


if __name__ == "__main__":
    main()
