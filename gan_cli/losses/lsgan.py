"""Least squares: gradients that do not vanish for fakes far on the right side of the boundary."""

from dataclasses import dataclass

from torch import Tensor

from gan_cli.bounds import bounded
from gan_cli.losses import AdversarialLoss
from gan_cli.losses.label_targets import LabelTargets, mean_target


@dataclass(frozen=True)
class LSGAN(LabelTargets, AdversarialLoss):
    """Least squares on logits.

        D: d_scale · (½ E (D(r) - b)² + ½ E (D(f) - a)²)        G: ½ E (D(f) - c)²

    Args:
        real_target, fake_target, generator_target: b, a, c, any numbers or intervals.
        d_scale: factor on the discriminator's objective.

    Source: Mao et al. 2017, arXiv:1611.04076, section 3.2, equation (2); the defaults are the 0-1 coding of section
    3.2.3.
    """

    d_scale: float = bounded(1.0, gt=0)

    def discriminator(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        real, fake = squares(real_logits, self.real_target), squares(fake_logits, self.fake_target)
        return self.d_scale * (real.mean() + fake.mean()) / 2

    def generator(self, fake_logits: Tensor, real_logits: Tensor | None = None) -> Tensor:
        return squares(fake_logits, self.generator_target).mean() / 2

    def margin(self, logits: Tensor) -> Tensor | None:
        return self.real_side * (logits - (mean_target(self.real_target) + mean_target(self.fake_target)) / 2)


def squares(logits: Tensor, target: float | Tensor) -> Tensor:
    """(logit - target)², element by element."""
    return (logits - target).square()
