"""What became of every job, told when a sweep ends."""

import logging
import re
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from gan_cli.comparison import metric, records
from gan_cli.comparison.metric import Metric
from gan_cli.comparison.records import Record
from gan_cli.files import shortest
from gan_cli.sweep.ledger import Cell

log = logging.getLogger("gan_cli.sweep")

WELL = ("finished", "refused", "pruned")
"""States of a job that did not fail."""

_NOT_STARTED = "absent"
_MIN_WIDTH = 140  # of the table, wherever it goes
_REASON = 300  # characters


def tell(
    directory: Path,
    cells: Sequence[Cell],
    differing: Mapping[int, Sequence[str]],
    wanted: str,
    best: tuple[int, float] | None,
) -> int:
    """Print a line for each job and, below, why some failed; returns how many did.

    Args:
        differing: what each job has that not all have, by number.
        wanted: the metric, or "auto".
        best: the number of the best trial of a search, and its value.
    """
    found = {cell.number: records.read(directory / str(cell.number)) for cell in cells}
    judged = metric.choose(list(found.values()), wanted)
    console = Console(width=max(_MIN_WIDTH, Console().width))
    console.print(_table(found, differing, judged))
    failed = {number: record for number, record in found.items() if record.state not in WELL}
    for number, record in found.items():
        if record.state not in ("finished", "pruned", _NOT_STARTED):
            reason = " ".join((record.reason or "").split())
            said = f"job {number} {record.state}: {reason[:_REASON]}"
            log.warning("%s%s", said, f"; see {shortest(record.path / 'train.log')}" if number in failed else "")
    waiting = sum(record.state == _NOT_STARTED for record in found.values())
    if waiting:
        log.warning("%d jobs have not started", waiting)
    if best is not None:
        log.info(
            "best: job %d, %s %.4g: %s",
            best[0],
            judged.name if judged else wanted,
            best[1],
            " ".join(map(_short, differing[best[0]])),
        )
    log.info("gan-compare runs=%s shows them side by side", shortest(directory))
    return len(failed)


def _table(found: Mapping[int, Record], differing: Mapping[int, Sequence[str]], judged: Metric | None) -> Table:
    table = Table("job", "what differs", "state", box=None, header_style="bold", pad_edge=False)
    name = judged.name if judged is not None else ""
    for heading in (name, f"{name} over seeds" if name else "", "minutes"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("directory", no_wrap=True)
    values = {number: _value(record, judged) for number, record in found.items()}
    spreads = _spreads(differing, values)
    for number, record in found.items():
        value, minutes = values[number], record.seconds
        table.add_row(
            str(number),
            " ".join(map(_short, differing.get(number, ()))),
            "not started" if record.state == _NOT_STARTED else record.state,
            "" if value is None else f"{value:.4g}",
            spreads.get(number, ""),
            "" if minutes is None else f"{minutes / 60:.1f}",
            shortest(record.path),
        )
    return table


def _value(record: Record, judged: Metric | None) -> float | None:
    found = judged.value(record) if judged is not None else None
    return None if found is None else found.value


def _spreads(differing: Mapping[int, Sequence[str]], values: Mapping[int, float | None]) -> dict[int, str]:
    """Mean and standard deviation over jobs that differ in the seed alone, beside the first of them."""
    groups: dict[tuple[str, ...], list[int]] = {}
    for number in values:
        but_seed = tuple(text for text in differing.get(number, ()) if not text.startswith("seed="))
        groups.setdefault(but_seed, []).append(number)
    told = {}
    for numbers in groups.values():
        known = [value for number in numbers if (value := values[number]) is not None]
        if len(known) > 1:
            count = f"{len(known)}" if len(known) == len(numbers) else f"{len(known)} of {len(numbers)}"
            told[numbers[0]] = f"{statistics.mean(known):.4g} ± {statistics.stdev(known):.2g} ({count})"
    return told


def _short(override: str) -> str:
    """With long numbers rounded: the search draws seventeen digits, and sweep.json has them."""
    return re.sub(r"\d+\.\d{6,}(e[-+]?\d+)?", lambda number: f"{float(number[0]):.4g}", override)
