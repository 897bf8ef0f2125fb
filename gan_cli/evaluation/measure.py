"""One number about samples, with what it takes to read it."""

import math
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


def finite(value: float) -> float | None:
    """A number as JSON knows it; None for an infinite divergence, as of a generator that collapsed onto a line."""
    return value if math.isfinite(value) else None
