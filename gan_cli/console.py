"""What the terminal shows: log lines and the progress bar share one console, so that neither tears the other."""

import logging
import os
import sys

from rich import get_console


class ConsoleHandler(logging.Handler):
    """Log records as plain lines, never wrapped, above a progress bar that may be running."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            get_console().print(self.format(record), markup=False, highlight=False, soft_wrap=True)
        except (OSError, SystemExit):  # the reader is gone (rich would exit), or the disk behind it is full:
            # the run goes on, and train.log has the line
            silence_stdout()


def silence_stdout() -> None:
    """Let what is still printed go nowhere: a closed pipe would fail again at every line and at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
