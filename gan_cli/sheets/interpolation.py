"""From sample to sample in small steps."""

from collections.abc import Sequence

import torch
from torch import Tensor

from gan_cli import images
from gan_cli.latent_space.paths import path_for
from gan_cli.sampling import Sampler
from gan_cli.sheets.between import Shown, of_latents


def draw(sampler: Sampler, indices: Sequence[int], steps: int) -> bytes:
    """A sheet with a row from each sample to the next: a PNG."""
    rows = interpolated(sampler, indices, steps)
    return images.png(images.grid_of_bytes(rows.flatten(0, 1), steps))


def interpolated(sampler: Sampler, indices: Sequence[int], steps: int, shown: Shown = images.to_bytes) -> Tensor:
    """Rows of samples on the way from each of the samples to the next one, under the label of the first.

    The first of a row is that sample to the bit, and the last one the next sample, where that has the same label.

    Args:
        indices: at least two.
        steps: samples in a row, both ends included; at least two.

    Returns:
        (len(indices) - 1, steps, *sample_shape).
    """
    starts, ends = list(indices[:-1]), list(indices[1:])
    a, b = sampler.latents_of(starts), sampler.latents_of(ends)
    inner: tuple[Tensor, ...] = ()
    if steps > 2:
        time = torch.arange(1, steps - 1, dtype=torch.float64, device=a.device) / (steps - 1)
        within = path_for(sampler.latents.distribution)(a, b, time[:, None])
        inner = of_latents(sampler, starts * len(time), within.flatten(0, 1), shown).split(len(starts))
    first = shown(sampler(starts))
    labels = sampler.labels_of(torch.tensor(starts)) if sampler.num_classes else None
    last = shown(torch.cat(list(sampler.in_places(ends, b, labels))))
    return torch.stack([first, *inner, last], 1)
