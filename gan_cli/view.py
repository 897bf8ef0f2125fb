"""How the critic sees samples, real and fake alike: mirrored, augmented, under noise."""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from gan_cli.augment import Augment
from gan_cli.augment.none import NoAugment
from gan_cli.streams import Draws


@dataclass
class View:
    """What stands before the discriminator, in this order.

    Attributes:
        flip: whether each image is mirrored with probability ½.
        augment: of images.
        noise: standard deviation of the instance noise, normal and added to every number of a sample; it blurs both
            distributions until they overlap (Arjovsky and Bottou 2017, arXiv:1701.04862, section 3; Sønderby et al.
            2017, arXiv:1610.04490, section 3.2, name it). A schedule may set it anew each step.
    """

    flip: bool = False
    augment: Augment = field(default_factory=NoAugment)
    noise: float = 0.0

    def __call__(self, samples: Tensor, draws: Draws) -> Tensor:
        """Samples (N, C, H, W) or (N, D) to what is seen of them; equal draws show equal changes."""
        if self.flip:
            mirrored = draws.uniform("view/flip", (len(samples), 1, 1, 1)) < 0.5
            samples = torch.where(mirrored, samples.flip(-1), samples)
        samples = self.augment(samples, draws)
        if self.noise:
            samples = samples + self.noise * draws.normal("view/noise", samples.shape)
        return samples
