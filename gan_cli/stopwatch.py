"""The time that training itself takes."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch


class Stopwatch:
    """Counts seconds from its making, except while paused."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._since: float | None = time.perf_counter()  # None while paused
        self._before = 0.0

    @property
    def seconds(self) -> float:
        """Seconds counted so far; the device's unfinished work is included, and waited for."""
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        return self._before + (0.0 if self._since is None else time.perf_counter() - self._since)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Leave the block's time out of the count."""
        self._before, self._since = self.seconds, None
        try:
            yield
        finally:
            self._since = time.perf_counter()
