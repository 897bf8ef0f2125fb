"""The lines of metrics.jsonl as curves, whatever state the file is in."""

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from gan_cli.doctor.series import Series

_ABOUT = ("extractor", "count", "weights")


@dataclass(frozen=True)
class Log:
    """All that a rule may know of a run.

    Attributes:
        means: losses and logits by name; only finite values.
        metrics: for each name without `metrics/`, a curve for each way in which it was measured (extractor, number of
            samples, weights), that with the most points first, of these the one that goes furthest.
        finals: the same of what the evaluation at the end says.
        not_finite: the first step at which a loss or logit had a value that was NaN or infinite.
        damaged: how many lines could not be read.
        state, reason: what status.json says.
        config: config.yaml, for the loss and for overrides.
        directory: as it was typed, for overrides.
    """

    means: Mapping[str, Series] = field(default_factory=dict)
    metrics: Mapping[str, tuple[Series, ...]] = field(default_factory=dict)
    finals: Mapping[str, tuple[Series, ...]] = field(default_factory=dict)
    not_finite: Mapping[str, int] = field(default_factory=dict)
    damaged: int = 0
    state: str | None = None
    reason: str | None = None
    config: Mapping[str, Any] = field(default_factory=dict)
    directory: str = "RUN"

    def mean(self, name: str) -> Series:
        """The curve of a loss or logit; an empty one where there is none."""
        return self.means.get(name, Series())

    def metric(self, name: str) -> Series:
        """The curve of a metric that is measured in one way; an empty one where there is none."""
        return (self.metrics.get(name) or (Series(),))[0]

    def final(self, name: str) -> Series:
        """The curve of a metric whose last point is the latest, of the most samples: what the run has come to."""
        curves = [*self.finals.get(name, ()), *self.metrics.get(name, ())]
        return max(curves, key=lambda curve: (curve.steps[-1], curve.count or 0), default=Series())

    def setting(self, key: str) -> Any:
        """`optim.lr` of the configuration, None where there is no such key."""
        found: Any = self.config
        for part in key.split("."):
            found = found.get(part) if isinstance(found, Mapping) else None
        return found

    @property
    def loss(self) -> Mapping[str, Any]:
        """The configured loss; empty where there is none."""
        configured = self.setting("loss")
        return configured if isinstance(configured, Mapping) else {}

    def rate(self, key: str) -> float | None:
        """A positive number of the configuration, None where it is anything else."""
        number = _finite(self.setting(key))
        return number if number is not None and number > 0 else None


def parse(text: str) -> Log:
    """The curves of a metrics.jsonl. Of a step told twice the later line counts.

    A last line without its end is one that is being written, and no damage.
    """
    lines = text.split("\n")
    read = [(_line(line), line is lines[-1]) for line in lines if line.strip()]
    damaged = sum(line is None and not being_written for line, being_written in read)
    means: dict[str, dict[int, float]] = {}
    metrics: dict[str, dict[tuple[str, ...], dict[int, dict[str, Any]]]] = {}
    finals: dict[str, dict[tuple[str, ...], dict[int, dict[str, Any]]]] = {}
    not_finite: dict[str, int] = {}
    for step, name, value, line in _values(line for line, _ in read if line is not None):
        group, _, short = name.partition("/")
        if group in ("metrics", "final"):
            way = tuple(str(line.get(about)) for about in _ABOUT)
            if math.isfinite(value):  # a metric may have none, of samples that are all alike
                of = metrics if group == "metrics" else finals
                of.setdefault(short, {}).setdefault(way, {})[step] = line | {"value": value}
        elif not math.isfinite(value):
            not_finite.setdefault(name, step)
        else:
            means.setdefault(name, {})[step] = value
    return Log(
        {name: _series(points) for name, points in means.items()},
        {name: _curves(ways.values()) for name, ways in metrics.items()},
        {name: _curves(ways.values()) for name, ways in finals.items()},
        not_finite,
        damaged,
    )


def _line(text: str) -> dict[str, Any] | None:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return None
    step = content.get("step") if isinstance(content, dict) else None
    return content if isinstance(step, int) and not isinstance(step, bool) and step >= 0 else None


def _values(lines: Iterable[dict[str, Any]]) -> Iterable[tuple[int, str, float, dict[str, Any]]]:
    for line in lines:
        for name, value in line.items():
            if "/" in name and _is_number(value):
                yield line["step"], name, _as_float(value), line


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _finite(value: Any) -> float | None:
    return _as_float(value) if _is_number(value) and math.isfinite(_as_float(value)) else None


def _as_float(value: float) -> float:
    try:
        return float(value)
    except OverflowError:  # an integer of hundreds of digits
        return math.inf


def _series(points: Mapping[int, float]) -> Series:
    steps = sorted(points)
    return Series(steps, [points[step] for step in steps])


def _curves(ways: Iterable[Mapping[int, dict[str, Any]]]) -> tuple[Series, ...]:
    curves = []
    for lines in ways:
        curve = _series({step: line["value"] for step, line in lines.items()})
        line = lines[curve.steps[-1]]
        curves.append(Series(curve.steps, curve.values, _finite(line.get("floor")), _finite(line.get("count"))))
    return tuple(sorted(curves, key=lambda curve: (len(curve), curve.steps[-1]), reverse=True))
