"""Zero-centered gradient penalties: flat critics at real samples (R1), at fakes (R2), or at both.

With the papers' factor γ/2. Some published code leaves the ½ out: its γ is half of ours.
"""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from gan_cli.bounds import bounded
from gan_cli.penalties import ExactCritic, Penalty
from gan_cli.penalties.gradients import squared_gradient_norm
from gan_cli.streams import Draws


@dataclass(frozen=True)
class ZeroCentered(Penalty):
    """The slope at some of the samples.

        γ/2 · Σ ‖∇D(x)‖² over the places x

    Args:
        gamma: γ; it belongs to the data's dimension, the batch size and the loss, and does not carry over to others.
        every: of how many updates one is penalized.
    """

    gamma: float = bounded(1.0, gt=0)
    every: int = bounded(1, ge=1)

    @abstractmethod
    def places(self, real: Tensor, fake: Tensor) -> Sequence[Tensor]:
        """Where the slope is penalized, each (N, ...)."""

    def __call__(self, critic: ExactCritic, real: Tensor, fake: Tensor, draws: Draws) -> Tensor:
        slopes = [squared_gradient_norm(critic, place) for place in self.places(real, fake)]
        return self.gamma / 2 * torch.stack(slopes).sum(0)


class R1(ZeroCentered):
    """γ/2 · ‖∇D(r)‖², the slope at real samples.

    Source: Mescheder et al. 2018, arXiv:1801.04406, equation (9).
    """

    def places(self, real: Tensor, fake: Tensor) -> Sequence[Tensor]:
        return (real,)


class R2(ZeroCentered):
    """γ/2 · ‖∇D(f)‖², the slope at fakes.

    Source: Mescheder et al. 2018, arXiv:1801.04406, equation (10).
    """

    def places(self, real: Tensor, fake: Tensor) -> Sequence[Tensor]:
        return (fake,)


class R1R2(ZeroCentered):
    """γ/2 · (‖∇D(r)‖² + ‖∇D(f)‖²), both, as R3GAN penalizes them.

    Source: Huang et al. 2024, arXiv:2501.05441, equation (3).
    """

    def places(self, real: Tensor, fake: Tensor) -> Sequence[Tensor]:
        return (real, fake)
