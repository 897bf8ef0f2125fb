"""What a generator makes of latents that no sample has."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from gan_cli import images
from gan_cli.sampling import Sampler

Shown = Callable[[Tensor], Tensor]
"""What becomes of samples as they are made: uint8 pictures of images, points as they are."""


def of_latents(sampler: Sampler, places: Sequence[int], latents: Tensor, shown: Shown = images.to_bytes) -> Tensor:
    """What each of the samples at `places` would be from another latent, under its own label: (N, *sample_shape).

    A generator with dropout gets its sample's noise each time, so that nothing changes but the latent. Without dropout
    a place matters in the last bits alone, and the places are taken that cost least.

    Args:
        latents: (N, dim).
    """
    labels = sampler.labels_of(torch.tensor(places)) if sampler.num_classes else None
    taken = places if sampler.is_noisy else range(len(places))
    return torch.cat([shown(made) for made in sampler.in_places(taken, latents, labels)])
