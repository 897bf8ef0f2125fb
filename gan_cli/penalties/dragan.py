"""DRAGAN's penalty: a slope of 1 in the neighborhood of the real samples."""

from collections.abc import Callable
from copy import copy
from dataclasses import dataclass, field
from typing import Self

from torch import Tensor

from gan_cli.bounds import bounded
from gan_cli.penalties import ExactCritic, Penalty
from gan_cli.penalties.gradients import gradient_norm
from gan_cli.streams import Draws


@dataclass(frozen=True)
class DRAGAN(Penalty):
    """Slopes other than `slope`, around real samples.

        weight · (‖∇D(r + δ)‖₂ - slope)²        δ ~ N(0, (noise · s)² I), s the standard deviation of the real batch

    Args:
        weight: λ.
        slope: k.
        noise: of δ, in standard deviations of the data, so that it fits images and points alike.
        every: of how many updates one is penalized.

    Source: Kodali et al. 2017, arXiv:1705.07215, whose δ ~ N(0, cI) this is, with c given relative to the data. The
    authors' notebook instead adds a share, uniform on (0, 1), of a positive uniform noise of up to s/2.
    """

    weight: float = bounded(10.0, gt=0)
    slope: float = bounded(1.0, gt=0)
    noise: float = bounded(0.5, gt=0)
    every: int = bounded(1, ge=1)
    spread: Tensor | None = field(default=None, init=False, repr=False, compare=False)  # s, once it is known

    def fitted(self, real: Tensor, gather: Callable[[Tensor], Tensor]) -> Self:
        fitted = copy(self)
        object.__setattr__(fitted, "spread", gather(real).std())
        return fitted

    def __call__(self, critic: ExactCritic, real: Tensor, fake: Tensor, draws: Draws) -> Tensor:
        spread = real.std() if self.spread is None else self.spread
        near = real + self.noise * spread * draws.normal("penalty/noise", real.shape)
        return self.weight * (gradient_norm(critic, near) - self.slope).square()
