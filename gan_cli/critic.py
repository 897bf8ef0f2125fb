"""The discriminator as losses meet it: samples in, float32 logits out."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Critic:
    """A discriminator with what stands before and after it.

    Attributes:
        discriminator: maps samples to logits (N,).
        autocast: makes the context of mixed precision. Logits leave it in float32, where losses are computed.
    """

    discriminator: nn.Module
    autocast: Callable[[], AbstractContextManager[None]]

    def __call__(self, samples: Tensor) -> Tensor:
        """Samples (N, C, H, W) in [-1, 1] or (N, D) to logits (N,)."""
        with self.autocast():
            logits: Tensor = self.discriminator(samples)
        return logits if logits.dtype == torch.float64 else logits.float()
