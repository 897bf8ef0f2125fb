"""A curve of a log, and the parts of it that rules look at."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

LEAST = 3
"""Points that a part of a curve must have before a rule speaks of it: one line is no evidence."""


@dataclass(frozen=True)
class Series:
    """Values by rising step.

    Attributes:
        floor: of a metric: what real samples score, as the last of its lines that has one says.
        count: of a metric: of how many samples.
    """

    steps: Sequence[int] = ()
    values: Sequence[float] = ()
    floor: float | None = None
    count: float | None = None

    def __len__(self) -> int:
        return len(self.steps)

    def third(self, number: int) -> "Series":
        """The first (0), second (1) or last (2) third of the steps that the curve spans."""
        if not self.steps:
            return self
        first, span = self.steps[0], self.steps[-1] - self.steps[0]
        low, high = first + span * number / 3, first + span * (number + 1) / 3
        inside = [low < step <= high or step == first == low for step in self.steps]
        return self._only(inside)

    @property
    def last_third(self) -> "Series":
        """What `sustained` means throughout: the last third, where the run has come to."""
        return self.third(2)

    def latest(self, number: int) -> "Series":
        """The last so many points."""
        return Series(self.steps[-number:], self.values[-number:], self.floor, self.count)

    def without_start(self) -> "Series":
        """All but step 0, where nothing has been trained."""
        return self._only([step > 0 for step in self.steps])

    @property
    def middle(self) -> float:
        """The median: one wild point does not move it."""
        return median(self.values)

    @property
    def last(self) -> float:
        return self.values[-1]

    def _only(self, inside: Sequence[bool]) -> "Series":
        kept = [position for position, is_inside in enumerate(inside) if is_inside]
        steps, values = [self.steps[at] for at in kept], [self.values[at] for at in kept]
        return Series(steps, values, self.floor, self.count)


def percent(share: float) -> str:
    """12.3 %, and of what is too small for that, that it is."""
    return "less than 0.1 %" if 0 <= share < 0.001 else f"{100 * share:.1f} %"


def number(value: float) -> str:
    """Three digits that count: 0.0123, 4.56, 1.2e+06."""
    return f"{value:.3g}"
