"""The gradient penalty of WGAN-GP: a slope of 1 on the way from real samples to fakes."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from gan_cli.bounds import bounded
from gan_cli.penalties import ExactCritic, Penalty
from gan_cli.penalties.gradients import gradient_norm
from gan_cli.streams import Draws


@dataclass(frozen=True)
class GradientPenalty(Penalty):
    """Slopes other than 1, between real samples and fakes.

        weight · (‖∇D(x̂)‖₂ - 1)²        x̂ = ε r + (1 - ε) f, ε ~ U(0, 1) for each pair of a batch

    Args:
        weight: λ.
        one_sided: penalize slopes above 1 alone, weight · max(0, ‖∇D(x̂)‖₂ - 1)².
        every: of how many updates one is penalized.

    Source: Gulrajani et al. 2017, arXiv:1704.00028, equation (3), with its λ of 10; one-sided: appendix C.
    """

    bounds_slope: ClassVar[bool] = True

    weight: float = bounded(10.0, gt=0)
    one_sided: bool = False
    every: int = bounded(1, ge=1)

    def __call__(self, critic: ExactCritic, real: Tensor, fake: Tensor, draws: Draws) -> Tensor:
        mix = draws.uniform("penalty/mix", (len(real), *[1] * (real.dim() - 1)))
        excess = gradient_norm(critic, mix * real + (1 - mix) * fake) - 1
        return self.weight * (excess.clamp(min=0) if self.one_sided else excess).square()
