"""The original, saturating GAN: one value that the discriminator maximizes and the generator minimizes."""

from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from gan_cli.losses.bce import BCE
from gan_cli.losses.cross_entropy import cross_entropy


@dataclass(frozen=True)
class Minimax(BCE):
    """Binary cross-entropy of which the generator minimizes what the discriminator maximizes.

        D: as BCE        G: E log(1 - σ(D(f))) = -E H(0, σ(D(f)))

    Where the discriminator is sure of a fake, this gradient is σ(D(f)) ≈ 0: the generator learns nothing just when it
    is worst. Taught for that reason; use `bce` to train. It has no target of the generator's own: at any other than 1
    it would repel where it should attract.

    Source: Goodfellow et al. 2014, arXiv:1406.2661, equation (1).
    """

    generator_target: Any = field(default=1.0, init=False)

    def generator(self, fake_logits: Tensor, real_logits: Tensor | None = None) -> Tensor:
        return -cross_entropy(fake_logits, 0.0).mean()
