"""A sheet of latents, whole: what lies between four samples, or all of a two-dimensional latent space."""

from collections.abc import Sequence

from torch import Tensor

from gan_cli import images
from gan_cli.latent_space.paths import path_for
from gan_cli.latent_space.surface import square, surface
from gan_cli.latent_space.truncation import TruncatedLatents, truncated
from gan_cli.sampling import Sampler
from gan_cli.sheets.between import of_latents


def draw(sampler: Sampler, indices: Sequence[int], size: int) -> bytes:
    """size × size pictures, all under the label of the first sample: a PNG."""
    latents = sheet(sampler, indices, size)
    pictures = of_latents(sampler, [indices[0]] * size**2, latents.flatten(0, 1))
    return images.png(images.grid_of_bytes(pictures, size))


def sheet(sampler: Sampler, indices: Sequence[int], size: int) -> Tensor:
    """Latents (size, size, dim), rows from the top.

    Of two dimensions: all of them, in parts of equal probability. Of more: those between the latents of four samples,
    which are the corners, left to right and top to bottom.
    """
    latents = sampler.latents
    if latents.dim != 2:
        return surface(sampler.latents_of(indices), size, path_for(latents.distribution))
    whole = square(size, latents.distribution).to(latents.streams.device)
    return truncated(whole, latents.threshold) if isinstance(latents, TruncatedLatents) else whole
