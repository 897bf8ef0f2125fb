"""Drawing samples from a generator, so that sample i depends on the seed, on i and on the label asked for alone."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
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
        with self._ready():
            position = 0
            while position < len(indices):
                number = indices[position] // CHUNK
                end = position
                while end < len(indices) and indices[end] // CHUNK == number:
                    end += 1
                chunk = self._chunk(number)
                yield chunk[[index % CHUNK for index in indices[position:end]]].float()
                position = end

    @torch.no_grad()
    def in_places(self, places: Sequence[int], latents: Tensor, labels: Tensor | None = None) -> Iterator[Tensor]:
        """What the samples at `places` would be from other latents, in that order; float32 (n, *sample_shape), n ≤ 64.

        Each is made in its sample's place, beside the same others and with the same noise of dropout: it differs from
        the sample by its latent and label alone, and from the sample's own it is the sample to the bit. Neighbors in
        the list share the work where they have different places of one chunk.

        Args:
            places: numbers of samples, N in all, in any order and more than once.
            latents: (N, dim), on the device.
            labels: int64 (N,); None: those of the places.
        """
        if labels is None and self.num_classes:
            labels = self.labels_of(torch.tensor(places))
        with self._ready():
            start = 0
            while start < len(places):
                number, end, taken = places[start] // CHUNK, start, set[int]()
                while end < len(places) and places[end] // CHUNK == number and places[end] not in taken:
                    taken.add(places[end])
                    end += 1
                rows = torch.tensor([place % CHUNK for place in places[start:end]], device=latents.device)
                given = None if labels is None else labels[start:end]
                yield self._chunk(number, (rows, latents[start:end], given))[rows].float()
                start = end

    @property
    def is_noisy(self) -> bool:
        """Whether a sample depends on its place, too: whether the generator has dropout."""
        return any(isinstance(module, _DropoutNd) and module.p > 0 for module in self.generator.modules())

    def latents_of(self, indices: Sequence[int]) -> Tensor:
        """The latents (N, dim) that samples of these numbers are made from."""
        chunks = {number: self.latents("sample", number, CHUNK) for number in {index // CHUNK for index in indices}}
        return torch.stack([chunks[index // CHUNK][index % CHUNK] for index in indices])

    @torch.no_grad()
    def settle(self) -> None:
        """Make the generator for good what it is while samples are drawn, to be used without this sampler.

        It is left in evaluation mode, and the statistics of the fixed batch, where there is one, have taken the place
        of the running averages. Dropout is off then: samples are a function of latents and labels.
        """
        self._prepare()
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

    @contextmanager
    def _ready(self) -> Iterator[None]:
        """The generator as samples are drawn from it, and then as it was."""
        modes = {module: module.training for module in self.generator.modules()}
        buffers = {buffer: buffer.clone() for layer in self._measuring for buffer in layer.buffers()}
        try:
            self._prepare()
            yield
        finally:
            for module, mode in modes.items():
                module.training = mode
            for buffer, value in buffers.items():
                buffer.copy_(value)

    def _prepare(self) -> None:
        """Evaluation mode but for dropout, and the statistics of the fixed batch where they are asked for."""
        self.generator.eval()
        for module in self.generator.modules():
            if isinstance(module, _DropoutNd):
                module.train()
        if self._measuring:
            self._take_statistics(self._measuring)

    @property
    def _measuring(self) -> list[_BatchNorm]:
        """The layers that take the fixed batch's statistics."""
        norms = [module for module in self.generator.modules() if isinstance(module, _BatchNorm)]
        return norms if self.batch_statistics else []

    def _chunk(self, number: int, changed: tuple[Tensor, Tensor, Tensor | None] | None = None) -> Tensor:
        """A whole chunk; with some rows' latents, and labels, replaced by others."""
        latents = self.latents("sample", number, CHUNK)
        numbers = torch.arange(number * CHUNK, (number + 1) * CHUNK, device=latents.device)
        labels = self.labels_of(numbers) if self.num_classes else None
        if changed is not None:
            rows, others, given = changed
            latents = latents.index_copy(0, rows, others)
            if labels is not None and given is not None:
                labels = labels.index_copy(0, rows, given.to(labels.device))
        with self.latents.streams.modules("sample/modules", number):
            return self._generate(latents, labels)

    def _generate(self, latents: Tensor, labels: Tensor | None) -> Tensor:
        made: Tensor = self.generator(latents) if labels is None else self.generator(latents, labels)
        return made

    def _take_statistics(self, layers: Sequence[_BatchNorm]) -> None:
        """Put the statistics of the fixed batch where these layers keep their running ones."""
        momenta = [layer.momentum for layer in layers]
        for layer in layers:
            layer.reset_running_stats()
            layer.momentum = None  # the average of the batches seen: of one, itself
            layer.train()
        try:
            with self.latents.streams.modules("sample/modules/statistics"):
                latents = self.latents("sample/statistics", 0, _STATISTICS)
                numbers = torch.arange(_STATISTICS, device=latents.device)
                self._generate(latents, self.labels_of(numbers) if self.num_classes else None)
        finally:
            for layer, momentum in zip(layers, momenta, strict=True):
                layer.momentum = momentum
                layer.eval()


def by_class(num_classes: int, rows: int, columns: int) -> list[int]:
    """Indices of samples of which each class makes a row: of `rows` classes from all over them, the first `columns`."""
    shown = min(rows, num_classes)
    classes = [row * num_classes // shown for row in range(shown)]
    return [label + num_classes * column for label in classes for column in range(columns)]
