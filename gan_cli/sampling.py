"""Drawing samples from a generator, so that sample i depends on the seed and on i alone."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from gan_cli.latents import Latents

CHUNK = 64
"""Samples are made in aligned chunks of this size: the numbers of one depend, in their last bits, on its batch."""


@torch.no_grad()
def sample_chunks(generator: nn.Module, latents: Latents, indices: Sequence[int]) -> Iterator[Tensor]:
    """Samples number `indices`, in that order, a few at a time; float32 (n, *sample_shape), n ≤ 64.

    The generator is in evaluation mode meanwhile: BatchNorm uses its running statistics.

    Args:
        latents: its streams' seed is the samples' seed.
        indices: 0 or greater, in any order.
    """
    was_training = generator.training
    generator.eval()
    try:
        position = 0
        while position < len(indices):
            number = indices[position] // CHUNK
            end = position
            while end < len(indices) and indices[end] // CHUNK == number:
                end += 1
            chunk: Tensor = generator(latents("sample", number, CHUNK))
            yield chunk[[index % CHUNK for index in indices[position:end]]].float()
            position = end
    finally:
        generator.train(was_training)


def sample(generator: nn.Module, latents: Latents, indices: Sequence[int]) -> Tensor:
    """All of `sample_chunks` as one tensor (N, *sample_shape)."""
    return torch.cat(list(sample_chunks(generator, latents, indices)))
