"""What a label changes: the same latents under every class."""

from collections.abc import Sequence

import torch
from torch import Tensor

from gan_cli import images
from gan_cli.captions import captioned
from gan_cli.sampling import Sampler

_MOST = 100  # rows


def draw(sampler: Sampler, indices: Sequence[int], names: Sequence[str]) -> bytes:
    """A sheet with a row for each class; of more than a hundred, for a hundred from all over them.

    Returns:
        A PNG.
    """
    shown = min(len(names), _MOST)
    labels = [row * len(names) // shown for row in range(shown)]
    rows = by_class(sampler, indices, labels)
    grid = images.grid_of_bytes(rows.flatten(0, 1), len(indices))
    return images.png(captioned(grid, rows=[names[label] for label in labels]))


def by_class(sampler: Sampler, indices: Sequence[int], labels: Sequence[int]) -> Tensor:
    """Each of the samples under each label: uint8 (len(labels), len(indices), C, H, W).

    A column has one latent, and the noise of one place. Under its own label a sample is itself to the bit.
    """
    latents = sampler.latents_of(indices)
    rows = []
    for label in labels:
        under = torch.full((len(indices),), label)
        rows.append(torch.cat([images.to_bytes(made) for made in sampler.in_places(indices, latents, under)]))
    return torch.stack(rows)
