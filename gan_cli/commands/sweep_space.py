"""What a sweep goes over, from Hydra's syntax: the cells of a grid, or the space of a search."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override

from gan_cli.errors import Refused
from gan_cli.sweep.ledger import Overrides
from gan_cli.sweep.study import Interval, Space

_OF_THE_SWEEP = ("sweep", "search")
_BY_DEFAULT = {f"optim.{player}.lr": "tag(log,interval(1e-4,1e-2))" for player in ("generator", "discriminator")}


def overrides(typed: Sequence[str], described: Mapping[str, Any], loader: ConfigLoader | None) -> list[Override]:
    """What is swept and what is set: described in a file, and over it typed.

    Raises:
        Refused: the sweep's own keys are swept.
    """
    parser = OverridesParser.create(config_loader=loader)
    texts = [f"{key}={_text(values)}" for key, values in described.items()]
    found = {override.key_or_group: override for override in parser.parse_overrides(texts)}
    for override in parser.parse_overrides(list(typed)):
        if override.key_or_group.split(".")[0] not in _OF_THE_SWEEP:
            found[override.key_or_group] = override
        elif override.is_sweep_override():
            raise Refused(f"{override.input_line}: the keys of a sweep cannot be swept themselves")
    return list(found.values())


def grid(overrides: Sequence[Override]) -> list[Overrides]:
    """Every combination.

    Raises:
        Refused: one of the sweeps has no end of values.
    """
    return list(itertools.product(*(_values(override) for override in overrides)))


def space(overrides: Sequence[Override]) -> tuple[Space, Overrides]:
    """What a search chooses, and what is the same for all its trials.

    Raises:
        Refused: the seed would be searched.
    """
    found: dict[str, Interval | Sequence[str]] = {}
    for override in overrides:
        if override.is_sweep_override():
            found[override.get_key_element()] = _interval(override) or list(override.sweep_string_iterator())
    if "seed" in found:
        raise Refused("a search over the seed finds luck: leave it fixed, and see how the best does with other seeds")
    return found, tuple(str(override.input_line) for override in overrides if not override.is_sweep_override())


def ends(space: Space) -> list[Overrides]:
    """Every value of a choice and the ends of every interval, each by itself: what can be wrong in what was typed."""
    found: list[Overrides] = [()]
    for key, values in space.items():
        tried = [values.low, values.high] if isinstance(values, Interval) else values
        found += [(f"{key}={value}",) for value in tried]
    return found


def default_space(loader: ConfigLoader) -> list[Override]:
    """What a search goes over when nothing is asked for."""
    return overrides((), _BY_DEFAULT, loader)


def _values(override: Override) -> list[str]:
    if not override.is_sweep_override():
        return [str(override.input_line)]
    if not override.is_discrete_sweep():
        raise Refused(f"{override.input_line}: a grid needs values one by one; search=random draws from an interval")
    return [f"{override.get_key_element()}={value}" for value in override.sweep_string_iterator()]


def _interval(override: Override) -> Interval | None:
    if not override.is_interval_sweep():
        return None
    values: Any = override.value()
    return Interval(values.start, values.end, "log" in values.tags)


def _text(values: Any) -> str:
    return ",".join(map(str, values)) if isinstance(values, list) else str(values)
