"""Binary cross-entropy: the standard GAN (SGAN) with the generator's non-saturating objective."""

from dataclasses import dataclass

from torch import Tensor

from gan_cli.bounds import bounded
from gan_cli.losses import AdversarialLoss
from gan_cli.losses.cross_entropy import check_probabilities, cross_entropy
from gan_cli.losses.label_targets import LabelTargets


@dataclass(frozen=True)
class BCE(LabelTargets, AdversarialLoss):
    """Binary cross-entropy on logits, non-saturating for the generator.

        D: d_scale · (E H(b, σ(D(r))) + E H(a, σ(D(f))))        G: E H(c, σ(D(f)))
        H(t, p) = -t log p - (1 - t) log(1 - p)

    H is linear in t, so noisy labels have the expectation of their mean, and flips with probability p that of the
    targets b + p (a - b) and a + p (b - a).

    Args:
        real_target, fake_target, generator_target: b, a, c, probabilities or intervals whose middle is one.
        d_scale: factor on the discriminator's objective; 1 sums the two means, 0.5 averages them.

    Source: Goodfellow et al. 2014, arXiv:1406.2661, equation (1), with the generator's objective of section 3.
    """

    d_scale: float = bounded(1.0, gt=0)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_probabilities(self)

    def discriminator(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        real = cross_entropy(real_logits, self.real_target).mean()
        fake = cross_entropy(fake_logits, self.fake_target).mean()
        return self.d_scale * (real + fake)

    def generator(self, fake_logits: Tensor, real_logits: Tensor | None = None) -> Tensor:
        return cross_entropy(fake_logits, self.generator_target).mean()

    def margin(self, logits: Tensor) -> Tensor | None:
        return self.real_side * logits
