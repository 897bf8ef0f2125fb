"""Which of a run's evaluations was the best."""

import json
import math
import sys
from collections.abc import Iterable, Mapping

from gan_cli.evaluation.evaluator import Guide

_GUARD = 0.8  # of its best


class Best:
    """The best evaluation so far.

    One is better than those before if its guiding metric is lower, and the guard at least 80 % of the highest that was
    seen: a kernel distance can fall while a generator comes to repeat a few good samples, and coverage then falls too.
    """

    def __init__(self, guide: Guide) -> None:
        self._guide = guide
        self._lowest = math.inf
        self._highest_guard = -math.inf

    def improved_by(self, values: Mapping[str, float]) -> bool:
        """Take in an evaluation; whether it is the best now."""
        value = values.get(self._guide.metric, math.nan)
        guard = values.get(self._guide.guard or "", math.inf)
        guarded = guard >= _GUARD * self._highest_guard
        if self._guide.guard in values:
            self._highest_guard = max(self._highest_guard, guard)
        if not guarded or not value < self._lowest:
            return False
        self._lowest = value
        return True


def evaluations(lines: Iterable[str]) -> list[dict[str, float]]:
    """The evaluations that the lines of a log tell of, in the order of their steps: values by name, nan for what is no
    number, such as null."""
    found: dict[int, dict[str, float]] = {}
    for content in map(json.loads, lines):
        for name, value in content.items():
            if name.startswith("metrics/"):
                told = found.setdefault(content["step"], {})
                finite = isinstance(value, int | float) and abs(value) <= sys.float_info.max
                told[name.removeprefix("metrics/")] = value if finite else math.nan
    return [values for _, values in sorted(found.items())]
