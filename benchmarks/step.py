"""How fast is our training step? Measured beside a loop written the way notebooks write it, in the same process.

    make bench                                    all rows
    python benchmarks/step.py --rounds 9 --steps 40

The two take turns, and the figure is the median over rounds of the ratio of their times: this holds still where the
speed of a shared machine does not.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from torch import nn
from torch.utils.data import DataLoader, Dataset

from gan_cli.build import build
from gan_cli.conf_dir import CONF_DIR
from gan_cli.data.mnist import load
from gan_cli.games.gan import GAN
from gan_cli.parse import parse, split
from gan_cli.run import Run
from gan_cli.run_directory import RunDirectory

ROWS = {
    "MLP, MNIST, fp32": ["model=mlp"],
    "MLP, MNIST, bf16": ["model=mlp", "device.precision=bf16"],
    "DCGAN, MNIST, fp32": ["model=dcgan"],
    "DCGAN, MNIST, bf16": ["model=dcgan", "device.precision=bf16"],
}
BATCH = 128


class Pictures(Dataset[tuple[torch.Tensor, int]]):
    """MNIST one image at a time, scaled as `ToTensor` scales it."""

    def __init__(self) -> None:
        data = load()
        assert data.labels is not None
        self.images, self.labels = data.samples, data.labels

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return self.images[index].float().div(255).mul(2).sub(1), int(self.labels[index])


def notebook(run: Run) -> Callable[[], None]:
    """The plain loop, on networks of the same architecture."""
    game = run.game
    assert isinstance(game, GAN)
    generator, discriminator = game.generator, game.critic.discriminator
    d_optimizer = torch.optim.Adam(discriminator.parameters(), 1e-3, (0.5, 0.999), foreach=False)
    g_optimizer = torch.optim.Adam(generator.parameters(), 1e-3, (0.5, 0.999), foreach=False)
    loss = nn.BCEWithLogitsLoss()
    loader = DataLoader(Pictures(), BATCH, shuffle=True, drop_last=True)
    batches = iter(loader)

    def step() -> None:
        nonlocal batches
        try:
            real, _ = next(batches)
        except StopIteration:
            batches = iter(loader)
            real, _ = next(batches)
        ones, zeros = torch.ones(BATCH), torch.zeros(BATCH)
        discriminator.requires_grad_(True)
        generator.requires_grad_(True)
        d_optimizer.zero_grad()
        fake = generator(torch.rand(BATCH, 96) * 2 - 1)
        d_loss = loss(discriminator(real), ones) + loss(discriminator(fake.detach()), zeros)
        d_loss.backward()
        d_optimizer.step()
        g_optimizer.zero_grad()
        g_loss = loss(discriminator(generator(torch.rand(BATCH, 96) * 2 - 1)), ones)
        g_loss.backward()
        g_optimizer.step()
        d_loss.item()
        g_loss.item()

    return step


def built(overrides: list[str], directory: Path) -> Run:
    """A run as `gan-train` would build it."""
    OmegaConf.register_new_resolver("new_run_dir", lambda parent: parent, replace=True)
    with initialize_config_dir(config_dir=CONF_DIR, version_base="1.3"):
        return build(parse(split(compose("train", overrides=overrides))[1]), RunDirectory(directory))


def seconds(step: Callable[[], None], steps: int) -> float:
    """Wall-clock seconds of that many steps."""
    start = time.perf_counter()
    for _ in range(steps):
        step()
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=20)
    options = parser.parse_args()
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, batch {BATCH}")
    print(f"{'':22}{'notebook':>12}{'gan-train':>12}{'ratio':>8}   images/s")
    for name, overrides in ROWS.items():
        with tempfile.TemporaryDirectory() as directory:
            ours, plain = built(overrides, Path(directory)), notebook(built(overrides[:1], Path(directory)))
            rounds = []
            for number in range(options.rounds + 1):
                one, two = seconds(plain, options.steps), seconds(ours.advance, options.steps)
                if number:  # the first warms up
                    rounds.append((one, two))
        images = BATCH * options.steps
        slow, fast = (images / statistics.median(times) for times in zip(*rounds, strict=True))
        ratio = statistics.median(one / two for one, two in rounds)
        print(f"{name:22}{slow:12,.0f}{fast:12,.0f}{ratio:8.2f}")


if __name__ == "__main__":
    main()
