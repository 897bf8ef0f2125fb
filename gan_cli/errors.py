"""What can go wrong, by who should act and how the program exits.

GanCliError
├── Refused     exit 2: a key, value, path, combination or file that the user can mend; nothing was started
│   └── Incompatible    in a sweep: an empty cell of the grid, not a mistake
└── RunFailed   exit 1: a run that had started
    ├── Diverged
    ├── Pruned
    └── RankLost

KeyboardInterrupt
└── Stopped     exit 130 (Ctrl-C) or 143 (SIGTERM), after saving; it also ends a sweep, which `Exception` would not
"""


class GanCliError(Exception):
    """A foreseen failure: its text is for the user, its traceback is not."""

    exit_code = 1


class Refused(GanCliError):
    """Nothing was started: the request itself must change."""

    exit_code = 2


class Incompatible(Refused):
    """Options that are right by themselves and wrong together, for a reason that the text gives."""


class RunFailed(GanCliError):
    """A run that had started and could not go on."""


class Diverged(RunFailed):
    """A loss became NaN or infinite."""


class Pruned(RunFailed):
    """A search ended the run because others had done better by then."""


class RankLost(RunFailed):
    """Another of the processes that train a run could not be reached any more.

    Attributes:
        speaks: whether this process is the one that tells of it.
    """

    def __init__(self, text: str, speaks: bool) -> None:
        super().__init__(text)
        self.speaks = speaks


class Stopped(KeyboardInterrupt):
    """A signal ended the run after its state was saved."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(f"stopped by signal {signal_number}")
        self.exit_code = 128 + signal_number
