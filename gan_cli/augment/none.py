"""The absence of an augmentation."""

from dataclasses import dataclass

from torch import Tensor

from gan_cli.augment import Augment
from gan_cli.streams import Draws


@dataclass(frozen=True)
class NoAugment(Augment):
    """The critic sees the images as they are."""

    def __call__(self, images: Tensor, draws: Draws) -> Tensor:
        return images
