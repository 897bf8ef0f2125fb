"""Runs that agree in everything but the seed, and how such groups stand beside each other."""

import statistics
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from gan_cli.comparison import labels
from gan_cli.comparison.identity import data_of, identities
from gan_cli.comparison.metric import Metric, Value
from gan_cli.comparison.records import Record
from gan_cli.comparison.ways import Way

FINISHED = "finished"
UNDER_WAY = ("running", "interrupted", "killed", "pruned")
"""States of runs that have come to something, and did not come to their end."""
FAILED = ("failed", "diverged", "refused", "killed", "unreadable", "absent")
"""States whose reason is worth telling."""


@dataclass(frozen=True)
class Entry:
    """A run, and what it is worth."""

    record: Record
    value: Value | None


@dataclass(frozen=True)
class Group:
    """Runs that are repetitions of each other, measured in one way.

    Attributes:
        number: its place, from 1.
        settings: by key, what other groups have otherwise.
        told: the keys by which it is called; more may differ.
        entries: all of its runs.
        comparable: whether it was measured as most runs were, on the same data; those that were not stand apart.
    """

    number: int
    settings: Mapping[str, str]
    told: Sequence[str]
    entries: Sequence[Entry]
    comparable: bool = True

    @property
    def label(self) -> str:
        """What distinguishes it, with dots where that is not all."""
        more = ["…"] if len(self.told) < len(self.settings) else []
        return " ".join([*(f"{key}={self.settings[key]}" for key in self.told), *more]) or "all runs"

    @property
    def way(self) -> Way | None:
        """How it was measured; None where it was not."""
        return next((entry.value.way for entry in self.entries if entry.value is not None), None)

    @property
    def counted(self) -> list[Entry]:
        """The runs that its figures are of: those that finished or, as long as none has, those that are under way.

        Of runs with the same seed one counts: a repetition of the same numbers says nothing of chance.
        """
        valued = [entry for entry in self.entries if entry.value is not None]
        finished = [entry for entry in valued if entry.record.state == FINISHED]
        chosen = finished or [entry for entry in valued if entry.record.state in UNDER_WAY]
        seeds: dict[object, Entry] = {}
        for entry in chosen:
            seeds.setdefault(entry.record.path if entry.record.seed is None else entry.record.seed, entry)
        return list(seeds.values())

    @property
    def is_under_way(self) -> bool:
        """Whether its figures are of runs that have not finished."""
        return any(entry.record.state != FINISHED for entry in self.counted)

    @property
    def values(self) -> list[float]:
        """One of each run that counts."""
        return [entry.value.value for entry in self.counted if entry.value is not None]

    @property
    def mean(self) -> float | None:
        """Over the runs that count; None where there are none."""
        return statistics.fmean(self.values) if self.values else None

    @property
    def deviation(self) -> float | None:
        """The standard deviation over them, with n - 1; None of a single one, which shows no spread."""
        return statistics.stdev(self.values) if len(self.values) > 1 else None

    @property
    def num_seeds(self) -> int:
        """How many were tried, whatever came of them."""
        seeds = {entry.record.path if entry.record.seed is None else entry.record.seed for entry in self.entries}
        return len(seeds)

    @property
    def num_failed(self) -> int:
        """Of its runs, those that failed."""
        return sum(entry.record.state in FAILED for entry in self.entries)

    def best(self, metric: Metric | None) -> Entry:
        """The best of its runs that count, or else its first run."""
        ranked = sorted(self.counted, key=lambda entry: _rank(entry.value.value if entry.value else None, metric))
        return (ranked or list(self.entries))[0]


def grouped(records: Sequence[Record], metric: Metric | None) -> list[Group]:
    """The groups, best mean first.

    Those whose runs have not finished come after those whose have, then those that were measured otherwise than most,
    then those without a value.
    """
    alike: dict[Hashable, list[Record]] = {}
    data: dict[Path, Hashable] = {}
    for record, identity, beside in zip(records, identities(records), data_of(records), strict=True):
        alike.setdefault(identity, []).append(record)
        data[record.path] = beside
    settings = labels.settings(list(alike.values()))
    told = labels.telling(settings)
    parts = [
        (label, entries)
        for label, group in zip(settings, alike.values(), strict=True)
        for entries in _by_way(group, metric)
    ]
    measures = Counter(
        (entry.value.way, data[entry.record.path])
        for _, entries in parts
        for entry in entries
        if entry.value is not None
    )
    usual = max(measures, key=lambda measure: measures[measure], default=None)
    made = [
        Group(0, label, told, entries, (_way(entries), data[entries[0].record.path]) == usual)
        for label, entries in parts
    ]
    made.sort(key=lambda group: _place(group, metric))
    return [replace(group, number=place) for place, group in enumerate(made, start=1)]


def _by_way(group: Sequence[Record], metric: Metric | None) -> list[list[Entry]]:
    """Runs that are alike, apart by how they were measured; those that were not are with the most."""
    entries = [Entry(record, metric.value(record) if metric is not None else None) for record in group]
    ways = Counter(entry.value.way for entry in entries if entry.value is not None)
    first = max(ways, key=lambda way: ways[way], default=None)
    apart: dict[Way | None, list[Entry]] = {way: [] for way in sorted(ways, key=lambda way: way != first)} or {None: []}
    for entry in entries:
        apart[entry.value.way if entry.value is not None else first].append(entry)
    return list(apart.values())


def _way(entries: Sequence[Entry]) -> Way | None:
    return next((entry.value.way for entry in entries if entry.value is not None), None)


def _place(group: Group, metric: Metric | None) -> tuple[bool, bool, bool, float]:
    return (group.mean is None, not group.comparable, group.is_under_way, _rank(group.mean, metric))


def _rank(value: float | None, metric: Metric | None) -> float:
    """The lower the better."""
    if value is None or metric is None:
        return 0.0
    return -value if metric.higher_is_better else value
