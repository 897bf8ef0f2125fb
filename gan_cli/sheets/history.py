"""How the same latents came to be what they are: a run's checkpoints side by side."""

from collections.abc import Iterable, Sequence
from typing import TypeVar

import torch

from gan_cli import images
from gan_cli.captions import captioned
from gan_cli.sampling import Sampler

T = TypeVar("T")

_COLUMNS = 20
FRAME_MS, LAST_FRAME_MS = 300, 1500


def draw(states: Iterable[tuple[int, Sampler]], indices: Sequence[int]) -> tuple[bytes, bytes]:
    """A sheet with a column for each state and a row for each sample, and an animation of the samples from state to
    state. Of more than 20 states the sheet shows 20 from all over them, the first and the last among them.

    Args:
        states: a step and what draws from the generator as it was then, in order; one is held at a time.

    Returns:
        A PNG and a WebP.
    """
    drawn = [(f"{step:,}", images.to_bytes(sampler(indices))) for step, sampler in states]
    shown = spread(drawn, _COLUMNS)
    grid = images.grid_of_bytes(torch.stack([pictures for _, pictures in shown], 1).flatten(0, 1), len(shown))
    sheet = captioned(grid, columns=[step for step, _ in shown])
    frames = [captioned(images.grid_of_bytes(pictures), columns=[f"step {step}"]) for step, pictures in drawn]
    return images.png(sheet), images.animation(frames, FRAME_MS, LAST_FRAME_MS)


def spread(states: Sequence[T], most: int) -> list[T]:
    """At most so many of them, from all over them, the first and the last among them."""
    count = min(most, len(states))
    return [states[place * (len(states) - 1) // max(1, count - 1)] for place in range(count)]
