"""What numbers a field of a dataclass accepts: declared once, beside the field, and checked wherever it is filled."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import Field, field, fields, is_dataclass
from typing import Any

from gan_cli.errors import Refused

_BOUNDS = {
    "ge": ("at least", lambda value, bound: value >= bound),
    "gt": ("greater than", lambda value, bound: value > bound),
    "le": ("at most", lambda value, bound: value <= bound),
    "lt": ("less than", lambda value, bound: value < bound),
}


def bounded(default: Any = "???", **bounds: Any) -> Any:
    """A field with bounds: `ge`, `gt`, `le`, `lt` on a number or on each in a list; `length`, `longest` on a list.

    With `scheduled=True`, and typed Any, a mapping of start and end may stand for a number; both keep to the bounds.
    With `cadence=True`, and typed Any, "epoch" may stand for a number of steps.
    Without a default the value must be given ("???" is OmegaConf's mark for that).
    """
    return field(default=default, metadata=bounds)


def check_bounds(made: Any, prefix: str) -> None:
    """Check every number in a dataclass, and in those within it, against what its field declares.

    Raises:
        Refused: names the first that is out of bounds, or not finite, with `prefix` before its name.
    """
    for f in fields(made):
        value = getattr(made, f.name)
        if is_dataclass(value):
            check_bounds(value, f"{prefix}{f.name}.")
        elif value is not None:
            _check_field(f, value, f"{prefix}{f.name}")


def _check_field(f: "Field[Any]", value: Any, key: str) -> None:
    length = f.metadata.get("length")
    if length is not None and len(value) != length:
        raise Refused(f"{key} must have {length} entries, got {len(value)}: {value}")
    if "longest" in f.metadata and len(value) > f.metadata["longest"]:
        raise Refused(f"{key} must have at most {f.metadata['longest']} entries, got {len(value)}")
    numbers = list(_numbers(value))
    if not all(map(math.isfinite, numbers)):
        raise Refused(f"{key} must be finite, got {value}")
    for name, (words, holds) in _BOUNDS.items():
        if name in f.metadata:
            for number in numbers:
                if not holds(number, f.metadata[name]):
                    raise Refused(f"{key} must be {words} {f.metadata[name]}, got {number}")


def _numbers(value: Any) -> Iterator[float]:
    if isinstance(value, list | tuple):
        for inner in value:
            yield from _numbers(inner)
    elif isinstance(value, Mapping):
        yield from _numbers([value.get("start"), value.get("end")])
    elif isinstance(value, int | float):
        yield value
