"""What each swept key does, whatever the others are."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from gan_cli.comparison.groups import Group

_MOST = 6  # values of a key that are told one by one; of more numbers, thirds are


@dataclass(frozen=True)
class Effect:
    """One value of a key, over all runs that have it.

    Attributes:
        mean: over the runs that count; None where there are none.
        deviation: over them, with n - 1; None of a single one.
        count: of them.
        failed: how many runs failed.
        balanced: whether the other keys have the same values beside it as beside every other value of this key:
            otherwise the others' effect is in the mean too.
    """

    key: str
    value: str
    mean: float | None
    deviation: float | None
    count: int
    failed: int
    balanced: bool


def effects(groups: Sequence[Group]) -> list[Effect]:
    """One for each value of each key, in the order of the keys and of the values.

    Groups that were measured otherwise than most, or have not finished, are left out. Of as many keys as groups nothing
    is told: no group can show what one of them does.
    """
    used = [group for group in groups if group.comparable and not group.is_under_way]
    keys = list(used[0].settings) if used else []
    if len(keys) >= len(used):
        return []
    return [effect for key in keys for effect in _of_key(used, key)]


def _of_key(groups: Sequence[Group], key: str) -> list[Effect]:
    parts = _parts(groups, key)
    if len(parts) < 2:
        return []
    beside = [{_others(group, key) for group in part if group.values} for part in parts.values()]
    balanced = all(others == beside[0] for others in beside)
    return [_effect(key, value, part, balanced) for value, part in parts.items()]


def _effect(key: str, value: str, groups: Sequence[Group], balanced: bool) -> Effect:
    values = [number for group in groups for number in group.values]
    return Effect(
        key,
        value,
        statistics.fmean(values) if values else None,
        statistics.stdev(values) if len(values) > 1 else None,
        len(values),
        sum(group.num_failed for group in groups),
        balanced,
    )


def _parts(groups: Sequence[Group], key: str) -> Mapping[str, list[Group]]:
    """The groups by their values of a key, numbers by size; of many numbers, as of a search, in thirds."""
    parts: dict[str, list[Group]] = {}
    numbers = [_number(group.settings[key]) for group in groups]
    if any(number is None for number in numbers):
        for group in groups:
            parts.setdefault(group.settings[key], []).append(group)
        return parts
    for group in sorted(groups, key=lambda group: _number(group.settings[key]) or 0.0):
        parts.setdefault(group.settings[key], []).append(group)
    if len(parts) <= _MOST:
        return parts
    ends = [len(parts) * third // 3 for third in range(4)]
    names = [list(parts)[start:end] for start, end in pairwise(ends)]
    return {f"{third[0]} to {third[-1]}": [group for name in third for group in parts[name]] for third in names}


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _others(group: Group, key: str) -> tuple[tuple[str, str], ...]:
    return tuple((name, value) for name, value in group.settings.items() if name != key)
