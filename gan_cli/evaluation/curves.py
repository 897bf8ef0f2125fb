"""Metrics of several checkpoints as one picture."""

from collections.abc import Iterator, Sequence

from torch import Tensor

from gan_cli import plots
from gan_cli.evaluation.results import Row

_FLOOR = "#9aa5b1"
_SHOWN = ("fid", "kid", "coverage", "class_kl", "modes", "high_quality", "mode_kl", "w2", "kl", "nn_distance")


def curves(rows: Sequence[Row]) -> Tensor:
    """Metrics over the steps, a panel each, a line for each run and its weights, the floor dashed; and precision
    against recall: uint8 (3, H, W)."""
    panels = [name for name in _SHOWN if any(row.metric == name for row in rows)]
    has_pairs = any(row.metric == "recall" for row in rows)
    count = len(panels) + has_pairs
    columns = min(3, count)
    figure = plots.figure(4 * columns, 3 * -(-count // columns))
    places = iter(figure.subplots(-(-count // columns), columns, squeeze=False).flat)
    for name, axes in zip(panels, places, strict=False):
        for label, of in _lines(rows, name):
            bars = [row.half_interval or 0 for row in of]
            steps, values = [row.step for row in of], [row.value for row in of]
            axes.errorbar(steps, values, bars, fmt="o-", markersize=3, label=label)
            axes.axhline(of[0].floor, linestyle="--", color=_FLOOR)
        axes.set_title(name, fontsize="medium")
        axes.set_xlabel("step")
    if has_pairs:
        axes = next(places)
        for (label, precision), (_, recall) in zip(_lines(rows, "precision"), _lines(rows, "recall"), strict=True):
            axes.scatter([row.value for row in recall], [row.value for row in precision], s=12, label=label)
            for one, other in zip(recall, precision, strict=True):
                axes.annotate(str(one.step), (one.value, other.value), fontsize="x-small")
        axes.set_xlabel("recall")
        axes.set_ylabel("precision")
    figure.axes[0].legend(fontsize="x-small")
    for axes in places:
        axes.set_axis_off()
    return plots.drawn(figure)


def _lines(rows: Sequence[Row], metric: str) -> Iterator[tuple[str, list[Row]]]:
    """The rows of a metric by run and weights, in the order of the steps."""
    of = sorted((row for row in rows if row.metric == metric), key=lambda row: row.step)
    names = sorted({(row.run, row.weights) for row in of})
    for name in names:
        yield " ".join(name), [row for row in of if (row.run, row.weights) == name]
