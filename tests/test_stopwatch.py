import pytest
import torch

from gan_cli import stopwatch
from gan_cli.stopwatch import Stopwatch


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that the test sets."""
    time = [100.0]
    monkeypatch.setattr(stopwatch.time, "perf_counter", lambda: time[0])
    return time


def test_pauses_are_left_out_and_reading_changes_nothing(now: list[float]) -> None:
    watch = Stopwatch(torch.device("cpu"))
    now[0] += 3
    assert watch.seconds == watch.seconds == 3
    with watch.paused():
        now[0] += 10
        assert watch.seconds == 3
    now[0] += 2
    assert watch.seconds == 5


def test_time_goes_on_after_a_pause_that_failed(now: list[float]) -> None:
    watch = Stopwatch(torch.device("cpu"))
    with pytest.raises(ValueError, match="inside"), watch.paused():
        now[0] += 10
        raise ValueError("inside")
    now[0] += 1
    assert watch.seconds == 1
