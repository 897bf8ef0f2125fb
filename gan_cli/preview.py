"""What a run looks at: real samples once, and fakes from the same latents every time."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from gan_cli import images, plots
from gan_cli.data.dataset import Dataset, as_network_input, evenly
from gan_cli.metrics.modes import MODE_SAMPLES, mode_coverage
from gan_cli.sampling import Sampler, by_class

_IMAGES, _POINTS = 64, 512
_ROWS, _COLUMNS = 10, 8  # of a grid with a class in each row


class Preview(Protocol):
    """Makes the pictures that a run shows while it goes on, whatever its game."""

    @property
    def datasets(self) -> Sequence[Dataset]:
        """All that is trained on, of one sample shape."""

    def real(self) -> Tensor:
        """A picture of real samples: uint8 (C, H, W)."""

    def fake(self) -> Tensor:
        """A picture of what the generators make now: uint8 (C, H, W)."""

    def fakes(self, count: int) -> Tensor:
        """What the generators make now, float32 (count, *sample_shape)."""

    def real_samples(self) -> Tensor:
        """Real samples from all over the data, float32 (N, *sample_shape)."""


@dataclass(frozen=True)
class SamplePreview:
    """The pictures of a generator that draws; `gan-sample` with the run's seed draws the same fakes.

    Attributes:
        sampler: draws the fakes; where it knows classes, each has a row of the grid.
        shown: how many fakes; None: 64 images, ten rows of classes, or 512 points.
        columns: of a grid; None: as square as it gets, or eight of each class.
    """

    dataset: Dataset
    sampler: Sampler
    shown: int | None = None
    columns: int | None = None

    @property
    def datasets(self) -> Sequence[Dataset]:
        """The one that there is."""
        return (self.dataset,)

    def fakes(self, count: int) -> Tensor:
        """The first samples, float32 (count, *sample_shape)."""
        return self.sampler(range(count))

    def real(self) -> Tensor:
        """A grid of real images, or a scatter plot of real points: uint8 (C, H, W)."""
        real = self.real_samples()
        return images.grid(real, self._columns) if self.dataset.is_images else plots.scatter({"real": real})

    def fake(self) -> Tensor:
        """A grid of fakes, or a scatter plot of real and generated points, with modes counted where there are modes."""
        if self.dataset.is_images:
            return images.grid(self.sampler(self._indices), self._columns)
        mixture, title = self.dataset.mixture, ""
        fakes = self.sampler(range(max(MODE_SAMPLES, self._count) if mixture else self._count))
        if mixture is not None:
            found = mode_coverage(fakes[:MODE_SAMPLES].cpu(), mixture.means, mixture.std)
            title = f"{found.modes} of {len(mixture.means)} modes, {found.high_quality:.1%} of high quality"
        return plots.scatter({"real": self.real_samples(), "generated": fakes[: self._count]}, title)

    def real_samples(self) -> Tensor:
        """Samples from all over the data, whose neighbours are often alike; or from all over each class shown."""
        stored, labels = self.dataset.samples, self.dataset.labels
        if not self._by_class or labels is None:
            chosen = evenly(
                len(self.dataset), min(self._count if self.dataset.is_images else _POINTS, len(self.dataset))
            )
            return as_network_input(stored[chosen.to(stored.device)])
        rows, columns = [], self.columns or _COLUMNS
        for index in self._indices[::columns]:  # the first of each row has its class for a number
            (members,) = torch.where(labels == index)
            rows.append(stored[members[evenly(len(members), columns).to(stored.device)]] if len(members) else None)
        blank = torch.zeros_like(stored[:1]).expand(columns, *stored.shape[1:])
        return as_network_input(torch.cat([blank if row is None else row for row in rows]))

    @property
    def _by_class(self) -> bool:
        return self.dataset.is_images and self.sampler.num_classes > 0

    @property
    def _count(self) -> int:
        return self.shown or (_IMAGES if self.dataset.is_images else _POINTS)

    @property
    def _indices(self) -> Sequence[int]:
        if not self._by_class:
            return range(self._count)
        columns = self.columns or _COLUMNS
        rows = _ROWS if self.shown is None else max(1, self.shown // columns)
        return by_class(self.sampler.num_classes, rows, columns)

    @property
    def _columns(self) -> int | None:
        return self.columns or (_COLUMNS if self._by_class else None)
