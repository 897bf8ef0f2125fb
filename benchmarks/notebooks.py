"""The training loops that people copy, written the way notebooks write them: what our step is measured against.

Nothing here is slowed down on purpose, and nothing is sped up: a torchvision data set read one sample at a time where
the text does so, Adam as its constructor makes it, gradients of the discriminator's weights in the generator's step,
and both losses read every step.
"""

import gzip
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Sampler, TensorDataset
from torchvision import transforms
from torchvision.datasets import MNIST

import gan_cli.data

Step = Callable[[], None]
_SHIPPED = Path(gan_cli.data.__file__).parent / "mnist_idx"


def cs231n(convolutional: bool, directory: Path) -> Step:
    """CS231n's GAN or DCGAN on the first 50,000 digits, batch 128, noise of 96 numbers uniform on (-1, 1)."""
    discriminator, generator = _dcgan() if convolutional else _mlp()
    batches = _forever(_digits(directory))
    d_optimizer = torch.optim.Adam(discriminator.parameters(), lr=1e-3, betas=(0.5, 0.999))
    g_optimizer = torch.optim.Adam(generator.parameters(), lr=1e-3, betas=(0.5, 0.999))
    bce = nn.BCEWithLogitsLoss()

    def step() -> None:
        x, _ = next(batches)
        ones, zeros = torch.ones(128, 1), torch.zeros(128, 1)

        d_optimizer.zero_grad()
        real = 2 * (x - 0.5)
        logits_real = discriminator(real)
        fake = generator(2 * torch.rand(128, 96) - 1).detach()
        logits_fake = discriminator(fake)
        d_error = bce(logits_real, ones) + bce(logits_fake, zeros)
        d_error.backward()
        d_optimizer.step()

        g_optimizer.zero_grad()
        fake = generator(2 * torch.rand(128, 96) - 1)
        g_error = bce(discriminator(fake), ones)
        g_error.backward()
        g_optimizer.step()

        d_error.item(), g_error.item()

    return step


def d2l_dcgan(images: Tensor, batch: int, device: str = "cpu") -> Step:
    """D2L's DCGAN, fed from memory.

    Args:
        images: float32 (N, 3, 64, 64) in [-1, 1], where the step is to run.
    """
    discriminator, generator = (network.to(device) for network in _dcgan64())
    d_optimizer = torch.optim.Adam(discriminator.parameters(), lr=0.005, betas=(0.5, 0.999))
    g_optimizer = torch.optim.Adam(generator.parameters(), lr=0.005, betas=(0.5, 0.999))
    d2l = _d2l(generator, discriminator, d_optimizer, g_optimizer)
    chosen = _from_memory(images, batch)
    return lambda: d2l(next(chosen), torch.randn(batch, 100, 1, 1, device=device))


def d2l_gaussian(points: Tensor) -> Step:
    """D2L's GAN of a 2-D Gaussian, batch 8.

    Args:
        points: (N, 2).
    """
    generator = nn.Sequential(nn.Linear(2, 2))
    discriminator = nn.Sequential(nn.Linear(2, 5), nn.Tanh(), nn.Linear(5, 3), nn.Tanh(), nn.Linear(3, 1))
    for parameter in [*generator.parameters(), *discriminator.parameters()]:
        nn.init.normal_(parameter, 0, 0.02)
    d_optimizer = torch.optim.Adam(discriminator.parameters(), lr=0.05)
    g_optimizer = torch.optim.Adam(generator.parameters(), lr=0.005)
    d2l = _d2l(generator, discriminator, d_optimizer, g_optimizer)
    batches = _forever(DataLoader(TensorDataset(points), 8, shuffle=True))
    return lambda: d2l(next(batches)[0], torch.randn(8, 2))


def from_memory(convolutional: bool, images: Tensor, batch: int, device: str) -> Step:
    """CS231n's networks fed from memory: the plain loop of a GPU, whose data do not wait for a data loader.

    Args:
        images: float32 (N, 1, 28, 28) in [-1, 1], on the device.
    """
    discriminator, generator = (network.to(device) for network in (_dcgan() if convolutional else _mlp()))
    d_optimizer = torch.optim.Adam(discriminator.parameters(), lr=1e-3, betas=(0.5, 0.999))
    g_optimizer = torch.optim.Adam(generator.parameters(), lr=1e-3, betas=(0.5, 0.999))
    plain = _d2l(generator, discriminator, d_optimizer, g_optimizer)
    chosen = _from_memory(images, batch)
    return lambda: plain(next(chosen), 2 * torch.rand(batch, 96, device=device) - 1)


def _d2l(
    generator: nn.Module,
    discriminator: nn.Module,
    d_optimizer: torch.optim.Optimizer,
    g_optimizer: torch.optim.Optimizer,
) -> Callable[[Tensor, Tensor], None]:
    bce = nn.BCEWithLogitsLoss()

    def step(real: Tensor, latents: Tensor) -> None:
        ones, zeros = real.new_ones(len(real)), real.new_zeros(len(real))
        latents = latents[: len(real)]

        d_optimizer.zero_grad()
        real_logits = discriminator(real)
        fake_logits = discriminator(generator(latents).detach())
        d_loss = (bce(real_logits.reshape(-1), ones) + bce(fake_logits.reshape(-1), zeros)) / 2
        d_loss.backward()
        d_optimizer.step()

        g_optimizer.zero_grad()
        g_loss = bce(discriminator(generator(latents)).reshape(-1), ones)
        g_loss.backward()
        g_optimizer.step()

        d_loss.item(), g_loss.item()

    return step


def _mlp() -> tuple[nn.Module, nn.Module]:
    discriminator = nn.Sequential(
        *(nn.Flatten(), nn.Linear(784, 256), nn.LeakyReLU(0.01), nn.Linear(256, 256), nn.LeakyReLU(0.01)),
        nn.Linear(256, 1),
    )
    generator = nn.Sequential(
        *(nn.Linear(96, 1024), nn.ReLU(), nn.Linear(1024, 1024), nn.ReLU()),
        *(nn.Linear(1024, 784), nn.Tanh(), nn.Unflatten(1, (1, 28, 28))),
    )
    return discriminator, generator


def _dcgan() -> tuple[nn.Module, nn.Module]:
    discriminator = nn.Sequential(
        *(nn.Conv2d(1, 32, 5), nn.LeakyReLU(0.01), nn.MaxPool2d(2)),
        *(nn.Conv2d(32, 64, 5), nn.LeakyReLU(0.01), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(1024, 1024), nn.LeakyReLU(0.01), nn.Linear(1024, 1)),
    )
    generator = nn.Sequential(
        *(nn.Linear(96, 1024), nn.ReLU(), nn.BatchNorm1d(1024)),
        *(nn.Linear(1024, 128 * 7 * 7), nn.ReLU(), nn.BatchNorm1d(128 * 7 * 7), nn.Unflatten(1, (128, 7, 7))),
        *(nn.ConvTranspose2d(128, 64, 4, 2, 1), nn.ReLU(), nn.BatchNorm2d(64)),
        *(nn.ConvTranspose2d(64, 1, 4, 2, 1), nn.Tanh()),
    )
    return discriminator, generator


def _dcgan64() -> tuple[nn.Module, nn.Module]:
    def down(width_in: int, width: int) -> list[nn.Module]:
        return [nn.Conv2d(width_in, width, 4, 2, 1, bias=False), nn.BatchNorm2d(width), nn.LeakyReLU(0.2)]

    def up(width_in: int, width: int, stride: int = 2, padding: int = 1) -> list[nn.Module]:
        return [
            nn.ConvTranspose2d(width_in, width, 4, stride, padding, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
        ]

    discriminator = nn.Sequential(
        *(*down(3, 64), *down(64, 128), *down(128, 256), *down(256, 512), nn.Conv2d(512, 1, 4, bias=False))
    )
    generator = nn.Sequential(
        *(*up(100, 512, 1, 0), *up(512, 256), *up(256, 128), *up(128, 64)),
        *(nn.ConvTranspose2d(64, 3, 4, 2, 1, bias=False), nn.Tanh()),
    )
    return discriminator, generator


class _InOrder(Sampler[int]):
    def __iter__(self) -> Iterator[int]:
        return iter(range(50_000))

    def __len__(self) -> int:
        return 50_000


def _digits(directory: Path) -> DataLoader[tuple[Tensor, Tensor]]:
    raw = directory / "MNIST" / "raw"
    raw.mkdir(parents=True, exist_ok=True)
    for packed in _SHIPPED.glob("*.gz"):
        (raw / packed.stem).write_bytes(gzip.decompress(packed.read_bytes()))
    data = MNIST(str(directory), train=True, transform=transforms.ToTensor())
    return DataLoader(data, batch_size=128, sampler=_InOrder(), drop_last=True)


def _forever(loader: DataLoader[tuple[Tensor, ...]]) -> Iterator[tuple[Tensor, ...]]:
    while True:
        yield from loader


def _from_memory(images: Tensor, batch: int) -> Iterator[Tensor]:
    while True:
        for chosen in torch.randperm(len(images), device=images.device).split(batch):
            if len(chosen) == batch:
                yield images[chosen]
