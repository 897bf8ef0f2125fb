"""Evaluations of several seeds, weights and checkpoints as rows of one table."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from rich.table import Table

from gan_cli.evaluation.measure import Measure, finite
from gan_cli.evaluation.scores import PAIRWISE_MOST
from gan_cli.metrics.interval import half_interval

FEW = 2048
"""Samples below which the papers' metrics are known to scatter and, FID, to be biased by much."""


@dataclass(frozen=True)
class Row:
    """One metric of one state of a generator.

    Attributes:
        value: the mean over the seeds.
        half_interval: of the mean, 95 % after Student; None of a single seed.
        values: of each seed.
        floor, count, weights, extractor: as in `Measure`.
        excess: value - floor, what is left to be gained.
    """

    checkpoint: str
    step: int
    weights: str
    metric: str
    extractor: str | None
    count: int
    value: float
    half_interval: float | None
    values: Sequence[float]
    floor: float
    excess: float

    @property
    def run(self) -> str:
        """What the run's directory is called."""
        folder = Path(self.checkpoint).absolute().parent
        return folder.parent.name if folder.name == "checkpoints" else folder.name

    def plain(self) -> dict[str, Any]:
        """As JSON knows it: None where a number is not finite."""
        return {name: _plain(value) for name, value in asdict(self).items()}


def rows(checkpoint: str, step: int, seeds: Sequence[Sequence[Measure]]) -> list[Row]:
    """The rows of one state of a generator from its measures, seed by seed."""
    made = []
    for measures in zip(*seeds, strict=True):
        first, values = measures[0], [measure.value for measure in measures]
        exact = first.count == 0  # seeds do not matter
        value = values[0] if exact else fmean(values)
        half = half_interval(values) if len(values) > 1 and not exact else None
        about = (first.weights, first.name, first.extractor, first.count)
        made.append(Row(checkpoint, step, *about, value, half, values, first.floor, value - first.floor))
    return made


def table(shown: Sequence[Row]) -> Table:
    """For the terminal; runs and steps are named where there are several checkpoints."""
    several = len({row.checkpoint for row in shown}) > 1
    made = Table(box=None, pad_edge=False, header_style="bold")
    if several:
        made.add_column("run", overflow="fold")
        made.add_column("step", justify="right", no_wrap=True)
    for name in ("weights", "metric"):
        made.add_column(name, no_wrap=True)
    for name in ("value", "± 95 %", "floor", "excess", "samples"):
        made.add_column(name, justify="right", no_wrap=True)
    made.add_column("extractor", no_wrap=True)
    before: tuple[str, str] | None = None
    for row in shown:
        if before not in (None, (row.checkpoint, row.weights)):
            made.add_section()
        before = (row.checkpoint, row.weights)
        half = "" if row.half_interval is None else _short(row.half_interval)
        numbers = (_short(row.value), half, _short(row.floor), _short(row.excess))
        count = f"{row.count:,}" if row.count else "exact"
        where = (row.run, str(row.step)) if several else ()
        made.add_row(*where, row.weights, row.metric, *numbers, count, row.extractor or "")
    return made


def cautions(shown: Iterable[Row], asked: int) -> list[str]:
    """What a reader must know of these numbers."""
    said, found = [], list(shown)
    counts = {row.count for row in found if row.extractor and row.metric in ("fid", "kid", "nn_distance", "class_kl")}
    # All samples are looked at for these two alone; for the others no more than so many.
    enough = asked if any(row.metric in ("fid", "class_kl") for row in found) else min(asked, PAIRWISE_MOST)
    if counts and max(counts) < enough:
        said.append(f"{max(counts):,} samples instead of {asked:,}: half of the data, so that the floor has as many")
    if counts and max(counts) < FEW:
        said.append(f"fewer than {FEW:,} samples: differences may be chance, compare them with the intervals")
    if any(row.extractor for row in found) and not any(row.metric == "fid" for row in found):
        said.append("no fid: it takes ten images for each feature of the extractor, on both sides")
    return said


def _short(value: float) -> str:
    return f"{value:.4g}" if math.isfinite(value) else str(value)


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return finite(value)
    return [_plain(entry) for entry in value] if isinstance(value, list) else value
