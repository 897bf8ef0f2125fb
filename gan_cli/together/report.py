"""How a run tells of itself that steps as one with others."""

from gan_cli.progress import Display
from gan_cli.report import Report
from gan_cli.run import Run
from gan_cli.stopwatch import Stopwatch
from gan_cli.tracking import Tracker


class SharedReport(Report):
    """A report whose seconds of training are those of the steps that all runs take at once.

    What any of the runs writes is left out. The speed is the run's own images over these seconds: those of all runs
    add up to the program's.

    Args:
        stopwatch: one for all, paused until training starts.
    """

    def __init__(self, run: Run, tracker: Tracker, display: Display, stopwatch: Stopwatch) -> None:
        super().__init__(run, tracker, display)
        self._stopwatch = stopwatch
        self._read_at = (run.images_seen, stopwatch.seconds)
