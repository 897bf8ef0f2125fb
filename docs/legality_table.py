"""Prints the table of docs/axes.md: which losses, penalties and normalizations of the discriminator go together.

    python docs/legality_table.py

Every cell is the program's own verdict on the real parts of `conf/`; a test holds the page to what this prints.
"""

from pathlib import Path
from typing import Any

import yaml

from gan_cli import legality
from gan_cli.conf_dir import CONF_DIR
from gan_cli.models.dcgan64 import DCGAN64Discriminator
from gan_cli.target_options import Norm
from gan_cli.targets import create
from gan_cli.traits import critic_traits

LEGAL = "✓"


def parts(group: str) -> dict[str, Any]:
    """Every option of a group, built."""
    files = sorted(Path(CONF_DIR, group).glob("*.yaml"))
    return {path.stem: create(yaml.safe_load(path.read_text()), group, None) for path in files}


def verdicts() -> dict[tuple[str, str, str], bool]:
    """Of each (loss, penalty, norm) whether it is legal without weight clipping."""
    critics = {norm.name: critic_traits(DCGAN64Discriminator((1, 8, 8), [4], norm=norm.name)) for norm in Norm}
    found = {}
    for loss, made_loss in parts("loss").items():
        for penalty, made_penalty in parts("penalty").items():
            for norm, traits in critics.items():
                asked = legality.Combination(made_loss, made_penalty, traits, clipped=False)
                found[loss, penalty, norm] = asked.objection() is None
    return found


def table() -> str:
    """Losses that behave alike share a row."""
    found = verdicts()
    losses, penalties, norms = (list(dict.fromkeys(key[axis] for key in found)) for axis in range(3))
    rows: dict[tuple[bool, ...], list[str]] = {}
    for loss in losses:
        rows.setdefault(tuple(found[loss, p, n] for p in penalties for n in norms), []).append(loss)
    lines = [
        "| `loss=` | `penalty=` | " + " | ".join(f"`norm={norm}`" for norm in norms) + " |",
        "|---|---|" + "---|" * len(norms),
    ]
    for alike in rows.values():
        names = ", ".join(f"`{loss}`" for loss in alike)
        columns: dict[tuple[bool, ...], list[str]] = {}
        for penalty in penalties:
            columns.setdefault(tuple(found[alike[0], penalty, norm] for norm in norms), []).append(penalty)
        for verdict, same in columns.items():
            cells = " | ".join(LEGAL if legal else "refused" for legal in verdict)
            lines.append(f"| {names} | {', '.join(f'`{penalty}`' for penalty in same)} | {cells} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table())
