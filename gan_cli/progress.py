"""The progress bar, and what else may stand in its place."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Protocol

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


class Display(Protocol):
    """What a person sees of a run while it trains."""

    def advance(self) -> None:
        """One step more."""
        ...

    def show(self, values: Mapping[str, float]) -> None:
        """The latest figures."""
        ...

    def measured(self, told: str) -> None:
        """What was measured last, or is being done about it."""
        ...

    @property
    def due(self) -> bool:
        """Whether it is time to `draw`."""
        ...

    def draw(self) -> None:
        """Take the time that drawing takes."""
        ...

    def look(self) -> None:
        """Show the samples as they are now, if samples are shown."""
        ...


class StepBar:
    """Steps done, the latest losses and speed, and the time left."""

    def __init__(self, progress: Progress, total: int, done: int) -> None:
        self._progress = progress
        self._task = progress.add_task("training", total=total, completed=done, figures="")

    def advance(self) -> None:
        """One step more."""
        self._progress.advance(self._task)

    def show(self, values: Mapping[str, float]) -> None:
        """The latest figures."""
        self._progress.update(self._task, figures=figures(values))

    def measured(self, told: str) -> None:
        """Nothing: it is logged."""

    @property
    def due(self) -> bool:
        """Never: a thread of its own draws it."""
        return False

    def draw(self) -> None:
        """Nothing."""

    def look(self) -> None:
        """Nothing."""


@contextmanager
def step_bar(total: int, done: int) -> Iterator[StepBar]:
    """A bar on the terminal while the block runs; nothing where the output is not a terminal."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn("{task.fields[figures]}"),
        TimeRemainingColumn(),
    )
    progress = Progress(*columns, transient=True)
    progress.disable = not progress.console.is_terminal
    with progress:
        yield StepBar(progress, total, done)


def figures(values: Mapping[str, float]) -> str:
    """Losses, metrics and speed as one short text."""
    losses = [f"{name} {value:.3f}" for name, value in values.items() if name.startswith("loss/")]
    losses += [f"{name[8:]} {value:.3g}" for name, value in values.items() if name.startswith("metrics/")]
    return "  ".join([*losses, f"{values['speed/images_per_s']:,.0f} images/s"])
