"""What a resumed run is configured as: its stored configuration, with what is typed now laid over it."""

from collections.abc import Iterable, Mapping
from copy import deepcopy
from typing import Any

from gan_cli.errors import Refused
from gan_cli.suggest import did_you_mean

HARMLESS = (
    "train.epochs",
    "train.steps",
    "train.minutes",
    "train.log_every",
    "train.sample_every",
    "train.evaluate_every",
    "train.checkpoint_every",
    "train.keep",
    "evaluate.final_images",
    "evaluate.inception_weights",
    "device.type",
    "device.compile",
    "device.threads",
    "device.index",
    "data.root",
    "data.a",
    "data.b",
    "data.strict",
    "data.suggested_epochs",
)
"""Keys that may change: they leave the steps as they are. (The data themselves are compared by their digest; another
device, way of compiling or number of threads rounds differently, which is said.)"""

_ABSENT = object()


def laid_over(
    stored: Mapping[str, Any], composed: Mapping[str, Any], before: Mapping[str, Any], typed: Iterable[str]
) -> dict[str, Any]:
    """The stored configuration with the changes of a command line.

    Args:
        composed: what the original command line makes, with what is typed now.
        before: what the original command line makes. Where the two differ, something was typed that means it: a
            preset, or a key on which others depend.
        typed: the keys that are typed now, which count even where the two agree.
    """
    result = deepcopy(dict(stored))
    known = flattened(before)
    for key, value in flattened(composed).items():
        if known.get(key, _ABSENT) != value:
            _put(result, key, value)
    for key in typed:
        value = _get(composed, key)
        if value is not _ABSENT:
            _put(result, key, deepcopy(value))
    return result


def check_changes(stored: Mapping[str, Any], now: Mapping[str, Any], allowed: Iterable[str]) -> None:
    """Refuse a run that would no longer be the same.

    Args:
        allowed: keys, or groups of keys, that may change all the same.

    Raises:
        Refused: lists every difference that is neither harmless nor allowed; or there is no key that is to be allowed.
    """
    before, after = flattened(stored), flattened(now)
    for name in allowed:
        if not any(key == name or key.startswith(f"{name}.") for key in before.keys() | after.keys()):
            raise Refused(f"allow_changes: there is no key {name}{did_you_mean(name, sorted(after))}")
    permitted = (*HARMLESS, *allowed)
    changed = [
        key
        for key in sorted(before.keys() | after.keys())
        if before.get(key, _ABSENT) != after.get(key, _ABSENT)
        and not any(key == name or key.startswith(f"{name}.") for name in permitted)
    ]
    if changed:
        lines = [f"{key}: {_shown(before, key)} -> {_shown(after, key)}" for key in changed]
        raise Refused(
            "this would change what the run is:\n"
            + "\n".join(lines)
            + f"\nAllow it with allow_changes=[{','.join(changed)}], or start a new run, with init_from=CHECKPOINT to "
            "begin from its weights"
        )


def flattened(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested keys joined by dots; lists are values."""
    flat: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, Mapping):
            flat |= flattened(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def _shown(flat: Mapping[str, Any], key: str) -> str:
    return repr(flat[key]) if key in flat else "(absent)"


def _get(config: Any, key: str) -> Any:
    for part in key.split("."):
        if not isinstance(config, Mapping) or part not in config:
            return _ABSENT
        config = config[part]
    return config


def _put(config: dict[str, Any], key: str, value: Any) -> None:
    *parents, last = key.split(".")
    for part in parents:
        child = config.get(part)
        config[part] = child if isinstance(child, dict) else {}
        config = config[part]
    config[last] = value
