"""The generator's input."""

from dataclasses import dataclass

from torch import Tensor

from gan_cli.streams import Streams


@dataclass(frozen=True)
class Latents:
    """Draws latents z (N, dim), uniform on [-1, 1) or standard normal."""

    dim: int
    distribution: str
    streams: Streams

    def __call__(self, purpose: str, index: int, count: int) -> Tensor:
        """`count` latents for one purpose and index, float32 (count, dim)."""
        draw = self.streams.uniform if self.distribution == "uniform" else self.streams.normal
        return draw(f"latents/{purpose}", index, (count, self.dim))
