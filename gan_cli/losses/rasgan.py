"""The relativistic average GAN."""

from dataclasses import dataclass

from torch import Tensor
from torch.nn.functional import logsigmoid

from gan_cli.losses.relativistic import Relativistic


@dataclass(frozen=True)
class RaSGAN(Relativistic):
    """Is this sample more realistic than the others are on average?

        L(p over o) = -E log σ(D(p) - E D(o)) - E log(1 - σ(D(o) - E D(p)))

    Source: Jolicoeur-Martineau 2018, arXiv:1807.00734, section 4.
    """

    def contrast(self, preferred: Tensor, other: Tensor) -> Tensor:
        above, below = preferred - other.mean(), other - preferred.mean()
        return -logsigmoid(above).mean() - logsigmoid(-below).mean()
