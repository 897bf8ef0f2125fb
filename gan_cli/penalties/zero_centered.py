"""Zero-centered gradient penalties: flat critics at real samples (R1), at fakes (R2), or at both.

With the papers' factor γ/2. Some published code leaves the ½ out: its γ is half of ours.
"""

from dataclasses import dataclass

from torch import Tensor

from gan_cli.bounds import bounded
from gan_cli.penalties import ExactCritic, Penalty
from gan_cli.penalties.gradients import squared_gradient_norm
from gan_cli.streams import Draws


@dataclass(frozen=True)
class R1(Penalty):
    """The slope at real samples.

        γ/2 · ‖∇D(r)‖²

    Args:
        gamma: γ; it belongs to the data's dimension, the batch size and the loss, and does not carry over to others.
        every: of how many updates one is penalized.

    Source: Mescheder et al. 2018, arXiv:1801.04406, equation (9).
    """

    gamma: float = bounded(1.0, gt=0)
    every: int = bounded(1, ge=1)

    def __call__(self, critic: ExactCritic, real: Tensor, fake: Tensor, draws: Draws) -> Tensor:
        return self.gamma / 2 * squared_gradient_norm(critic, real)


@dataclass(frozen=True)
class R2(Penalty):
    """The slope at fakes.

        γ/2 · ‖∇D(f)‖²

    Args:
        gamma, every: as for R1.

    Source: Mescheder et al. 2018, arXiv:1801.04406, equation (10).
    """

    gamma: float = bounded(1.0, gt=0)
    every: int = bounded(1, ge=1)

    def __call__(self, critic: ExactCritic, real: Tensor, fake: Tensor, draws: Draws) -> Tensor:
        return self.gamma / 2 * squared_gradient_norm(critic, fake)


@dataclass(frozen=True)
class R1R2(Penalty):
    """The slope at real samples and at fakes, as R3GAN penalizes it.

        γ/2 · (‖∇D(r)‖² + ‖∇D(f)‖²)

    Args:
        gamma, every: as for R1.

    Source: Huang et al. 2024, arXiv:2501.05441, equation (3).
    """

    gamma: float = bounded(1.0, gt=0)
    every: int = bounded(1, ge=1)

    def __call__(self, critic: ExactCritic, real: Tensor, fake: Tensor, draws: Draws) -> Tensor:
        return self.gamma / 2 * (squared_gradient_norm(critic, real) + squared_gradient_norm(critic, fake))
