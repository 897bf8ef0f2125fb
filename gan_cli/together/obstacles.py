"""Which configurations may be one program: those that differ in numbers alone."""

from collections.abc import Mapping, Sequence
from typing import Any

from gan_cli.parse import to_plain
from gan_cli.resume import flattened
from gan_cli.schema import Conditional, Config, Kind, Precision

MAY_DIFFER = ("seed", "optim.lr", "optim.generator.lr", "optim.discriminator.lr")
NUMBERS = ("loss", "penalty")
"""Parts whose numbers may differ too."""

_COUNTED = "every"  # how often a penalty is due decides what a step computes


def obstacle(configs: Sequence[Config]) -> str | None:
    """Why these configurations cannot be trained as one program; None where nothing in them is against it.

    What their networks are made of shows when they are built (`Together`).
    """
    return between([to_plain(config) for config in configs]) or by_itself(configs[0])


def differing(configs: Sequence[Mapping[str, Any]]) -> list[str]:
    """The keys, joined by dots, in which plain configurations differ."""
    flat = [flattened(config) for config in configs]
    keys = sorted({key for config in flat for key in config})
    return [key for key in keys if any(key not in config or config[key] != flat[0].get(key) for config in flat)]


def differing_numbers(configs: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    """By part, the names of its numbers in which plain configurations differ."""
    keys = [key.split(".") for key in differing(configs)]
    return {part: sorted({key[1] for key in keys if key[0] == part}) for part in NUMBERS}


def by_itself(config: Config) -> str | None:
    """What of a configuration cannot be stacked."""
    if config.data.kind is not Kind.vector:
        return "runs are one program on vectors alone, such as data=gaussian2d: of images one run fills the machine"
    if config.model.conditional is not Conditional.none:
        return f"model.conditional={config.model.conditional.name}: labels are not stacked"
    if config.device.precision is Precision.bf16:
        return "device.precision=bf16 rounds sums of stacked matrices in another way than those of one"
    if config.train.unroll:
        return f"train.unroll={config.train.unroll} differentiates through the optimizer of one run"
    if config.train.minutes is not None:
        return "train.minutes ends each run by its own clock"
    if config.optim.clip_norm is not None:
        return "optim.clip_norm scales by the length of one run's gradient"
    return None


def between(configs: Sequence[Mapping[str, Any]]) -> str | None:
    """What plain configurations must not differ in, where they do."""
    flat = [flattened(config) for config in configs]
    for key in differing(configs):
        part, _, name = key.partition(".")
        numbers = part in NUMBERS and name != _COUNTED and all(_is_number(config.get(key)) for config in flat)
        if key not in MAY_DIFFER and not numbers:
            shown = ", ".join(dict.fromkeys(repr(config.get(key)) for config in flat))
            return f"they differ in {key} ({shown}), and may in {', '.join(MAY_DIFFER)} and numbers of loss and penalty"
    return None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
