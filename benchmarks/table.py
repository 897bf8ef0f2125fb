"""A table of measurements: each figure beside its peer's, taken in turns."""

import os
import platform
import statistics
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Row:
    """One comparison.

    Attributes:
        ours, peer: medians over the rounds, in `unit`.
        ratio: how many times as fast ours is: the median over rounds of the quotient of two times of the same round.
        low, high: the least and the greatest quotient.
        wanted: the ratio that is aimed at; None: there is no such aim.
        note: what else is to be said, such as the share of what the machine can do.
    """

    name: str
    unit: str
    peer: float
    ours: float
    ratio: float
    low: float
    high: float
    wanted: float | None = None
    note: str = ""

    @classmethod
    def of(
        cls,
        name: str,
        unit: str,
        rounds: Sequence[tuple[float, float]],
        wanted: float | None = None,
        note: Callable[[float], str] = lambda ours: "",
    ) -> "Row":
        """From the times of each round, the peer's and ours.

        Args:
            note: of our median.
        """
        ratios = sorted(peer / ours for peer, ours in rounds)
        peer, ours = (statistics.median(times) for times in zip(*rounds, strict=True))
        return cls(name, unit, peer, ours, statistics.median(ratios), ratios[0], ratios[-1], wanted, note(ours))

    def __str__(self) -> str:
        wanted = "" if self.wanted is None else f"{self.wanted:g} {'✓' if self.ratio >= self.wanted else '✗'}"
        spread = f"{self.low:.2f} to {self.high:.2f}"
        numbers = f"{self.peer:,.2f} | {self.ours:,.2f} | {self.unit} | {self.ratio:.2f} | {spread} | {wanted}"
        return f"| {self.name} | {numbers} | {self.note} |"


HEAD = "| | peer | ours | unit | ratio | spread | aim | |\n|---|---:|---:|---|---:|---|---|---|"


def machine() -> str:
    """What the figures were taken on, in a line."""
    capabilities = torch.cpu.get_capabilities()
    found = [name for name in ("avx2", "avx512_f", "avx512_bf16", "amx_bf16") if capabilities.get(name)]
    return (
        f"{capabilities.get('cpu_name', platform.machine())}, {os.cpu_count()} cores ({', '.join(found)}), "
        f"{torch.get_num_threads()} threads; Python {platform.python_version()}, torch {torch.__version__}"
    )


def table(title: str, rows: Iterable[Row]) -> str:
    """Rows under a heading, as Markdown."""
    lines = [f"### {title}", "", HEAD]
    for row in rows:
        lines.append(str(row))
        print(f"{row.name}: {row.ratio:.2f}", file=sys.stderr)  # the table comes when it is whole
    return "\n".join([*lines, ""])
