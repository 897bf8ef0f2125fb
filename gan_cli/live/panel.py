"""The picture above the status, in no more than the terminal has."""

from collections.abc import Callable

from rich.console import Console, ConsoleOptions, RenderResult
from rich.segment import Segment
from torch import Tensor

from gan_cli.live import status
from gan_cli.live.half_blocks import half_blocks
from gan_cli.live.status import Status

_MOST, _LEAST = 20, 4  # lines of a picture
_FOR_MESSAGES = 4  # lines of the terminal that stay free for what is told meanwhile
_EDGE = 1  # columns at the right: what is as wide as the terminal may wrap
_TYPED = 2  # further ones behind the last line, where a Ctrl-C shows as ^C

Picture = Callable[[int, int], Tensor | None]
"""Draws into at most so many pixels, height and width: integers (C, H, W); None where it finds them too few."""


class Panel:
    """A picture that is replaced now and then, and a status that is drawn anew each time.

    Both are fitted into the terminal as it is at that moment.
    """

    def __init__(self, below: Status) -> None:
        self._status: Status | None = below
        self._picture: Picture | None = None
        self._room: tuple[int, int] | None = None
        self._lines: list[list[Segment]] = []

    def replace(self, picture: Picture) -> None:
        """Show another picture from now on."""
        self._picture, self._room = picture, None

    def end(self) -> None:
        """From now on the picture alone is shown: it stays on the terminal."""
        self._status = None

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        columns, lines = max(1, min(options.max_width, console.width) - _EDGE), console.height
        room = lines - status.LINES - 2 - _FOR_MESSAGES, columns
        if room != self._room:
            self._room, self._lines = room, self._drawn(min(_MOST, room[0]), columns)
        if self._lines:
            yield Segment.line()
            for line in self._lines:
                yield from line
                yield Segment.line()
            yield Segment.line()
        if self._status is not None and lines > status.LINES:
            yield from console.render(self._status, options.update(width=max(1, columns - _TYPED)))

    def _drawn(self, lines: int, columns: int) -> list[list[Segment]]:
        if self._picture is None or lines < _LEAST:
            return []
        picture = self._picture(2 * lines, columns)
        return [] if picture is None else half_blocks(picture)
