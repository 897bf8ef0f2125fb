"""Curves as inline SVG: no library, no script, colors from the page's style sheet."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from gan_cli.doctor.series import Series

_WIDTH, _HEIGHT = 360, 200
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 8, 8, 22
_POINTS = 200  # of a curve; of more, every n-th is drawn and the last
_LOG_FROM = 50.0  # the ratio of the largest to the smallest value from which on a logarithmic scale is used
_NUM_COLORS = 8


@dataclass(frozen=True)
class Curve:
    """One line of a diagram.

    Attributes:
        name: shown where the pointer rests on it.
        color: a number of the style sheet; those beyond the eighth are grey.
    """

    name: str
    color: int
    series: Series


def chart(curves: Sequence[Curve], what: str, logarithmic: bool = True) -> str:
    """A diagram of curves over steps; a sentence where there are none.

    Args:
        what: the diagram shows, for those who do not see it.
        logarithmic: whether values of very different sizes may get a logarithmic scale.
    """
    drawn = [curve for curve in curves if len(curve.series)]
    if not drawn:
        return '<p class="note">nothing was logged</p>'
    values = [value for curve in drawn for value in curve.series.values]
    last = max(curve.series.steps[-1] for curve in drawn) or 1
    scale = _Scale(min(values), max(values), logarithmic and min(values) > 0 and max(values) / min(values) > _LOG_FROM)
    lines = "".join(_line(curve, last, scale) for curve in drawn)
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(what)}">'
        f"{_axes(last, scale)}{lines}</svg>"
    )


class _Scale:
    """Where a value stands on the vertical axis."""

    def __init__(self, low: float, high: float, logarithmic: bool) -> None:
        self._log = logarithmic
        margin = 0.0 if logarithmic else (high - low) * 0.05 or abs(high) * 0.05 or 1.0
        self.low, self.high = low - margin, high + margin

    def __call__(self, value: float) -> float:
        """Pixels from the top."""
        low, high, here = (self._seen(number) for number in (self.low, self.high, value))
        share = (here - low) / (high - low) if high > low else 0.5
        return _HEIGHT - _BOTTOM - share * (_HEIGHT - _BOTTOM - _TOP)

    def ticks(self) -> list[float]:
        """Four values from the bottom to the top, evenly spaced as they are seen."""
        low, high = self._seen(self.low), self._seen(self.high)
        places = [low + (high - low) * number / 3 for number in range(4)]
        return [math.exp(place) if self._log else place for place in places]

    def _seen(self, value: float) -> float:
        return math.log(value) if self._log else value


def _axes(last: int, scale: _Scale) -> str:
    parts = []
    for value in scale.ticks():
        y = scale(value)
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{_LEFT - 4}" y="{y + 3:.1f}" text-anchor="end">{value:.3g}</text>')
    for step in (0, last // 2, last):
        anchor = "end" if step == last else "middle" if step else "start"
        parts.append(f'<text x="{_x(step, last):.1f}" y="{_HEIGHT - 6}" text-anchor="{anchor}">{step:,}</text>')
    return "".join(parts)


def _line(curve: Curve, last: int, scale: _Scale) -> str:
    steps, values = curve.series.steps, curve.series.values
    stride = -(-len(steps) // _POINTS)
    chosen = [*range(0, len(steps) - 1, stride), len(steps) - 1]
    points = [(_x(steps[at], last), scale(values[at])) for at in chosen]
    style = f"c{curve.color}" if curve.color < _NUM_COLORS else "other"
    title = f"<title>{escape(curve.name)}</title>"
    if len(points) == 1:
        return f'<circle class="{style}" cx="{points[0][0]:.1f}" cy="{points[0][1]:.1f}" r="2.5">{title}</circle>'
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polyline class="{style}" points="{path}">{title}</polyline>'


def _x(step: int, last: int) -> float:
    return _LEFT + step / last * (_WIDTH - _LEFT - _RIGHT)
