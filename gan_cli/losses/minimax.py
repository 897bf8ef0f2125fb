"""The original, saturating GAN: one value that the discriminator maximizes and the generator minimizes."""

from dataclasses import dataclass

from torch import Tensor

from gan_cli.losses.bce import BCE
from gan_cli.losses.cross_entropy import cross_entropy


@dataclass(frozen=True)
class Minimax(BCE):
    """Binary cross-entropy of which the generator minimizes what the discriminator maximizes.

        D: as BCE        G: -E H(1 - c, σ(D(f))), which is E log(1 - σ(D(f))) at c = 1

    Where the discriminator is sure of a fake, this gradient is σ(D(f)) ≈ 0: the generator learns nothing just when it
    is worst. Taught for that reason; use `bce` to train.

    Source: Goodfellow et al. 2014, arXiv:1406.2661, equation (1).
    """

    def generator(self, fake_logits: Tensor, real_logits: Tensor | None = None) -> Tensor:
        return -cross_entropy(fake_logits, 1 - self.generator_target).mean()
