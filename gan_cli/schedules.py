"""Schedules: pure functions of a run's progress, so that there is no state to save or to bend."""

import math
from collections.abc import Callable

Schedule = Callable[[int], float]
"""From the number of finished steps to a factor."""


def constant(step: int) -> float:
    """1 throughout."""
    return 1.0


def linear(final: float, horizon: int) -> Schedule:
    """From 1 at step 0 straight to `final` at step `horizon`, and `final` after it."""
    return lambda step: 1 + (final - 1) * min(step / horizon, 1.0)


def cosine(final: float, horizon: int) -> Schedule:
    """From 1 at step 0 along half a cosine wave to `final` at step `horizon`, and `final` after it."""
    return lambda step: final + (1 - final) * (1 + math.cos(math.pi * min(step / horizon, 1.0))) / 2
