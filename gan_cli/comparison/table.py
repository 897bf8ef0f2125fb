"""comparison.csv: a line for each run."""

import csv
import io
from collections.abc import Sequence

from gan_cli.comparison.groups import Entry, Group
from gan_cli.comparison.metric import Metric
from gan_cli.comparison.ways import Way

_FORMULA = ("=", "+", "-", "@")


def text(groups: Sequence[Group], metric: Metric | None) -> str:
    """All runs, group by group."""
    keys = list(groups[0].settings) if groups else []
    lines = io.StringIO()
    writer = csv.writer(lines, lineterminator="\n")
    about = ("metric", "value", "at_step", "extractor", "count", "weights")
    end = ("loss/D", "loss/G", "steps", "minutes")
    writer.writerow(["run", "group", *map(_safe, keys), "seed", "state", "reason", *about, *end])
    for group in groups:
        for entry in group.entries:
            writer.writerow([_cell(value) for value in _row(group, entry, metric)])
    return lines.getvalue()


def _row(group: Group, entry: Entry, metric: Metric | None) -> list[object]:
    record, value = entry.record, entry.value
    way = value.way if value is not None else Way()
    losses = [record.log.mean(name) for name in ("loss/D", "loss/G")]
    return [
        str(record.path),
        group.number,
        *group.settings.values(),
        record.seed,
        record.state,
        record.reason,
        metric.name if metric is not None else None,
        value.value if value is not None else None,
        value.step if value is not None else None,
        way.extractor,
        way.count,
        way.weights,
        *(curve.last if len(curve) else None for curve in losses),
        record.step,
        round(record.seconds / 60, 3) if record.seconds is not None else None,
    ]


def _cell(value: object) -> object:
    return _safe(value) if isinstance(value, str) else value


def _safe(text: str) -> str:
    """Text on one line that no spreadsheet takes for a formula, which could do more than compute."""
    text = " ".join(text.splitlines()).replace("\t", " ").strip()
    return f"'{text}" if text.startswith(_FORMULA) and not _is_number(text) else text


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
