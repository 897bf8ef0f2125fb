"""An average of the generator over its recent past, which draws better samples than the generator of any one step."""

from copy import deepcopy

import torch
from torch import nn


class EMA:
    """An exponential moving average of a network's parameters, beside the network.

        w̄ ← β w̄ + (1 - β) w        β = 2^(-n / h), h = min(half_life, ramp_up · N)

    for a step that showed n images, after N in all. Counted in images, an average means the same at every batch size;
    the ramp lets it follow the fast beginning. Buffers, such as BatchNorm's statistics, are copied.

    Args:
        network: what is averaged; the average begins as a copy of it.
        half_life: images after which a weight counts half.
        ramp_up: the half-life is at most this share of the images seen.

    Attributes:
        network: the average, always in evaluation mode.
        half_life: a schedule may set it anew each step.

    Source: Karras et al. 2018, arXiv:1710.10196, for averaging a GAN's generator; the half-life in images and its ramp
    are those of StyleGAN2-ADA's published settings (Karras et al. 2020, arXiv:2006.06676).
    """

    def __init__(self, network: nn.Module, half_life: float, ramp_up: float) -> None:
        self.network = deepcopy(network).eval().requires_grad_(False)
        self.half_life = half_life
        self._ramp_up = ramp_up

    @torch.no_grad()
    def update(self, network: nn.Module, images: int, images_seen: int) -> None:
        """Take in the network after a step.

        Args:
            images: how many real images the step showed.
            images_seen: how many all steps have shown, this one included.
        """
        decay = 0.5 ** (images / min(self.half_life, self._ramp_up * images_seen))
        for average, now in zip(self.network.parameters(), network.parameters(), strict=True):
            average.lerp_(now, 1 - decay)
        for copied, current in zip(self.network.buffers(), network.buffers(), strict=True):
            copied.copy_(current)
