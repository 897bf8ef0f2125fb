"""What the terminal shows: log lines and the progress bar share one console, so that neither tears the other."""

import logging

from rich import get_console


class ConsoleHandler(logging.Handler):
    """Log records as plain lines, never wrapped, above a progress bar that may be running."""

    def emit(self, record: logging.LogRecord) -> None:
        get_console().print(self.format(record), markup=False, highlight=False, soft_wrap=True)
