"""The hinge loss: the discriminator learns from samples within its margin alone."""

from dataclasses import dataclass

from torch import Tensor
from torch.nn.functional import relu

from gan_cli.bounds import bounded
from gan_cli.losses import AdversarialLoss


@dataclass(frozen=True)
class Hinge(AdversarialLoss):
    """Hinge loss on logits.

        D: d_scale · (E max(0, 1 - D(r)) + E max(0, 1 + D(f)))        G: -E D(f)

    Args:
        d_scale: factor on the discriminator's objective.

    Source: Lim and Ye 2017, arXiv:1705.02894; as here in Miyato et al. 2018, arXiv:1802.05957, equations (16) and (17),
    there as what the discriminator maximizes.
    """

    d_scale: float = bounded(1.0, gt=0)

    def discriminator(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        return self.d_scale * (relu(1 - real_logits).mean() + relu(1 + fake_logits).mean())

    def generator(self, fake_logits: Tensor, real_logits: Tensor | None = None) -> Tensor:
        return -fake_logits.mean()

    def margin(self, logits: Tensor) -> Tensor | None:
        return logits
