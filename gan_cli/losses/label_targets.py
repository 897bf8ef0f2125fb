"""The targets of losses that compare each logit with a label: constant, noisy, or sometimes flipped."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import torch
from torch import Tensor

from gan_cli.bounds import bounded
from gan_cli.streams import Draws

Target = float | Sequence[float] | Tensor
"""A number; [low, high], drawn uniformly for each sample of each move; or, once drawn, (N, 1)."""


@dataclass(frozen=True)
class LabelTargets:
    """What real samples, fakes, and in the generator's eyes its fakes, should be taken for.

    Args:
        real_target: b; below 1 it is one-sided label smoothing (Salimans et al. 2016, arXiv:1606.03498, section 3.4);
            [0.7, 1.2] are noisy labels.
        fake_target: a; [0, 0.3] are noisy labels.
        generator_target: c.
        flip: probability with which the discriminator is shown a sample under the other label, in [0, 1).

    Raises:
        ValueError: a target is neither a number nor [low, high].
    """

    real_target: Any = bounded(1.0)
    fake_target: Any = bounded(0.0)
    generator_target: Any = bounded(1.0)
    flip: float = field(default=0.0, kw_only=True, metadata={"ge": 0, "lt": 1})

    def __post_init__(self) -> None:
        for name in ("real_target", "fake_target", "generator_target"):
            if not _is_target(getattr(self, name)):
                raise ValueError(f"{name} must be a number, or [low, high] to draw from, got {getattr(self, name)!r}")

    @property
    def real_side(self) -> float:
        """1 where higher logits mean real, as usual; -1 where real samples have the lower target."""
        return -1.0 if mean_target(self.real_target) < mean_target(self.fake_target) else 1.0

    def drawn(self, draws: Draws, count: int) -> Self:
        """These targets with their noise and flips drawn: each that is random becomes a tensor (count, 1)."""
        real = _draw(self.real_target, draws, "targets/real", count)
        fake = _draw(self.fake_target, draws, "targets/fake", count)
        if self.flip:
            real, fake = (
                torch.where(draws.uniform(f"targets/flip/{name}", (count, 1)) < self.flip, other, own)
                for name, own, other in (("real", real, fake), ("fake", fake, real))
            )
        generator = _draw(self.generator_target, draws, "targets/generator", count)
        drawn = {"real_target": real, "fake_target": fake, "generator_target": generator}
        changed: dict[str, Any] = {name: target for name, target in drawn.items() if isinstance(target, Tensor)}
        return replace(self, **changed) if changed else self


def mean_target(target: Target) -> float:
    """The number itself, or the middle of [low, high]."""
    return sum(target) / 2 if isinstance(target, Sequence) else float(target)


def _is_target(value: Any) -> bool:
    if isinstance(value, Tensor):
        return True
    numbers = value if isinstance(value, Sequence) and not isinstance(value, str) else [value]
    plain = all(isinstance(number, int | float) and not isinstance(number, bool) for number in numbers)
    return plain and (numbers is not value or (len(value) == 2 and value[0] <= value[1]))


def _draw(target: Target, draws: Draws, purpose: str, count: int) -> Any:
    if not isinstance(target, Sequence):
        return target
    low, high = target
    return low + (high - low) * draws.uniform(purpose, (count, 1))
