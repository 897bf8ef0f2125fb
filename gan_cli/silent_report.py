"""The report of a rank that tells nothing, but takes part in what the first one's report needs."""

import time
from collections.abc import Mapping

from gan_cli.report import Report
from gan_cli.run import Run


class SilentReport(Report):
    """Does what a `Report` changes in the run, and this rank's share of what it computes; writes nothing."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._started = time.monotonic()

    def begin(self) -> None:
        """Nothing."""

    def advance(self) -> None:
        """Nothing."""

    def scalars(self, clear: bool) -> None:
        """A new mean, where the first rank begins one."""
        self._run.meter.check()
        if clear:
            self._run.meter.clear()

    def picture(self) -> None:
        """Nothing."""

    def select(self) -> Mapping[str, float]:
        """A share of the samples."""
        self._run.assist(final=False)
        return {}

    def evaluate(self) -> None:
        """A share of the samples."""
        self._run.assist(final=True)

    def save(self) -> None:
        """The comparison of the ranks' states."""
        self._run.save()

    def finish(self) -> None:
        """Nothing."""
