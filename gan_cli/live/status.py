"""How far a run is, in two lines."""

import time
from collections.abc import Iterator, Mapping

from rich.console import Console, ConsoleOptions, RenderResult
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from gan_cli.durations import clock

LINES = 2
_BAR = 24  # characters


class Status:
    """Steps, speed and time left; below, the losses and what was measured last.

    Args:
        minutes: the run's budget; None: it has none.
    """

    def __init__(self, total: int, done: int, minutes: float | None = None) -> None:
        self.step = done
        self._total, self._first = total, done
        self._until = None if minutes is None else time.monotonic() + 60 * minutes
        self._began = time.monotonic()
        self._latest: Mapping[str, float] = {}
        self._measured = ""

    def show(self, values: Mapping[str, float]) -> None:
        """The latest losses and speed."""
        self._latest = values

    def measured(self, told: str) -> None:
        """What was measured last, or is being done about it."""
        self._measured = told

    @property
    def seconds_left(self) -> float | None:
        """By the pace so far, everything included; None before the first step."""
        if self.step == self._first:
            return None
        now = time.monotonic()
        left = (now - self._began) / (self.step - self._first) * (self._total - self.step)
        return left if self._until is None else max(0.0, min(left, self._until - now))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        line = Table.grid(padding=(0, 2, 0, 0))
        bar = ProgressBar(self._total, self.step, width=min(_BAR, max(1, options.max_width // 4)))
        line.add_row(bar, Text("  ".join(self._pace()), no_wrap=True, overflow="ellipsis"))
        yield line
        yield Text("  ".join(self._figures()), no_wrap=True, overflow="ellipsis")

    def _pace(self) -> Iterator[str]:
        yield f"step {self.step:,}/{self._total:,}"
        left = self.seconds_left
        if left is not None:
            yield f"{clock(left)} left"
        if "speed/images_per_s" in self._latest:
            yield f"{self._latest['speed/images_per_s']:,.0f} images/s"

    def _figures(self) -> Iterator[str]:
        losses = [f"{name[5:]} {value:.3f}" for name, value in self._latest.items() if name.startswith("loss/")]
        if losses:
            yield "loss  " + "  ".join(losses)
        if self._measured:
            yield f"  {self._measured}"
