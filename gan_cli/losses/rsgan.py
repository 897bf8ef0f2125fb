"""The relativistic GAN on pairs, also the loss of R3GAN."""

from dataclasses import dataclass

from torch import Tensor
from torch.nn.functional import logsigmoid

from gan_cli.losses.relativistic import Relativistic


@dataclass(frozen=True)
class RSGAN(Relativistic):
    """Is this real sample more realistic than that fake? Pairs are those of one batch, in order.

        L(p over o) = -E log σ(D(p) - D(o))

    With `penalty=r1r2` it is R3GAN's objective, with `penalty=gp` RSGAN-GP.

    Source: Jolicoeur-Martineau 2018, arXiv:1807.00734, section 4.1; Huang et al. 2024, arXiv:2501.05441, equation (2)
    with f(t) = -log(1 + e^-t).
    """

    def contrast(self, preferred: Tensor, other: Tensor) -> Tensor:
        return -logsigmoid(preferred - other).mean()
