"""The relativistic average hinge GAN."""

from dataclasses import dataclass

from torch import Tensor
from torch.nn.functional import relu

from gan_cli.losses.relativistic import Relativistic


@dataclass(frozen=True)
class RaHinge(Relativistic):
    """The hinge on the distance from the others' average.

        L(p over o) = E max(0, 1 - (D(p) - E D(o))) + E max(0, 1 + (D(o) - E D(p)))

    Source: Jolicoeur-Martineau 2018, arXiv:1807.00734, section 4 and appendix.
    """

    def contrast(self, preferred: Tensor, other: Tensor) -> Tensor:
        above, below = preferred - other.mean(), other - preferred.mean()
        return relu(1 - above).mean() + relu(1 + below).mean()
