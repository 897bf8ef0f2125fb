"""No penalty."""

from dataclasses import dataclass, field
from typing import ClassVar

from torch import Tensor

from gan_cli.penalties import ExactCritic, Penalty
from gan_cli.streams import Draws


@dataclass(frozen=True)
class NoPenalty(Penalty):
    """Never due, and 0 if asked."""

    per_sample: ClassVar[bool] = False
    every: int = field(default=0, init=False)

    def __call__(self, critic: ExactCritic, real: Tensor, fake: Tensor, draws: Draws) -> Tensor:
        return real.new_zeros(len(real))
