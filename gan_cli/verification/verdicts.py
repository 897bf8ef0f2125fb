"""Figures of several seeds beside what was expected of them, as a table for people and for programs."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from rich.table import Table

from gan_cli.evaluation.measure import finite
from gan_cli.verification.expectations import Figure

_ROUNDING = 1e-12  # relative; a tolerance of 0 is met by what differs in float64's last bits


@dataclass(frozen=True)
class Row:
    """A figure with what the seeds showed.

    Attributes:
        values: seed by seed; nan where a run did not show it.
    """

    figure: Figure
    values: Sequence[float]

    @property
    def measured(self) -> float:
        """The median over the seeds, nan if one is: a seed in twenty may fail, as in a text that shows one run."""
        return math.nan if any(map(math.isnan, self.values)) else median(self.values)

    @property
    def within(self) -> int:
        """How many seeds by themselves are within the tolerance."""
        return sum(map(self._meets, self.values))

    @property
    def verdict(self) -> str:
        """met, missed, or information where nothing was expected."""
        if self.figure.expected is None:
            return "information"
        return "met" if self._meets(self.measured) else "missed"

    def _meets(self, value: float) -> bool:
        expected, tolerance = self.figure.expected, self.figure.tolerance
        if expected is None or tolerance is None:
            return False
        return abs(value - expected) <= tolerance + _ROUNDING * abs(expected)

    def plain(self) -> dict[str, Any]:
        """As JSON knows it."""
        numbers = {"measured": finite(self.measured), "values": [finite(value) for value in self.values]}
        return asdict(self.figure) | numbers | {"within": self.within, "verdict": self.verdict}

    def cells(self) -> list[str]:
        """For a table's row."""
        figure, seeds = self.figure, len(self.values)
        ends = [_short(end) for end in (min(self.values), max(self.values))] if seeds > 1 else []
        return [
            figure.name,
            "" if figure.steps is None else "–".join(dict.fromkeys(map(str, figure.steps))),
            figure.printed or "",
            "" if figure.expected is None or figure.tolerance is None else _interval(figure.expected, figure.tolerance),
            _exact(self.measured)
            if figure.tolerance is not None and figure.tolerance < 1e-4
            else _short(self.measured),
            " to ".join(ends) if len(set(ends)) > 1 else "",
            "" if figure.expected is None else f"{self.within} of {seeds}",
            self.verdict,
        ]


COLUMNS = ("figure", "steps", "printed", "expected", "measured", "seeds from … to", "seeds within", "verdict")


def table(rows: Sequence[Row]) -> Table:
    """For the terminal."""
    made = Table(box=None, pad_edge=False, header_style="bold")
    for name in COLUMNS:
        made.add_column(name, overflow="fold", no_wrap=name != "printed")
    for row in rows:
        style = {"missed": "bold red", "information": "dim"}.get(row.verdict)
        made.add_row(*row.cells(), style=style)
    return made


def markdown(title: str, rows: Sequence[Row]) -> str:
    """The table and the reasons, for a page of documentation."""
    lines = [title, "", "| " + " | ".join(COLUMNS) + " |", "|---" * len(COLUMNS) + "|"]
    lines += ["| " + " | ".join(row.cells()) + " |" for row in rows]
    reasons: dict[str, list[str]] = {}
    for row in rows:
        reasons.setdefault(row.figure.why, []).append(row.figure.name)
    lines += ["", *(f"- {', '.join(dict.fromkeys(names))}: {why}" for why, names in reasons.items())]
    return "\n".join(lines) + "\n"


def _interval(expected: float, tolerance: float) -> str:
    return _exact(expected) + (f" ± {tolerance:g}" if tolerance else "")


def _exact(value: float) -> str:
    return f"{value:,.0f}" if value == round(value, 0) else f"{value:.7g}"


def _short(value: float) -> str:
    if math.isnan(value):
        return "none"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
