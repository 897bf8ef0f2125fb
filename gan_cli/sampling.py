"""Drawing samples from a generator, so that sample i depends on the seed, on i and on the label asked for alone."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.modules.dropout import _DropoutNd

from gan_cli.latents import Latents

CHUNK = 64
"""Samples are made in aligned chunks of this size: the numbers of one depend, in their last bits, on its batch."""


@dataclass(frozen=True)
class Sampler:
    """A generator, and what goes into it.

    Attributes:
        latents: its streams' seed is the samples' seed.
        num_classes: that the generator knows; 0 for one that takes no labels.
        label: of all samples; None: sample i has label i modulo num_classes.
    """

    generator: nn.Module
    latents: Latents
    num_classes: int = 0
    label: int | None = None

    def __call__(self, indices: Sequence[int]) -> Tensor:
        """Samples number `indices` as one tensor, float32 (N, *sample_shape)."""
        return torch.cat(list(self.chunks(indices)))

    @torch.no_grad()
    def chunks(self, indices: Sequence[int]) -> Iterator[Tensor]:
        """Samples number `indices`, in that order, a few at a time; float32 (n, *sample_shape), n ≤ 64.

        The generator is in evaluation mode meanwhile: BatchNorm uses its running statistics. Dropout alone stays on,
        the source of noise that it was in training (Isola et al. 2017, arXiv:1611.07004, section 3.2).

        Args:
            indices: 0 or greater, in any order.
        """
        modes = {module: module.training for module in self.generator.modules()}
        self.generator.eval()
        for module in modes:
            if isinstance(module, _DropoutNd):
                module.train()
        try:
            position = 0
            while position < len(indices):
                number = indices[position] // CHUNK
                end = position
                while end < len(indices) and indices[end] // CHUNK == number:
                    end += 1
                chunk = self._chunk(number)
                yield chunk[[index % CHUNK for index in indices[position:end]]].float()
                position = end
        finally:
            for module, mode in modes.items():
                module.training = mode

    def _chunk(self, number: int) -> Tensor:
        latents = self.latents("sample", number, CHUNK)
        with self.latents.streams.modules("sample/modules", number):
            if not self.num_classes:
                return self.generator(latents)  # type: ignore[no-any-return]
            numbers = torch.arange(number * CHUNK, (number + 1) * CHUNK, device=latents.device)
            labels = numbers % self.num_classes if self.label is None else torch.full_like(numbers, self.label)
            return self.generator(latents, labels)  # type: ignore[no-any-return]


def by_class(num_classes: int, rows: int, columns: int) -> list[int]:
    """Indices of samples of which each class makes a row: of `rows` classes from all over them, the first `columns`."""
    shown = min(rows, num_classes)
    classes = [row * num_classes // shown for row in range(shown)]
    return [label + num_classes * column for label in classes for column in range(columns)]
