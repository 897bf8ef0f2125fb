"""How often something is done that training waits for."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

_ADVANCE = 0.5  # seconds


class Allowance:
    """At most once in a while, and at most a share of all time; half a second is given in advance.

    Args:
        every: seconds.
        share: of the time since this was made.
    """

    def __init__(self, every: float, share: float) -> None:
        self._every = every
        self._share = share
        self._began = time.monotonic()
        self._next = self._began
        self._spent = self._cost = 0.0

    @property
    def due(self) -> bool:
        """Whether it is time, and may cost what it cost the last time."""
        now = time.monotonic()
        return now >= self._next and self._spent + self._cost <= _ADVANCE + self._share * (now - self._began)

    @contextmanager
    def spending(self) -> Iterator[None]:
        """Around what is done."""
        before = time.monotonic()
        try:
            yield
        finally:
            now = time.monotonic()
            self._cost = now - before
            self._spent += self._cost
            self._next = now + self._every
