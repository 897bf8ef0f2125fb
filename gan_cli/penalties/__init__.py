"""Penalties on the critic's gradient, one family a file: functions of a critic and images alone.

In the formulas D(x) is the critic's logit of the sample x, r a real sample and f a fake one, ∇ the gradient with
respect to the sample.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar, Self

from torch import Tensor

from gan_cli.streams import Draws

ExactCritic = Callable[[Tensor], Tensor]
"""Samples (N, ...) to one logit each, (N,), in full precision and twice differentiable."""


class Penalty(ABC):
    """What is added to the discriminator's objective. One of your own derives from this.

    Attributes:
        every: in how many updates of the discriminator one is penalized, with `every` times the penalty, so that its
            mean pull stays (lazy regularization, Karras et al. 2020, arXiv:1912.04958, section 3.1); 0 never. There the
            penalty has an optimizer step of its own, for which learning rate and betas are corrected (appendix B); here
            it joins the step of the loss, the number of steps stays, and nothing is to be corrected.
        per_sample: whether it differentiates a sample's logit as a function of that sample alone. It is meaningless
            then for a critic whose logits depend on the whole batch.
        bounds_slope: whether it holds the critic's slope all the way from real samples to fakes. A penalty at the
            samples alone does not: between them the critic may jump.
    """

    per_sample: ClassVar[bool] = True
    bounds_slope: ClassVar[bool] = False

    every: int = 1

    @abstractmethod
    def __call__(self, critic: ExactCritic, real: Tensor, fake: Tensor, draws: Draws) -> Tensor:
        """The penalty of each sample, (N,), float32; real and fake samples (N, ...) are not differentiated through."""

    def fitted(self, real: Tensor, gather: Callable[[Tensor], Tensor]) -> Self:
        """The penalty of one move, with what it takes from the whole batch of real samples; by default that is nothing.

        Args:
            real: real samples (N, ...); of several processes that share a batch, this one's.
            gather: puts the rows of all processes in the place of one's own.
        """
        return self

    def due(self, turn: int) -> bool:
        """Whether the discriminator's update number `turn`, counted from 0, is penalized."""
        return self.every > 0 and turn % self.every == 0
