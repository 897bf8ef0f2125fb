"""Which jobs a sweep runs next: of a grid those that are missing, of a search those that it asks for."""

import logging
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

from gan_cli.command_schema import SearchConf
from gan_cli.comparison import metric, records
from gan_cli.errors import RunFailed
from gan_cli.run_directory import RunDirectory
from gan_cli.sweep.ledger import Cell, Ledger, Overrides
from gan_cli.sweep.study import Space, Study, Trial

log = logging.getLogger("gan_cli.sweep")

_POLL_S = 0.5

DONE = ("finished", "refused", "diverged", "pruned")
"""States in which a job stays: another try would come to the same. What failed for other reasons is tried again."""


class Plan(Protocol):
    """Iterating over it gives jobs to run, some at a time; each time those before have run, or were stopped."""

    metric: str
    """What the jobs are judged by, or "auto"."""

    @property
    def cells(self) -> Sequence[Cell]:
        """All jobs so far, done or not."""
        ...

    def best(self) -> tuple[int, float] | None:
        """The number and the value of the best job, where the plan is to find it; None where it is not."""
        ...

    def __iter__(self) -> Iterator[Sequence[Cell]]: ...


class Grid:
    """Every combination.

    Args:
        command: what was typed.
        wanted: the combinations.
    """

    metric = "auto"

    def __init__(self, directory: Path, ledger: Ledger, command: Sequence[str], wanted: Sequence[Overrides]) -> None:
        self._directory = directory
        self.cells = ledger.enter(command, wanted)

    def best(self) -> tuple[int, float] | None:
        """None: one number a job does not tell which values are best."""

    def __iter__(self) -> Iterator[Sequence[Cell]]:
        left = _left(self._directory, self.cells)
        while left:
            free = [cell for cell in left if RunDirectory(self._directory / str(cell.number)).holder is None]
            if not free:
                free = _waited(self._directory, left[:1])
            if not free:
                left = _left(self._directory, left[1:])
                continue
            yield free
            begun = [cell for cell in free if RunDirectory(self._directory / str(cell.number)).state() is not None]
            if not begun:
                return
            # Others have not begun where a job took the launcher's processes with it.
            left = _left(self._directory, [cell for cell in left if cell not in begun])


class Search:
    """Trials, as many as `num_trials` with those of earlier calls.

    Args:
        fixed: what is typed for each trial.
        at_a_time: trials that are asked for before any of them is told.
    """

    def __init__(
        self,
        directory: Path,
        ledger: Ledger,
        command: Sequence[str],
        conf: SearchConf,
        space: Space,
        fixed: Overrides,
        at_a_time: int,
    ) -> None:
        self.metric = conf.metric
        self._directory, self._ledger, self._command = directory, ledger, command
        self._conf, self._fixed, self._at_a_time = conf, fixed, at_a_time
        self._study = Study(directory, conf, space, fixed, metric.higher_is_better(conf.metric))

    @property
    def cells(self) -> Sequence[Cell]:
        """All trials so far."""
        return self._ledger.cells

    def __iter__(self) -> Iterator[Sequence[Cell]]:
        while trials := self._next():
            numbers = [trial.number for trial in trials]
            cells = self._ledger.enter(self._command, list(map(self._overrides, trials)), numbers)
            left = _waited(self._directory, cells)
            if left:
                yield left
            for number in numbers:
                self._tell(number)

    def best(self) -> tuple[int, float] | None:
        """The number and the value of the best trial that ran to its end."""
        found = self._study.best()
        return None if found is None else (found[0].number, found[1])

    def _next(self) -> list[Trial]:
        trials = self._study.unfinished[: self._at_a_time]
        while len(trials) < self._at_a_time and self._study.count < self._conf.num_trials:
            trials.append(self._study.ask())
        return trials

    def _overrides(self, trial: Trial) -> Overrides:
        values = tuple(f"{key}={value}" for key, value in trial.values.items())
        search = {"trial": trial.number, "metric": self._conf.metric, "prune": self._conf.prune}
        return (*self._fixed, *values, *(f"+search.{key}={value}" for key, value in search.items()))

    def _tell(self, number: int) -> None:
        """Tell the study what became of a trial, unless it was interrupted.

        Raises:
            RunFailed: it has come to its end and cannot be judged, so that no other will be.
        """
        record = records.read(self._directory / str(number))
        if record.state == "interrupted":
            return
        judged = metric.choose([record], self._conf.metric)
        value = judged.value(record) if judged is not None else None
        known = record.state in ("finished", "pruned") and value is not None
        self._study.tell(number, value.value if known and value is not None else None, record.state == "pruned")
        if record.state == "finished" and value is None:
            raise RunFailed(
                f"trial {number} finished without {self._conf.metric}, which the search goes by; it logged "
                f"{', '.join(metric.logged([record])) or 'nothing'}: train.evaluate_every must be shorter than a run"
            )


def _left(directory: Path, cells: Sequence[Cell]) -> list[Cell]:
    return [cell for cell in cells if RunDirectory(directory / str(cell.number)).state() not in DONE]


def _waited(directory: Path, cells: Sequence[Cell]) -> list[Cell]:
    """Those that are left when no other process is at any of them: one of a killed sweep, or of a cluster, may be."""
    for cell in cells:
        run = RunDirectory(directory / str(cell.number))
        if run.holder is not None:
            log.info("waiting for process %d, which is at job %d", run.holder, cell.number)
        while run.holder is not None:
            time.sleep(_POLL_S)
    return _left(directory, cells)
