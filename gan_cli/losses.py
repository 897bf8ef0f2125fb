"""Adversarial losses: functions of logits alone.

A loss has two methods. `discriminator(real_logits, fake_logits)` and `generator(fake_logits)` take logits (N,) of any
float type and return the scalar that the player minimizes, in the logits' type. In the formulas D(x) is a logit, σ the
sigmoid, and E the mean over the batch. The names of the targets: a for fakes, b for real samples, c for what the
generator wants its fakes to be taken for.
"""

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor
from torch.nn.functional import logsigmoid


class AdversarialLoss(Protocol):
    """What the game asks of a loss."""

    def discriminator(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """The discriminator's objective: logits (N,) and (M,) to a scalar."""

    def generator(self, fake_logits: Tensor) -> Tensor:
        """The generator's objective: logits (M,) to a scalar."""


@dataclass(frozen=True)
class BCE:
    """Binary cross-entropy on logits, non-saturating for the generator.

        D: d_scale · (E H(b, σ(D(x))) + E H(a, σ(D(G(z)))))        G: E H(c, σ(D(G(z))))
        H(t, p) = -t log p - (1 - t) log(1 - p)

    Computed through log σ, which neither overflows nor loses accuracy at large logits.

    Args:
        real_target: b in [0, 1]; below 1 it is one-sided label smoothing (Salimans et al. 2016, section 3.4).
        fake_target: a in [0, 1].
        generator_target: c in [0, 1].
        d_scale: factor on the discriminator's objective; 1 sums the two means, 0.5 averages them.

    Source: Goodfellow et al. 2014, arXiv:1406.2661, equation (1), with the generator's objective of section 3.
    """

    real_target: float = 1.0
    fake_target: float = 0.0
    generator_target: float = 1.0
    d_scale: float = 1.0

    def discriminator(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        real = cross_entropy(real_logits, self.real_target).mean()
        fake = cross_entropy(fake_logits, self.fake_target).mean()
        return self.d_scale * (real + fake)

    def generator(self, fake_logits: Tensor) -> Tensor:
        return cross_entropy(fake_logits, self.generator_target).mean()


@dataclass(frozen=True)
class LSGAN:
    """Least squares on logits.

        D: d_scale · (½ E (D(x) - b)² + ½ E (D(G(z)) - a)²)        G: ½ E (D(G(z)) - c)²

    Args:
        real_target: b, any number.
        fake_target: a.
        generator_target: c.
        d_scale: factor on the discriminator's objective.

    Source: Mao et al. 2017, arXiv:1611.04076, equation (2); the defaults are its 0-1 coding, equation (9).
    """

    real_target: float = 1.0
    fake_target: float = 0.0
    generator_target: float = 1.0
    d_scale: float = 1.0

    def discriminator(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        real = (real_logits - self.real_target).square().mean()
        fake = (fake_logits - self.fake_target).square().mean()
        return self.d_scale * (real + fake) / 2

    def generator(self, fake_logits: Tensor) -> Tensor:
        return (fake_logits - self.generator_target).square().mean() / 2


def cross_entropy(logits: Tensor, target: float) -> Tensor:
    """H(target, σ(logits)), element by element.

    Not softplus(l) - t·l: torch's softplus becomes the identity above 20, where log(1 + e^-l) still counts in float64.
    """
    return -(target * logsigmoid(logits) + (1 - target) * logsigmoid(-logits))
