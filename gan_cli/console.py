"""What the terminal shows: log lines and the progress bar share one console, so that neither tears the other."""

import logging
import os
import sys
from collections.abc import Iterable
from typing import TypeVar

from rich import get_console
from rich.progress import track

T = TypeVar("T")


class ConsoleHandler(logging.Handler):
    """Log records as plain lines, never wrapped, above a progress bar that may be running."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            get_console().print(self.format(record), markup=False, highlight=False, soft_wrap=True)
        except (OSError, SystemExit):  # the reader is gone (rich would exit), or the disk behind it is full:
            # the run goes on, and train.log has the line
            silence_stdout()


def tracked(items: Iterable[T], description: str, total: int) -> Iterable[T]:
    """The items, with a progress bar on the terminal meanwhile; nothing where the output is not a terminal."""
    return track(items, description, total, transient=True, disable=not get_console().is_terminal)


def silence_stdout() -> None:
    """Let what is still printed go nowhere: a closed pipe would fail again at every line and at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
