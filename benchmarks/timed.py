"""A run that trains in turns, so that whatever slows the machine slows the other one as well."""

from dataclasses import dataclass, field

import torch
from step import seconds

from gan_cli.run import Run


@dataclass
class Timed:
    """A run, and what it took so far.

    Attributes:
        turns: (steps, seconds) of each turn.
    """

    run: Run
    turns: list[tuple[int, float]] = field(default_factory=list)

    def advance(self, most: int) -> None:
        """A turn: so many steps, or what is left."""
        steps = min(most, self.run.total_steps - self.run.step)
        if steps > 0:
            self.turns.append((steps, seconds(lambda: self._all(steps), 1)))

    def _all(self, steps: int) -> None:
        for _ in range(steps):
            self.run.advance()
        if self.run.device.type == "cuda":
            torch.cuda.synchronize(self.run.device)

    @property
    def seconds(self) -> float:
        """Of training."""
        return round(sum(taken for _, taken in self.turns), 3)

    @property
    def done(self) -> bool:
        return self.run.step >= self.run.total_steps
