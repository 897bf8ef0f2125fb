"""Numbers as pictures."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_COLORS = ("#9aa5b1", "#d1495b", "#2b4c7e", "#edae49")


def scatter(groups: Mapping[str, Tensor], title: str = "", framing: Tensor | None = None) -> Tensor:
    """Points (N, D ≥ 2) of up to four named groups in their first two coordinates: uint8 (3, H, W).

    The axes are fixed by the points `framing`, or else the first group, so that successive plots compare; points
    outside are not shown.
    """
    plotted = figure(5, 5)
    axes = plotted.add_subplot()
    for (name, points), color in zip(groups.items(), _COLORS, strict=False):
        axes.scatter(points[:, 0].tolist(), points[:, 1].tolist(), s=6, color=color, label=name)
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


def figure(width: float, height: float) -> "Figure":
    """An empty figure, in inches of 100 pixels."""
    # Importing matplotlib takes half a second, and most runs draw nothing.
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=100, layout="tight")


def drawn(figure: "Figure") -> Tensor:
    """uint8 (3, H, W)."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    width, height = canvas.get_width_height()
    rgba = torch.frombuffer(bytearray(canvas.buffer_rgba()), dtype=torch.uint8).reshape(height, width, 4)
    return rgba[..., :3].permute(2, 0, 1).contiguous()
