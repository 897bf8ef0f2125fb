import io

import pytest
import torch
from rich.console import Console

from gan_cli.durations import clock
from gan_cli.live.allowance import Allowance
from gan_cli.live.panel import Panel
from gan_cli.live.status import Status


def shown(console: Console, panel: Panel) -> list[str]:
    """The lines that a panel takes, without their trailing spaces."""
    lines = console.render_lines(panel, console.options, pad=False)
    return ["".join(segment.text for segment in line).rstrip() for line in lines]


def terminal(columns: int, lines: int) -> Console:
    file = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    return Console(file=file, width=columns, height=lines, force_terminal=True, color_system="truecolor")


def told() -> tuple[Panel, Status]:
    status = Status(2340, 0)
    status.step = 1234
    status.show({"loss/D": 0.5321, "loss/G": 1.204, "speed/images_per_s": 8120.4, "images_seen": 5.0})
    status.measured("FID 3.1 (real data 0.03)")
    panel = Panel(status)
    panel.replace(lambda height, width: torch.zeros(3, height, width, dtype=torch.uint8))
    return panel, status


@pytest.mark.parametrize("lines", [1, 2, 3, 5, 10, 12, 24, 32, 60])
@pytest.mark.parametrize("columns", [1, 2, 10, 40, 80, 100, 250])
def test_it_never_takes_more_than_the_terminal_has(columns: int, lines: int) -> None:
    panel, _ = told()
    found = shown(terminal(columns, lines), panel)
    assert len(found) <= lines
    assert all(len(line) <= max(1, columns - 1) for line in found)
    assert any("▀" in line for line in found) == (lines >= 12)


def test_the_status_tells_step_speed_losses_and_metric() -> None:
    panel, _ = told()
    found = "\n".join(shown(terminal(100, 32), panel))
    for words in ("step 1,234/2,340", " left", "8,120 images/s", "D 0.532  G 1.204", "FID 3.1 (real data 0.03)"):
        assert words in found


def test_it_fits_itself_to_a_terminal_that_was_resized() -> None:
    panel, _ = told()
    for columns, lines in ((100, 32), (40, 14), (120, 24)):
        found = shown(terminal(columns, lines), panel)
        assert max(map(len, found)) == columns - 1
        assert len(found) <= lines


def test_in_the_end_the_picture_alone_is_left() -> None:
    panel, status = told()
    panel.end()
    found = shown(terminal(80, 24), panel)
    assert set("".join(found)) == {"▀"}
    without = Panel(status)
    without.end()
    assert shown(terminal(80, 24), without) == []


def test_what_does_not_fit_is_left_out() -> None:
    panel, _ = told()
    panel.replace(lambda height, width: None)
    assert not any("▀" in line for line in shown(terminal(80, 24), panel))


def test_a_run_with_a_budget_ends_with_it() -> None:
    status = Status(10**9, 0, minutes=0.5)
    assert status.seconds_left is None
    status.step = 1
    assert status.seconds_left is not None
    assert status.seconds_left <= 30


@pytest.mark.parametrize(
    ("seconds", "words"), [(0, "0:00"), (7.4, "0:07"), (59.6, "1:00"), (750, "12:30"), (3723, "1:02:03")]
)
def test_durations(seconds: float, words: str) -> None:
    assert clock(seconds) == words


def test_drawing_takes_no_more_than_its_share_of_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    allowance = Allowance(every=2.0, share=0.01)
    spent, times = 0.0, 0
    while now < 1100.0:
        if allowance.due:
            with allowance.spending():
                now += 0.3
            spent, times = spent + 0.3, times + 1
        assert not allowance.due  # not again at once
        now += 0.5
    assert spent <= 0.5 + 0.01 * 1001
    assert times >= 30
