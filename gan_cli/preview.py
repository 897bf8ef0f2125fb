"""The pictures of a run: real samples once, and fakes from the same latents every time."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from gan_cli import images
from gan_cli.data.dataset import Dataset, as_network_input
from gan_cli.latents import Latents
from gan_cli.sampling import sample

_IMAGES, _POINTS = 64, 512


@dataclass(frozen=True)
class Preview:
    """Makes the pictures; `gan-sample` with the run's seed draws the same fakes."""

    dataset: Dataset
    generator: nn.Module
    latents: Latents

    def real(self) -> Tensor:
        """A grid of real images, or a scatter plot of real points: uint8 (C, H, W)."""
        real = self._real()
        return images.grid(real) if self.dataset.is_images else images.scatter({"real": real})

    def fake(self) -> Tensor:
        """A grid of fakes, or a scatter plot of real and generated points: uint8 (C, H, W)."""
        fakes = sample(self.generator, self.latents, range(self._count))
        if self.dataset.is_images:
            return images.grid(fakes)
        return images.scatter({"real": self._real(), "generated": fakes})

    def _real(self) -> Tensor:
        """Samples from all over the data, whose neighbours are often alike."""
        count = min(self._count, len(self.dataset))
        chosen = torch.arange(count) * len(self.dataset) // count
        return as_network_input(self.dataset.samples[chosen.to(self.dataset.samples.device)])

    @property
    def _count(self) -> int:
        return _IMAGES if self.dataset.is_images else _POINTS
