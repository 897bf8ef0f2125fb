"""gan-train as torchrun starts it: the first rank is the command, the others follow it."""

import signal
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from gan_cli.commands import entry
from gan_cli.commands.resumed import into_run_directory, joining
from gan_cli.errors import RankLost, Refused
from gan_cli.ranks.many import Many, connected


def run(main: Callable[[], Any], program: str) -> int:
    """As `entry.run`, on every rank: the first one tells, and all end with its exit code where it is refused.

    What one rank fails of is left where the first one finds it.
    """
    try:
        ranks = connected()
        if ranks.leads:
            code = entry.run(main, program, _one_run, partial(_told_elsewhere, ranks))
        else:
            code = _follow(ranks, main, program)
    except KeyboardInterrupt:
        return entry.INTERRUPTED
    except RuntimeError as error:  # of the store: nobody answers at MASTER_ADDR, or not any more
        print(f"{program}: the ranks cannot find each other: {str(error).splitlines()[0]}", file=sys.stderr)
        return entry.FAILED
    if code:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # torchrun sends it when the first has ended; this one ends too
    ranks.leave(code)
    return code


def _follow(ranks: Many, main: Callable[[], Any], program: str) -> int:
    found = ranks.directory()
    if isinstance(found, int):
        return found
    return entry.run(main, program, partial(joining, Path(found)), partial(_told_elsewhere, ranks))


def _one_run(arguments: Sequence[str]) -> Sequence[str]:
    if entry.is_sweep(arguments):
        raise Refused(
            "the processes that torchrun starts train one run together, and -m asks for several runs: leave out -m, or "
            "train the sweep without torchrun (sweep.jobs=N: so many jobs at a time)"
        )
    return into_run_directory(arguments)


def _told_elsewhere(ranks: Many, error: BaseException, message: str) -> bool:
    """Leave word of a failure; whether another rank tells of it."""
    if isinstance(error, RankLost):
        return not error.speaks
    ranks.leave_reason(message)
    return not ranks.leads
