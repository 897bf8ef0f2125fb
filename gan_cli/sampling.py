"""Drawing samples from a generator, so that sample i depends on the seed, on i and on the label asked for alone."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd

from gan_cli.latents import Latents

CHUNK = 64
"""Samples are made in aligned chunks of this size: the numbers of one depend, in their last bits, on its batch."""

_STATISTICS = 512  # samples in the fixed batch of BatchNorm's statistics


@dataclass(frozen=True)
class Sampler:
    """A generator, and what goes into it.

    Attributes:
        latents: its streams' seed is the samples' seed.
        num_classes: that the generator knows; 0 for one that takes no labels.
        labels: int64 (L,); sample i has the label at i modulo L. None: every class in turn.
        batch_statistics: whether BatchNorm uses the statistics of one fixed batch, the same for all samples, rather
            than its running averages. They are taken from the weights as they are when sampling starts.
    """

    generator: nn.Module
    latents: Latents
    num_classes: int = 0
    labels: Tensor | None = None
    batch_statistics: bool = False

    def __call__(self, indices: Sequence[int]) -> Tensor:
        """Samples number `indices` as one tensor, float32 (N, *sample_shape)."""
        return torch.cat(list(self.chunks(indices)))

    @torch.no_grad()
    def chunks(self, indices: Sequence[int]) -> Iterator[Tensor]:
        """Samples number `indices`, in that order, a few at a time; float32 (n, *sample_shape), n ≤ 64.

        The generator is in evaluation mode meanwhile, and afterwards as it was, buffers included. Dropout alone stays
        on, the source of noise that it was in training (Isola et al. 2017, arXiv:1611.07004, section 3.2).

        Args:
            indices: 0 or greater, in any order.
        """
        modes = {module: module.training for module in self.generator.modules()}
        layers = self._ready()
        buffers = {buffer: buffer.clone() for layer in layers for buffer in layer.buffers()}
        try:
            if layers:
                self._take_statistics(layers)
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
            for buffer, value in buffers.items():
                buffer.copy_(value)

    @torch.no_grad()
    def settle(self) -> None:
        """Make the generator for good what it is while samples are drawn, to be used without this sampler.

        It is left in evaluation mode, and the statistics of the fixed batch, where there is one, have taken the place
        of the running averages. Dropout is off then: samples are a function of latents and labels.
        """
        layers = self._ready()
        if layers:
            self._take_statistics(layers)
        for module in self.generator.modules():
            if isinstance(module, _DropoutNd):
                module.p = 0.0
        self.generator.eval()

    def of_stream(self, name: str) -> "Sampler":
        """The same generator with latents of its own, which no other use draws."""
        return replace(self, latents=replace(self.latents, streams=self.latents.streams.of(name)))

    def labels_of(self, numbers: Tensor) -> Tensor:
        """The labels, int64, that samples of these numbers are made with."""
        if self.labels is None:
            return numbers % self.num_classes
        labels = self.labels.to(numbers.device)
        return labels[numbers % len(labels)]

    def _ready(self) -> list[_BatchNorm]:
        """Evaluation mode but for dropout. Returns the layers that take the fixed batch's statistics."""
        self.generator.eval()
        modules = list(self.generator.modules())
        for module in modules:
            if isinstance(module, _DropoutNd):
                module.train()
        return [module for module in modules if isinstance(module, _BatchNorm)] if self.batch_statistics else []

    def _chunk(self, number: int) -> Tensor:
        latents = self.latents("sample", number, CHUNK)
        with self.latents.streams.modules("sample/modules", number):
            return self._generate(latents, number * CHUNK)

    def _generate(self, latents: Tensor, first: int) -> Tensor:
        if not self.num_classes:
            return self.generator(latents)  # type: ignore[no-any-return]
        numbers = torch.arange(first, first + len(latents), device=latents.device)
        return self.generator(latents, self.labels_of(numbers))  # type: ignore[no-any-return]

    def _take_statistics(self, layers: Sequence[_BatchNorm]) -> None:
        """Put the statistics of the fixed batch where these layers keep their running ones."""
        momenta = [layer.momentum for layer in layers]
        for layer in layers:
            layer.reset_running_stats()
            layer.momentum = None  # the average of the batches seen: of one, itself
            layer.train()
        try:
            with self.latents.streams.modules("sample/modules/statistics"):
                self._generate(self.latents("sample/statistics", 0, _STATISTICS), 0)
        finally:
            for layer, momentum in zip(layers, momenta, strict=True):
                layer.momentum = momentum
                layer.eval()


def by_class(num_classes: int, rows: int, columns: int) -> list[int]:
    """Indices of samples of which each class makes a row: of `rows` classes from all over them, the first `columns`."""
    shown = min(rows, num_classes)
    classes = [row * num_classes // shown for row in range(shown)]
    return [label + num_classes * column for label in classes for column in range(columns)]
