"""Endless walks through latent space, as an animation."""

from collections.abc import Iterator, Sequence

from torch import Tensor

from gan_cli import images
from gan_cli.latent_space.loop import loop
from gan_cli.latent_space.paths import path_for
from gan_cli.sampling import Sampler
from gan_cli.sheets.between import Shown, of_latents

FRAME_MS = 40
"""25 frames a second."""


def draw(sampler: Sampler, loops: Sequence[Sequence[int]], seconds: float) -> bytes:
    """The walks side by side, each round its own loop and all in the same time: a WebP."""
    frames = [images.grid_of_bytes(pictures) for pictures in walked(sampler, loops, frames_per_leg(loops, seconds))]
    return images.animation(frames, FRAME_MS)


def frames_per_leg(loops: Sequence[Sequence[int]], seconds: float) -> int:
    """From a sample to the next: as many as make the whole nearest to `seconds`, and at least one."""
    return max(1, round(seconds * 1000 / FRAME_MS / len(loops[0])))


def walked(
    sampler: Sampler, loops: Sequence[Sequence[int]], steps: int, shown: Shown = images.to_bytes
) -> Iterator[Tensor]:
    """The frames, (len(loops), *sample_shape): sample c goes from each sample of loop c to the next.

    It keeps the label of the first, and the frame after the last would be the first again.

    Args:
        loops: equally long.
        steps: frames from a sample to the next.
    """
    starts = [samples[0] for samples in loops]
    stops = sampler.latents_of([samples[leg] for leg in range(len(loops[0])) for samples in loops])
    way = loop(stops.unflatten(0, (-1, len(loops))), steps, path_for(sampler.latents.distribution))
    for legs in way.split(steps):  # bounds what is on the device
        pictures = of_latents(sampler, starts * len(legs), legs.flatten(0, 1), shown)
        yield from pictures.split(len(loops))
