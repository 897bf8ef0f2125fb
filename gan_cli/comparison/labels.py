"""How groups of runs are told apart: by the keys that differ between them, as short as a user would type them."""

from collections.abc import Mapping, Sequence
from typing import Any

from gan_cli.comparison.identity import configured, essential
from gan_cli.comparison.records import Record

_LONGEST = 60  # characters
_FEW = 4  # keys
_TARGET = "._target_"
_UNKNOWN = "?"


def settings(groups: Sequence[Sequence[Record]]) -> list[dict[str, str]]:
    """For each group of runs the keys that differ between the groups, with the group's values.

    What was typed, where that explains which run is in which group (`loss=lsgan`, not the six keys that it sets), and
    else what is configured.
    """
    typed = [[essential(record.typed) for record in group] for group in groups]
    keys = _differing([entry for group in typed for entry in group])
    labels = [_of_typed(group[0], entries[0], keys) for group, entries in zip(groups, typed, strict=True)]
    alike = all(len({_tuple(entry, keys) for entry in entries}) == 1 for entries in typed)
    if alike and len({tuple(label.items()) for label in labels}) == len(groups):
        return labels
    return _of_configured(groups)


def telling(settings: Sequence[Mapping[str, str]]) -> list[str]:
    """Of the keys of some groups the first that tell all of them apart; all where they are few."""
    keys = list(settings[0]) if settings else []
    chosen: list[str] = []
    for key in keys if len(keys) > _FEW else ():
        if len({_tuple(entry, [*chosen, key]) for entry in settings}) > len(
            {_tuple(entry, chosen) for entry in settings}
        ):
            chosen.append(key)
    return chosen or keys


def text(value: Any) -> str:
    """A configured value as it would be typed; a class by its short name is for `short`."""
    if isinstance(value, bool) or value is None:
        shown = {True: "true", False: "false", None: "null"}[value]
    elif isinstance(value, list):
        shown = "[" + ",".join(map(text, value)) + "]"
    else:
        shown = f"{value:g}" if isinstance(value, float) else str(value)
    return shown if len(shown) <= _LONGEST else shown[: _LONGEST - 1] + "…"


def short(target: Any) -> str:
    """`LSGAN` of a class's dotted path; of a function that is merely called `load` the module's name."""
    module, _, name = str(target).rpartition(".")
    return text(module.rpartition(".")[2] if name == "load" else name)


def _of_typed(group: Record, typed: Mapping[str, str], keys: Sequence[str]) -> dict[str, str]:
    """The typed values; for a key that was left to its default, what was configured."""
    return {key: text(typed[key]) if key in typed else _default(group.config, key) for key in keys}


def _default(config: Mapping[str, Any], key: str) -> str:
    if key in config:
        return text(config[key])
    return short(config[key + _TARGET]) if key + _TARGET in config else "default"


def _of_configured(groups: Sequence[Sequence[Record]]) -> list[dict[str, str]]:
    known = [_with_data(next((record for record in group if record.config), group[0])) for group in groups]
    keys = _differing([entry for entry in known if entry])
    parents = [key.removesuffix(_TARGET) for key in keys if key.endswith(_TARGET)]
    keys = [key for key in keys if not any(_follows(key, parent, known) for parent in parents)]
    if known and all(entry.get("optim.lr") == entry.get(f"optim.{name}.lr") for entry in known for name in _PLAYERS):
        keys = [key for key in keys if key not in {f"optim.{name}.lr" for name in _PLAYERS}]
    return [{key.removesuffix(_TARGET): _shown(entry, key) for key in keys} for entry in known]


_PLAYERS = ("generator", "discriminator")


def _with_data(record: Record) -> dict[str, Any]:
    """What is configured, and which data a path led to."""
    found = configured(record)
    if found.get("data.root") is not None and record.data_digest is not None:
        found["data.root"] = f"{found['data.root']} ({record.data_digest[:8]})"
    return found


def _shown(entry: Mapping[str, Any], key: str) -> str:
    if not entry:
        return _UNKNOWN
    return short(entry.get(key)) if key.endswith(_TARGET) else text(entry.get(key))


def _follows(key: str, parent: str, known: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a key below a class is the same wherever the class is: then the class says it already."""
    if not key.startswith(f"{parent}.") or key == parent + _TARGET:
        return False
    pairs = {(repr(entry.get(parent + _TARGET)), repr(entry.get(key))) for entry in known if entry}
    return len(pairs) == len({target for target, _ in pairs})


def _differing(entries: Sequence[Mapping[str, Any]]) -> list[str]:
    keys = dict.fromkeys(key for entry in entries for key in entry)
    return [key for key in keys if len({repr(entry.get(key)) for entry in entries}) > 1]


def _tuple(entry: Mapping[str, str], keys: Sequence[str]) -> tuple[str | None, ...]:
    return tuple(entry.get(key) for key in keys)
