"""Losses that judge real and fake samples against each other: the two players minimize the same, with roles swapped."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from gan_cli.bounds import bounded
from gan_cli.losses import AdversarialLoss


@dataclass(frozen=True)
class Relativistic(AdversarialLoss):
    """A loss of differences of logits alone: adding a constant to all of them changes nothing.

        D: d_scale · L(r over f)        G: L(f over r)

    Args:
        d_scale: factor on the discriminator's objective.

    Source: Jolicoeur-Martineau 2018, arXiv:1807.00734, section 4. The author's code halves the two terms of the average
    losses, for both players; here they are summed, and d_scale=0.5 halves the discriminator's.
    """

    relativistic: ClassVar[bool] = True

    d_scale: float = bounded(1.0, gt=0)

    @abstractmethod
    def contrast(self, preferred: Tensor, other: Tensor) -> Tensor:
        """L: small where the preferred samples have the larger logits."""

    def discriminator(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        return self.d_scale * self.contrast(real_logits, fake_logits)

    def generator(self, fake_logits: Tensor, real_logits: Tensor | None = None) -> Tensor:
        assert real_logits is not None
        return self.contrast(fake_logits, real_logits)
