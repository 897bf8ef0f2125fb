"""What a run looks at: real samples once, and fakes from the same latents every time."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from gan_cli import images
from gan_cli.data.dataset import Dataset, as_network_input
from gan_cli.latents import Latents
from gan_cli.metrics.modes import PERFECT_IN_THE_PLANE, mode_coverage
from gan_cli.sampling import sample

_IMAGES, _POINTS = 64, 512
_MODE_SAMPLES = 2500  # of which modes are counted, as in the papers that define the count


@dataclass(frozen=True)
class Measure:
    """One metric of the fakes.

    Attributes:
        name: as in `metrics/NAME`.
        count: of how many fakes.
        weights: "raw", or "ema" where an average of the generator drew them.
        floor: what a perfect generator scores; of modes, where they do not overlap.
    """

    name: str
    value: float
    count: int
    floor: float
    weights: str


@dataclass(frozen=True)
class Look:
    """What was seen: a picture, uint8 (C, H, W), and what was measured beside it."""

    picture: Tensor
    measures: Sequence[Measure] = ()


@dataclass(frozen=True)
class Preview:
    """Makes the pictures; `gan-sample` with the run's seed draws the same fakes.

    Attributes:
        generator: the one that draws; `weights` says which it is.
    """

    dataset: Dataset
    generator: nn.Module
    latents: Latents
    weights: str = "raw"

    def real(self) -> Tensor:
        """A grid of real images, or a scatter plot of real points: uint8 (C, H, W)."""
        real = self._real()
        return images.grid(real) if self.dataset.is_images else images.scatter({"real": real})

    def fake(self) -> Look:
        """A grid of fakes, or a scatter plot of real and generated points, with modes counted where there are modes."""
        mixture = self.dataset.mixture
        fakes = sample(self.generator, self.latents, range(_MODE_SAMPLES if mixture else self._count))
        if self.dataset.is_images:
            return Look(images.grid(fakes))
        points = {"real": self._real(), "generated": fakes[: self._count]}
        if mixture is None:
            return Look(images.scatter(points))
        found, modes = mode_coverage(fakes.cpu(), mixture.means, mixture.std), len(mixture.means)
        title = f"{found.modes} of {modes} modes, {found.high_quality:.1%} of high quality"
        measures = [
            Measure("modes", found.modes, len(fakes), modes, self.weights),
            Measure("high_quality", found.high_quality, len(fakes), PERFECT_IN_THE_PLANE, self.weights),
        ]
        return Look(images.scatter(points, title), measures)

    def _real(self) -> Tensor:
        """Samples from all over the data, whose neighbours are often alike."""
        count = min(self._count, len(self.dataset))
        chosen = torch.arange(count) * len(self.dataset) // count
        return as_network_input(self.dataset.samples[chosen.to(self.dataset.samples.device)])

    @property
    def _count(self) -> int:
        return _IMAGES if self.dataset.is_images else _POINTS
