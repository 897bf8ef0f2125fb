"""Where on its own scale a discriminator's loss lies: losses are of different kinds, and only this can be compared."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Scale:
    """Two values of loss/D.

    Attributes:
        least: the infimum: real and fake are told apart without a doubt.
        blind: of the best discriminator that cannot tell them apart, which gives all samples one logit.
    """

    least: float
    blind: float

    def share(self, loss: float) -> float:
        """0 at the infimum, 1 where real and fake cannot be told apart; above 1 where guesses are wrong."""
        return (loss - self.least) / (self.blind - self.least)


_OF_ONE_LOGIT = {"Hinge": 2.0, "RSGAN": math.log(2), "RaSGAN": 2 * math.log(2), "RaLSGAN": 2.0, "RaHinge": 2.0}
"""Losses without targets: their infimum is 0, and this is what equal logits cost."""


def name_of(loss: Mapping[str, Any]) -> str:
    """`BCE` of `gan_cli.losses.bce.BCE`; "" for a loss of the user's own, of which nothing is known."""
    target = str(loss.get("_target_", ""))
    return target.rpartition(".")[2] if target.startswith("gan_cli.losses.") else ""


def scale_of(loss: Mapping[str, Any]) -> Scale | None:
    """The scale of a configured loss, with its smoothed, noisy or flipped targets.

        bce, minimax    least d (H(b) + H(a))              blind 2 d H((a + b) / 2)
        lsgan           least d (Var b + Var a) / 2        blind least + d (b - a)² / 4

    with d = d_scale, a and b the targets' means after flips, H(t) = -t log t - (1 - t) log(1 - t).

    None of a Wasserstein loss, which has no infimum, of a loss that is not ours, and of targets without difference.
    """
    factor = loss.get("d_scale", 1.0)
    name = name_of(loss)
    if isinstance(factor, bool) or not isinstance(factor, int | float) or not factor > 0:
        return None  # one that changes over the run has no scale
    if name in _OF_ONE_LOGIT:
        return Scale(0.0, factor * _OF_ONE_LOGIT[name])
    targets = _targets(loss) if name in ("BCE", "Minimax", "LSGAN") else None
    if targets is None:
        return None
    (real, real_variance), (fake, fake_variance) = targets
    if math.isclose(real, fake):
        return None
    if name == "LSGAN":
        least = (real_variance + fake_variance) / 2
        return Scale(factor * least, factor * (least + (real - fake) ** 2 / 4))
    if not (0 <= real <= 1 and 0 <= fake <= 1):
        return None
    return Scale(factor * (_entropy(real) + _entropy(fake)), factor * 2 * _entropy((real + fake) / 2))


def _targets(loss: Mapping[str, Any]) -> tuple[tuple[float, float], tuple[float, float]] | None:
    """Mean and variance of the real and of the fake target, as the discriminator meets them."""
    real, fake = _moments(loss.get("real_target", 1.0)), _moments(loss.get("fake_target", 0.0))
    flip = loss.get("flip", 0.0)
    if real is None or fake is None or isinstance(flip, bool) or not isinstance(flip, int | float):
        return None
    return _mixed(real, fake, flip), _mixed(fake, real, flip)


def _moments(target: Any) -> tuple[float, float] | None:
    """Of a number, or of [low, high] drawn uniformly."""
    ends = target if isinstance(target, Sequence) and not isinstance(target, str) else (target, target)
    if len(ends) != 2 or not all(isinstance(end, int | float) and not isinstance(end, bool) for end in ends):
        return None
    low, high = ends
    return (low + high) / 2, (high - low) ** 2 / 12


def _mixed(own: tuple[float, float], other: tuple[float, float], flip: float) -> tuple[float, float]:
    """Of a target that is the other's with probability `flip`."""
    mean = own[0] + flip * (other[0] - own[0])
    within = own[1] + flip * (other[1] - own[1])
    return mean, within + flip * (1 - flip) * (other[0] - own[0]) ** 2


def _entropy(target: float) -> float:
    return sum(-p * math.log(p) for p in (target, 1 - target) if 0 < p < 1)
