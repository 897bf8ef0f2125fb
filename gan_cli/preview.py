"""The pictures of a run: real samples once, and fakes from the same latents every time."""

from dataclasses import dataclass

from torch import Tensor, nn

from gan_cli import images
from gan_cli.data.dataset import Dataset, as_network_input
from gan_cli.latents import Latents
from gan_cli.sampling import sample

_IMAGES, _POINTS = 64, 512


@dataclass(frozen=True)
class Preview:
    """Makes the pictures; `gan-sample` with the run's seed draws the same samples."""

    dataset: Dataset
    generator: nn.Module
    latents: Latents

    def real(self) -> Tensor:
        """A grid of the first real images, or a scatter plot of real points: uint8 (C, H, W)."""
        first = as_network_input(self.dataset.first(self._count).samples)
        return images.grid(first) if self.dataset.is_images else images.scatter({"real": first})

    def fake(self) -> Tensor:
        """A grid of fakes, or a scatter plot of real and generated points: uint8 (C, H, W)."""
        fakes = sample(self.generator, self.latents, range(self._count))
        if self.dataset.is_images:
            return images.grid(fakes)
        return images.scatter({"real": self.dataset.first(self._count).samples, "generated": fakes})

    @property
    def _count(self) -> int:
        return _IMAGES if self.dataset.is_images else _POINTS
