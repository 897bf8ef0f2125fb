"""Ctrl-C and SIGTERM end a run between two steps, after its state is saved."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType


@dataclass
class StopRequest:
    """The signal that asked the run to stop, if one did."""

    signal_number: int | None = None


@contextmanager
def listening() -> Iterator[StopRequest]:
    """Note SIGINT and SIGTERM instead of dying of them; a second SIGINT interrupts at once.

    Outside the main thread, where Python takes no signals, nothing is noted; nor is SIGINT where it is left to the
    parent.
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return

    def note(number: int, frame: FrameType | None) -> None:
        if request.signal_number is not None and number == signal.SIGINT:
            raise KeyboardInterrupt
        request.signal_number = number

    ours = [number for number in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(number) is not _left_to_parent]
    before = {number: signal.signal(number, note) for number in ours}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def leave_interrupts_to_parent() -> None:
    """Take no notice of SIGINT, which a terminal sends to all processes of a sweep; the one that started them decides,
    and sends SIGTERM."""
    signal.signal(signal.SIGINT, _left_to_parent)


def _left_to_parent(number: int, frame: FrameType | None) -> None:
    pass
