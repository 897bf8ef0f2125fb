"""One number about samples, with what it takes to read it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Measure:
    """One metric of the samples of a generator.

    Attributes:
        name: as in `metrics/NAME`.
        value: of the samples.
        floor: what as many real samples score that are not among those compared with: what a perfect generator would.
        count: of how many samples; 0 where the value is exact, of the distribution itself.
        weights: "raw", or "ema" where an average of the generator drew them.
        extractor: the feature network that looked at them; None where none did.
    """

    name: str
    value: float
    floor: float
    count: int
    weights: str
    extractor: str | None = None

    def __str__(self) -> str:
        return told(self.name, self.value, self.floor)


_TELLING = ("fid", "modes", "kl", "kid")
"""What a person is told first, where only one number is."""


def telling(names: Sequence[str]) -> str:
    """The name of the metric to tell where only one is told; the first, where none is known."""
    return next((name for name in _TELLING if name in names), names[0])


def told(name: str, value: float | None, floor: float | None) -> str:
    """A metric beside its floor, for a person; None is infinite, as in a log."""
    shown, real = ("infinite" if number is None else f"{number:.3g}" for number in (value, floor))
    return f"{name.upper() if len(name) <= 3 else name.replace('_', ' ')} {shown} (real data {real})"


def finite(value: float) -> float | None:
    """A number as JSON knows it; None for an infinite divergence, as of a generator that collapsed onto a line."""
    return value if math.isfinite(value) else None
