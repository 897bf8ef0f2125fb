"""What measures the samples of a generator, whatever the data are."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

from torch import Tensor

from gan_cli.evaluation.measure import Measure
from gan_cli.sampling import Sampler


@dataclass(frozen=True)
class Guide:
    """Which metric says that one state of a generator is better than another.

    Attributes:
        metric: the lower the better.
        guard: one that must not fall far below its best meanwhile; None: none.
    """

    metric: str
    guard: str | None = None


@dataclass(frozen=True)
class Evaluation:
    """What was measured, and what can be looked at beside it.

    Attributes:
        draw: makes `pictures`; most evaluations are never looked at, and pictures take as long as the scores.
        reference: what the real samples' statistics were computed from; empty where a distribution is known instead.
    """

    measures: Sequence[Measure]
    draw: Callable[[], Mapping[str, Tensor]] = dict
    reference: Mapping[str, str | int] = field(default_factory=dict)

    @cached_property
    def pictures(self) -> Mapping[str, Tensor]:
        """What the numbers mean, uint8 (C, H, W), by their names."""
        return self.draw()

    @property
    def values(self) -> dict[str, float]:
        """The values, by name."""
        return {measure.name: measure.value for measure in self.measures}


class Evaluator(Protocol):
    """Draws samples and measures them. Neither the generator nor any random stream of the training is changed."""

    @property
    def guide(self) -> Guide:
        """How its evaluations choose between states of a generator."""
        ...

    def evaluate(self, sampler: Sampler, weights: str) -> Evaluation:
        """Measure what a sampler draws.

        Args:
            weights: which ones the sampler's generator has: "raw" or "ema".
        """
        ...

    def assist(self, sampler: Sampler) -> None:
        """Do this rank's share of the work while the first one evaluates; there may be none."""
        ...
