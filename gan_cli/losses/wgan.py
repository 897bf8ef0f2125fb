"""The Wasserstein loss: the discriminator estimates a distance, if its slope is held."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from gan_cli.bounds import bounded
from gan_cli.losses import AdversarialLoss


@dataclass(frozen=True)
class WGAN(AdversarialLoss):
    """The difference of means.

        D: d_scale · (E D(f) - E D(r))        G: -E D(f)

    Over critics of slope at most 1, -D's objective is the Wasserstein-1 distance of real and generated samples; over
    all critics it has no bound, because twice a critic separates twice as far. `penalty=gp` makes it WGAN-GP,
    `optim.discriminator.weight_clip=0.01` the original WGAN.

    Args:
        d_scale: factor on the discriminator's objective.

    Source: Arjovsky et al. 2017, arXiv:1701.07875, equations (2) and (3).
    """

    needs_bounded_slope: ClassVar[bool] = True

    d_scale: float = bounded(1.0, gt=0)

    def discriminator(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        return self.d_scale * (fake_logits.mean() - real_logits.mean())

    def generator(self, fake_logits: Tensor, real_logits: Tensor | None = None) -> Tensor:
        return -fake_logits.mean()
