"""The part of the terminal that is redrawn in place while a run trains; what is logged scrolls above it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial

from rich import get_console
from rich.console import Console
from rich.live import Live
from torch import Tensor

from gan_cli.console import silence_stdout
from gan_cli.live.allowance import Allowance
from gan_cli.live.cloud import cloud
from gan_cli.live.mosaic import layout, mosaic
from gan_cli.live.panel import Panel, Picture
from gan_cli.live.status import Status
from gan_cli.preview import Preview

_SAMPLES, _POINTS = 16, 512
_PICTURE_EVERY, _STATUS_EVERY = 2.0, 0.5  # seconds
_PICTURE_SHARE, _STATUS_SHARE = 0.006, 0.003  # of all time


class LiveArea:
    """Draws what the run's own sampler makes. No random stream, no network and no buffer of the training is changed."""

    def __init__(self, live: Live, panel: Panel, status: Status, preview: Preview | None) -> None:
        self._live = live
        self._panel = panel
        self._status = status
        self._preview = preview
        self._pictures = Allowance(_PICTURE_EVERY, _PICTURE_SHARE)
        self._redraws = Allowance(_STATUS_EVERY, _STATUS_SHARE)
        self._lost = False

    def advance(self) -> None:
        """One step more."""
        self._status.step += 1

    def show(self, values: Mapping[str, float]) -> None:
        """The latest figures."""
        self._status.show(values)

    def measured(self, told: str) -> None:
        """What was measured last, or is being done about it; shown at once."""
        self._status.measured(told)
        self._redraw()

    @property
    def due(self) -> bool:
        """Whether it is time to draw."""
        return not self._lost and (self._redraws.due or self._picture_due)

    def draw(self) -> None:
        """The status, and the samples where it is time for them."""
        if not self._picture_due:
            with self._redraws.spending():
                self._redraw()
            return
        with self._pictures.spending():
            self.look()

    def look(self) -> None:
        """The status and the samples as they are now."""
        if self._preview is not None and not self._lost:
            self._panel.replace(_picture(self._preview))
        self._redraw()

    @property
    def _picture_due(self) -> bool:
        return self._preview is not None and self._pictures.due

    def _redraw(self) -> None:
        if self._lost:
            return
        try:
            self._live.refresh()
        except (OSError, SystemExit):  # the terminal is gone (rich would exit): the run goes on
            silence_stdout()
            self._lost = True


@contextmanager
def live_area(preview: Preview, total: int, done: int, minutes: float | None) -> Iterator[LiveArea]:
    """The area while the block runs, on a terminal that `is_possible`; its last picture stays there.

    Args:
        minutes: the run's budget; None: it has none.
    """
    console, status = get_console(), Status(total, done, minutes)
    panel = Panel(status)
    live = Live(panel, console=console, auto_refresh=False, vertical_overflow="crop")
    area = LiveArea(live, panel, status, preview if _shows_pictures(console, preview) else None)
    with live:
        try:
            area.look()
            yield area
        finally:
            panel.end()


def is_possible() -> bool:
    """Whether the output is a terminal on which something can be redrawn in place."""
    console = get_console()
    return console.file.isatty() and console.is_terminal and not console.is_dumb_terminal


def _shows_pictures(console: Console, preview: Preview) -> bool:
    """Whether the terminal has the colors and characters for them, and the samples are pictures or points."""
    colors = console.color_system in ("256", "truecolor") and not console.no_color
    dataset = preview.datasets[0]
    drawable = dataset.sample_shape[0] in (1, 3) if dataset.is_images else dataset.sample_shape[0] >= 2
    return colors and drawable and not (console.options.ascii_only or console.legacy_windows)


def _picture(preview: Preview) -> Picture:
    """The samples of this moment, to be drawn at any size."""
    if preview.datasets[0].is_images:
        return partial(_tiles, preview.fakes(_SAMPLES).cpu())
    return partial(_cloud, preview.real_samples().cpu(), preview.fakes(_POINTS).cpu())


def _tiles(samples: Tensor, height: int, width: int) -> Tensor | None:
    found = layout(samples.shape[-2], samples.shape[-1], (height, width), len(samples))
    return None if found is None else mosaic(samples, found)


def _cloud(real: Tensor, generated: Tensor, height: int, width: int) -> Tensor:
    return cloud(real, generated, min(height, width), min(height, width))
