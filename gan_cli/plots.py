"""Numbers as pictures."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SHEET_WIDTH, _SHEET_TITLE = 10.0, 0.5  # inches
_FRAME = (0.15, 0.08, 0.82, 0.85)  # left, bottom, width, height of axes with labels and a title, of the figure's
_MISSING = 1 / 40  # of its width: the height of the bar
_COLORS = ("#9aa5b1", "#d1495b", "#2b4c7e", "#edae49")


def scatter(
    groups: Mapping[str, Tensor], title: str = "", framing: Tensor | None = None, ways: Iterable[Tensor] = ()
) -> Tensor:
    """Points (N, D ≥ 2) of up to four named groups in their first two coordinates: uint8 (3, H, W).

    Ways, lines through points (N, D ≥ 2), lie among them.

    The axes are fixed by the points `framing`, or else the first group, and lie at the same place in every picture, so
    that successive plots compare; points outside are not shown.
    """
    plotted = figure(5, 5, layout=None)
    axes = plotted.add_axes(_FRAME)
    for (name, points), color in zip(groups.items(), _COLORS, strict=False):
        axes.scatter(points[:, 0].tolist(), points[:, 1].tolist(), s=6, color=color, label=name)
    for way in ways:
        axes.plot(way[:, 0].tolist(), way[:, 1].tolist(), color=_COLORS[2], linewidth=0.5)
    frame = (next(iter(groups.values())) if framing is None else framing)[:, :2].cpu().double()
    finite = frame[frame.isfinite().all(1)]
    low, high = (finite if len(finite) else torch.zeros(1, 2)).aminmax(dim=0)
    margin = (0.25 * (high - low)).maximum(1e-3 * torch.maximum(low.abs(), high.abs()).clamp(min=1))
    axes.set_xlim(float(low[0] - margin[0]), float(high[0] + margin[0]))
    axes.set_ylim(float(low[1] - margin[1]), float(high[1] + margin[1]))
    axes.legend(loc="upper left")
    axes.set_title(title, fontsize="medium")
    return drawn(plotted)


def lines(curves: Mapping[str, Sequence[tuple[float, float]]], x_label: str) -> Tensor:
    """Up to four named curves of points (x, y) in one diagram: uint8 (3, H, W). What is not finite is a gap."""
    plotted = figure(7, 4)
    axes = plotted.add_subplot()
    for (name, points), color in zip(curves.items(), _COLORS[1:] + _COLORS[:1], strict=False):
        axes.plot([x for x, _ in points], [y for _, y in points], color=color, label=name, linewidth=1)
    axes.set_xlabel(x_label)
    axes.grid(alpha=0.3)
    axes.legend()
    return drawn(plotted)


def sheet(titled: Sequence[tuple[str, Tensor | None]]) -> Tensor:
    """Pictures, uint8 (C, H, W), each below its title: uint8 (3, H, W); a grey bar stands for one that is missing.

    One in a row, or three where none is a wide one. One that is higher than half the sheet's width is made narrower.
    """
    heights = [_MISSING if picture is None else picture.shape[1] / picture.shape[2] for _, picture in titled]
    columns = 3 if all(share > 0.5 for share in heights) else 1
    width = _SHEET_WIDTH / columns
    inches = [
        max(min(0.5 * columns, share) for share in heights[at : at + columns]) * width + _SHEET_TITLE
        for at in range(0, len(titled), columns)
    ]
    plotted = figure(_SHEET_WIDTH, sum(inches))
    cells = plotted.add_gridspec(len(inches), columns, height_ratios=inches)
    for number, (title, picture) in enumerate(titled):
        axes = plotted.add_subplot(cells[number // columns, number % columns])
        axes.axis("off")
        shown = torch.full((1, 40, 1), 200, dtype=torch.uint8) if picture is None else picture.cpu().permute(1, 2, 0)
        axes.imshow(shown.expand(-1, -1, 3).numpy(), interpolation="none" if picture is None else "antialiased")
        axes.set_anchor("W")
        text = "".join(letter if letter.isascii() or letter in "±…" else "?" for letter in title)  # what fonts lack
        axes.set_title(text, loc="left", fontsize="small", parse_math=False)
    return drawn(plotted)


def figure(width: float, height: float, layout: Literal["tight"] | None = "tight") -> "Figure":
    """An empty figure, in inches of 100 pixels. A layout is found as it is drawn, which takes as long as drawing."""
    # Importing matplotlib takes half a second, and most runs draw nothing.
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=100, layout=layout)


def drawn(figure: "Figure") -> Tensor:
    """uint8 (3, H, W)."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    width, height = canvas.get_width_height()
    rgba = torch.frombuffer(bytearray(canvas.buffer_rgba()), dtype=torch.uint8).reshape(height, width, 4)
    return rgba[..., :3].permute(2, 0, 1).contiguous()
