"""The relativistic average least-squares GAN."""

from dataclasses import dataclass

from torch import Tensor

from gan_cli.losses.relativistic import Relativistic


@dataclass(frozen=True)
class RaLSGAN(Relativistic):
    """Least squares on the distance from the others' average.

        L(p over o) = E (D(p) - E D(o) - 1)² + E (D(o) - E D(p) + 1)²

    Source: Jolicoeur-Martineau 2018, arXiv:1807.00734, section 4 and appendix.
    """

    def contrast(self, preferred: Tensor, other: Tensor) -> Tensor:
        above, below = preferred - other.mean(), other - preferred.mean()
        return (above - 1).square().mean() + (below + 1).square().mean()
