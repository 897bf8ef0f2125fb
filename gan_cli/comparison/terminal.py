"""The comparison in a hundred columns."""

from collections.abc import Iterator, Sequence

from rich.table import Table
from rich.text import Text

from gan_cli.comparison import standing
from gan_cli.comparison.effects import effects
from gan_cli.comparison.groups import FAILED, Group

WIDTH = 120
_REASON = 300  # characters


def leaderboard(groups: Sequence[Group]) -> Table:
    """A line for each group, best first."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("", justify="right")
    table.add_column("what differs", overflow="fold", ratio=1)
    for name in ("mean ± sd", "from … to", "seeds", "failed"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("beside the best", no_wrap=True)
    for group in groups:
        failed = str(group.num_failed) if group.num_failed else ""
        cells = [
            str(group.number),
            group.label,
            standing.figure(group),
            standing.extent(group),
            standing.seeds(group),
            failed,
        ]
        style = "dim" if group.mean is None or not group.comparable else None
        table.add_row(*map(Text, [*cells, standing.beside_best(group, groups)]), style=style)
    return table


def key_effects(groups: Sequence[Group]) -> Table | None:
    """A line for each value of each key that differs; None where there is nothing to tell."""
    found = effects(groups)
    if not found:
        return None
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("effect of", overflow="fold")
    for name in ("mean ± sd", "runs", "failed"):
        table.add_column(name, justify="right", no_wrap=True)
    for effect in found:
        failed = str(effect.failed) if effect.failed else ""
        label = f"{effect.key}={effect.value}" + ("" if effect.balanced else " *")
        table.add_row(*map(Text, (label, standing.spread(effect.mean, effect.deviation), str(effect.count), failed)))
    return table


def others(groups: Sequence[Group]) -> str:
    """The keys that differ too, and are not needed to tell the groups apart; nothing where there are none."""
    more = [key for key in groups[0].settings if key not in groups[0].told]
    return f"… {', '.join(more)} differ too" if more else ""


def failures(groups: Sequence[Group]) -> Iterator[str]:
    """A line for each run that failed, and why."""
    for group in groups:
        for record in (entry.record for entry in group.entries):
            if record.state in FAILED:
                reason = " ".join((record.reason or "no reason was written").split())
                yield f"{record.path} {record.state}: {reason[:_REASON]}"
