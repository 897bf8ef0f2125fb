"""The discriminator as losses and penalties meet it: samples in, logits out."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from gan_cli.errors import RunFailed
from gan_cli.streams import Draws
from gan_cli.view import View

Logits = tuple[Tensor, ...]
"""The logits of each scale, (N, P): P positions of a sample, 1 for a critic that gives one answer."""


@dataclass(frozen=True)
class Critic:
    """A discriminator with what stands before and after it.

    Attributes:
        discriminator: maps samples, and labels where there are any, to logits (N,); or to a map of them (N, ...), one
            for each patch of the sample; or to a sequence of these, one for each scale.
        autocast: makes the context of mixed precision. Logits leave it in float32, where losses are computed.
        view: what samples pass through on their way to the discriminator.
        packing: how many samples are judged together (Lin et al. 2018, arXiv:1712.04086): samples m·i to m·i + m - 1
            of the batch are one pack, their channels one after the other, and N becomes N / m.
        draws: the random numbers of one use, for the view. Without them samples are seen as they are.
        labels: of the samples, (N,) int64.
    """

    discriminator: Callable[..., Tensor | Sequence[Tensor]]
    autocast: Callable[[], AbstractContextManager[None]]
    view: View | None = None
    packing: int = 1
    draws: Draws | None = None
    labels: Tensor | None = None

    def seeing(self, draws: Draws, labels: Tensor | None) -> "Critic":
        """The critic for one use: of samples with these labels, seen under these random numbers."""
        return replace(self, draws=draws, labels=labels)

    def __call__(self, samples: Tensor) -> Logits:
        """Samples (N, C, H, W) in [-1, 1] or (N, D) to logits, float32."""
        return self._judge(self.packs(samples))

    def packs(self, samples: Tensor) -> Tensor:
        """Samples (N, C, ...) as packs (N / packing, packing · C, ...)."""
        if self.packing == 1:
            return samples
        return samples.reshape(-1, self.packing * samples.shape[1], *samples.shape[2:])

    def exact(self, packs: Tensor) -> Tensor:
        """Packs of samples to one logit each, (N,): the mean over positions, summed over scales, as losses weigh them.

        For penalties: in float32 whatever the precision of training, because bfloat16 leaves a gradient of a gradient
        two digits; and uncompiled, because compiled code cannot be differentiated twice. (On a GPU float32 convolutions
        may round to TF32, there as in all of float32 training.)
        """
        exactly = replace(self, autocast=lambda: torch.autocast(packs.device.type, enabled=False))
        with _uncompiled():
            scales = exactly._judge(packs)
        return torch.stack([logits.mean(1) for logits in scales]).sum(0)

    def _judge(self, packs: Tensor) -> Logits:
        with self.autocast():
            seen = packs
            if self.view is not None and self.draws is not None:
                singles = packs.reshape(-1, packs.shape[1] // self.packing, *packs.shape[2:])
                seen = self.view(singles, self.draws).reshape(packs.shape)
            return _by_scale(self.discriminator(seen) if self.labels is None else self.discriminator(seen, self.labels))


def _uncompiled() -> AbstractContextManager[object]:
    """Where what torch.compile made runs as it was written; nothing where it was never used: its import is slow."""
    return torch.compiler.set_stance("force_eager") if "_dynamo" in vars(torch) else nullcontext()


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
