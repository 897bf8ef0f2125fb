"""The discriminator as losses and penalties meet it: samples in, logits out."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from gan_cli.errors import RunFailed

Logits = tuple[Tensor, ...]
"""The logits of each scale, (N, P): P positions of a sample, 1 for a critic that gives one answer."""


@dataclass(frozen=True)
class Critic:
    """A discriminator with what stands before and after it.

    Attributes:
        discriminator: maps samples to logits (N,); or to a map of them (N, ...), one for each patch of the sample; or
            to a sequence of these, one for each scale.
        autocast: makes the context of mixed precision. Logits leave it in float32, where losses are computed.
    """

    discriminator: nn.Module
    autocast: Callable[[], AbstractContextManager[None]]

    def __call__(self, samples: Tensor) -> Logits:
        """Samples (N, C, H, W) in [-1, 1] or (N, D) to logits, float32."""
        with self.autocast():
            return _by_scale(self.discriminator(samples))

    def exact(self, samples: Tensor) -> Tensor:
        """Samples to one logit each, (N,): the mean over positions, summed over scales, as losses weigh them.

        For penalties: in float32 whatever the precision of training, because bfloat16 leaves a gradient of a gradient
        two digits; and uncompiled, because compiled code cannot be differentiated twice. (On a GPU float32 convolutions
        may round to TF32, there as in all of float32 training.)
        """
        with torch.autocast(samples.device.type, enabled=False), torch.compiler.set_stance("force_eager"):
            scales = _by_scale(self.discriminator(samples))
        return torch.stack([logits.mean(1) for logits in scales]).sum(0)


def over_scales(objective: Callable[..., Tensor], *logits: Logits) -> Tensor:
    """The objective of each scale's logits, summed (Wang et al. 2018, arXiv:1711.11585, equation (3)).

    Raises:
        RunFailed: the objective is not a scalar.
    """
    values = torch.stack([objective(*scale) for scale in zip(*logits, strict=True)])
    if values.dim() != 1:
        raise RunFailed(
            f"a loss must return a scalar, such as a mean; this one returned shape {tuple(values.shape[1:])}"
        )
    return values.sum()


def mean_logit(logits: Logits) -> Tensor:
    """The mean over samples, positions and scales, without a gradient."""
    return torch.stack([scale.detach().mean() for scale in logits]).mean()


def _by_scale(outputs: Tensor | Sequence[Tensor]) -> Logits:
    scales = (outputs,) if isinstance(outputs, Tensor) else tuple(outputs)
    return tuple(_full(scale.reshape(len(scale), -1)) for scale in scales)


def _full(logits: Tensor) -> Tensor:
    return logits if logits.dtype == torch.float64 else logits.float()
