"""Adversarial losses, one a file: functions of logits alone.

In the formulas D(x) is a logit, r a real sample and f a fake one, σ the sigmoid, E the mean over the batch. Logits come
in any float type, (N, P) for N samples of P positions each (or (N,), where no target is random); the scalar that the
player minimizes leaves in the logits' type.
"""

from abc import ABC, abstractmethod
from typing import ClassVar, Self

from torch import Tensor

from gan_cli.streams import Draws


class AdversarialLoss(ABC):
    """What the two players minimize. A loss of your own derives from this and is named by its `_target_`.

    Attributes:
        relativistic: whether `generator` reads the real logits. Only then are they computed for it.
        needs_bounded_slope: whether the discriminator's objective has no minimum unless something holds the critic's
            slope: a penalty, weight clipping or spectral normalization.
    """

    relativistic: ClassVar[bool] = False
    needs_bounded_slope: ClassVar[bool] = False

    @abstractmethod
    def discriminator(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """The discriminator's objective, a scalar."""

    @abstractmethod
    def generator(self, fake_logits: Tensor, real_logits: Tensor | None = None) -> Tensor:
        """The generator's objective, a scalar. `real_logits` is None unless the loss is relativistic."""

    def margin(self, logits: Tensor) -> Tensor | None:
        """How far logits lie on the real side of where the loss parts real from fake; None where it has no such place.

        A loss that looks at differences of logits has none. Who adapts to overfitting asks for it (`augment=ada`).
        """
        return None

    def drawn(self, draws: Draws, count: int) -> Self:
        """The loss of one move over `count` samples, with what is random in it drawn; by default nothing is."""
        return self
