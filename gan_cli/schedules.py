"""Schedules: pure functions of a run's progress, so that there is no state to save or to bend."""

import math
from collections.abc import Callable, Mapping
from typing import Any

Schedule = Callable[[int], float]
"""From the number of finished steps to a value."""


def constant(value: float = 1.0) -> Schedule:
    """The value throughout."""
    return lambda step: value


def linear(start: float, end: float, horizon: int) -> Schedule:
    """From `start` at step 0 straight to `end` at step `horizon`, and `end` after it."""
    return lambda step: start + (end - start) * min(step / horizon, 1.0)


def cosine(start: float, end: float, horizon: int) -> Schedule:
    """From `start` at step 0 along half a cosine wave to `end` at step `horizon`, and `end` after it."""
    return lambda step: end + (start - end) * (1 + math.cos(math.pi * min(step / horizon, 1.0))) / 2


def held(schedule: Schedule, steps: int) -> Schedule:
    """A schedule that begins after so many steps; until then its value of step 0."""
    return lambda step: schedule(max(0, step - steps))


def follow(value: Any, step: int) -> Any:
    """What a configured value is at a step: a mapping of start, end, shape and steps by its schedule, else itself.

    In a list each entry is followed by itself.
    """
    if isinstance(value, list):
        return [follow(entry, step) for entry in value]
    return scheduled(value)(step) if is_schedule(value) else value


def is_schedule(value: Any) -> bool:
    """Whether a configured value describes a schedule."""
    return isinstance(value, Mapping) and value.keys() == {"start", "end", "shape", "steps"}


def scheduled(value: Mapping[str, Any]) -> Schedule:
    """The schedule that a mapping of start, end, shape and steps describes."""
    start, end, steps = value["start"], value["end"], value["steps"]
    match value["shape"]:
        case "linear":
            return linear(start, end, steps)
        case "cosine":
            return cosine(start, end, steps)
        case "constant":
            return constant(start)
    raise ValueError(f"shape must be constant, linear or cosine, got {value['shape']!r}")
