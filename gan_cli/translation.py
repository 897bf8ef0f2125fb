"""Pictures of one domain as the generators of a CycleGAN make them pictures of the other."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from gan_cli import images
from gan_cli.data.dataset import Dataset, as_network_input, evenly

DIRECTIONS = ("a2b", "b2a")
_COLUMNS = 8


@dataclass(frozen=True)
class Translator:
    """The generators of both directions, in evaluation mode while they translate.

    Attributes:
        generators: "a2b" and "b2a".
        device: where they lie.
    """

    generators: nn.ModuleDict
    device: torch.device

    @torch.no_grad()
    def __call__(self, samples: Tensor, direction: str) -> Tensor:
        """Samples (N, C, H, W) in [-1, 1] to as many of the other domain, float32."""
        with self._evaluating():
            made: Tensor = self.generators[direction](samples.to(self.device))
        return made.float()

    def there_and_back(self, samples: Tensor, direction: str) -> tuple[Tensor, Tensor]:
        """The translations of samples, and these translated back."""
        there = self(samples, direction)
        return there, self(there, DIRECTIONS[1 - DIRECTIONS.index(direction)])

    @contextmanager
    def _evaluating(self) -> Iterator[None]:
        modes = {module: module.training for module in self.generators.modules()}
        self.generators.eval()
        try:
            yield
        finally:
            for module, mode in modes.items():
                module.training = mode


@dataclass(frozen=True)
class TranslationPreview:
    """What a run of CycleGAN looks at: the same pictures of both domains every time, there and back.

    Attributes:
        domains: "a" and "b".
        columns: of a grid, each one picture of either domain; None: eight.
    """

    domains: dict[str, Dataset]
    translator: Translator
    columns: int | None = None

    @property
    def datasets(self) -> Sequence[Dataset]:
        """Both domains."""
        return (self.domains["a"], self.domains["b"])

    def real(self) -> Tensor:
        """A grid of a row of either domain: uint8 (C, H, W)."""
        return images.grid(self.real_samples(), self._columns)

    def fake(self) -> Tensor:
        """A grid of six rows: A, A→B, A→B→A, and B, B→A, B→A→B."""
        rows = []
        for domain, direction in zip(("a", "b"), DIRECTIONS, strict=True):
            real = self._real(domain, self._columns)
            rows += [real, *(made.to(real.device) for made in self.translator.there_and_back(real, direction))]
        return images.grid(torch.cat(rows), self._columns)

    def fakes(self, count: int) -> Tensor:
        """Pictures of both domains in turn, each followed by its translation: (count, C, H, W)."""
        told = []
        for domain, direction in zip(("a", "b"), DIRECTIONS, strict=True):
            real = self._real(domain, -(-count // 4))
            told += [real, self.translator(real, direction).to(real.device)]
        return torch.stack(told, 1).flatten(0, 1)[:count]

    def real_samples(self) -> Tensor:
        """Pictures from all over domain A, then from all over domain B; some of them twice where they are few."""
        return torch.cat([self._real(domain, self._columns) for domain in ("a", "b")])

    @property
    def _columns(self) -> int:
        return self.columns or _COLUMNS

    def _real(self, domain: str, count: int) -> Tensor:
        stored = self.domains[domain].samples
        return as_network_input(stored[evenly(len(stored), count).to(stored.device)])
