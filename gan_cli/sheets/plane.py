"""The views of samples that are points: ways and sheets of latents as lines, in the data's first two coordinates."""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from gan_cli import images, plots
from gan_cli.sampling import Sampler
from gan_cli.sheets.between import of_latents
from gan_cli.sheets.history import FRAME_MS, LAST_FRAME_MS, spread
from gan_cli.sheets.interpolation import interpolated
from gan_cli.sheets.surface import sheet
from gan_cli.sheets.walk import FRAME_MS as WALK_FRAME_MS
from gan_cli.sheets.walk import frames_per_leg, walked

_BEHIND = 1000  # samples, so that one sees where the generator puts its mass
_PANELS, _COLUMNS = 9, 3


def interpolation(sampler: Sampler, indices: Sequence[int], steps: int) -> bytes:
    """A line from each sample to the next, with a point at each of its steps: a PNG."""
    ways = interpolated(sampler, indices, steps, Tensor.cpu)
    return images.png(plots.scatter({**_behind(sampler), "on the way": ways.flatten(0, 1)}, ways=ways))


def walk(sampler: Sampler, loops: Sequence[Sequence[int]], seconds: float) -> bytes:
    """The walks as points that move among samples, all in the same time: a WebP."""
    behind = _behind(sampler)
    frames = [
        plots.scatter({**behind, "walking": points})
        for points in walked(sampler, loops, frames_per_leg(loops, seconds), Tensor.cpu)
    ]
    return images.animation(frames, WALK_FRAME_MS)


def surface(sampler: Sampler, indices: Sequence[int], size: int) -> bytes:
    """The sheet of latents as the generator lays it over the data, by size lines each way: a PNG."""
    latents = sheet(sampler, indices, size)
    laid = of_latents(sampler, [indices[0]] * size**2, latents.flatten(0, 1), Tensor.cpu).unflatten(0, (size, size))
    return images.png(plots.scatter(_behind(sampler), ways=[*laid, *laid.transpose(0, 1)]))


def history(states: Iterable[tuple[int, Sampler]], indices: Sequence[int]) -> tuple[bytes, bytes]:
    """Where samples were at each of a run's checkpoints, some of them marked: a PNG of up to nine states from all over
    them, and a WebP of all.

    Args:
        states: a step and what draws from the generator as it was then, in order; one is held at a time.
        indices: of the samples that are marked.
    """
    seen = [(step, _behind(sampler), sampler(indices).cpu()) for step, sampler in states]
    (last,) = seen[-1][1].values()
    drawn = [
        plots.scatter({**behind, "the same few": marked}, f"step {step:,}", framing=last)
        for step, behind, marked in seen
    ]
    panels = images.grid_of_bytes(torch.stack(spread(drawn, _PANELS)), _COLUMNS)
    return images.png(panels), images.animation(drawn, FRAME_MS, LAST_FRAME_MS)


def _behind(sampler: Sampler) -> dict[str, Tensor]:
    return {"samples": sampler(range(_BEHIND)).cpu()}
