"""What was measured of the weights that leave, as far as the run or gan-evaluate wrote it down.

Nothing here raises for a damaged file: what cannot be read was not measured.
"""

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gan_cli.errors import Refused
from gan_cli.run_directory import RunDirectory

EVALUATION = "evaluation.json"
_MAX_BYTES = 50_000_000  # of a log; ours have some hundred thousand


@dataclass(frozen=True)
class Metric:
    """One number of the samples.

    Attributes:
        half_interval: of its 95 % interval over sampling seeds; None where there was one seed.
        floor: what as many real samples score; None where that was not written down.
        count: of samples; 0 where the value is of the distribution itself.
        extractor: the feature network that looked at them; "" where none did.
    """

    name: str
    value: float
    half_interval: float | None
    floor: float | None
    count: int
    extractor: str


@dataclass(frozen=True)
class Measured:
    """What is known of some weights.

    Attributes:
        metrics: none where nothing was measured.
        how: the metrics were measured, a clause.
        means: of losses and logits over the steps before the weights were saved.
        images_seen: by then; None where the log does not say.
    """

    metrics: Sequence[Metric] = ()
    how: str = ""
    means: Mapping[str, float] = field(default_factory=dict)
    images_seen: int | None = None


def read(checkpoint: Path, step: int, weights: str, source: str, evaluation: Path | None) -> Measured:
    """What was measured of a checkpoint.

    What gan-evaluate wrote comes first, for it has intervals; then the evaluation at the run's end, then those while it
    trained.

    Args:
        source: SHA-256 of the checkpoint.
        evaluation: a directory of gan-evaluate's, or its evaluation.json; None looks for one in the run's directory.

    Raises:
        Refused: `evaluation` was named and tells nothing of this checkpoint and these weights.
    """
    run = (
        RunDirectory(checkpoint.absolute().parent.parent)
        if checkpoint.absolute().parent.name == "checkpoints"
        else None
    )
    log = list(_lines(run.metrics)) if run else []
    means, images_seen = _state(log, step)
    found, how = _evaluated(evaluation, run, weights, source)
    if evaluation is not None and not found:
        raise Refused(
            f"evaluation={evaluation} tells nothing of this checkpoint and its {weights} weights: "
            f"gan-evaluate checkpoint={checkpoint} out=DIR, then evaluation=DIR"
        )
    for group, told in (("final", "at the end of the run"), ("metrics", "while the run went on")):
        if not found:
            found, how = _logged(log, step, weights, group), told
    return Measured(found, how if found else "", means, images_seen)


def _evaluated(named: Path | None, run: RunDirectory | None, weights: str, source: str) -> tuple[list[Metric], str]:
    """The rows of the first evaluation.json that knows this very file."""
    if named is not None:
        places = [named / EVALUATION if named.is_dir() else named]
    else:
        places = [run.path / EVALUATION, run.evaluation / EVALUATION] if run else []
    for place in places:
        content = _loaded(_text(place))
        provenance = _mapping(content.get("provenance"))
        digests = _mapping(provenance.get("checkpoints"))
        rows = content.get("results")
        metrics = [
            metric
            for row in (rows if isinstance(rows, list) else [])
            if isinstance(row, dict)
            and row.get("weights") == weights
            and digests.get(str(row.get("checkpoint"))) == source
            for metric in _metric(row.get("metric"), row.get("value"), row)
        ]
        if metrics:
            seeds = provenance.get("seeds")
            count = len(seeds) if isinstance(seeds, list) else 0
            return metrics, "by `gan-evaluate`" + (f", means over {count} sampling seeds" if count > 1 else "")
    return [], ""


def _logged(log: Iterable[Mapping[str, Any]], step: int, weights: str, group: str) -> list[Metric]:
    return [
        metric
        for line in log
        if line.get("step") == step and line.get("weights") == weights
        for name, value in line.items()
        if name.startswith(f"{group}/")
        for metric in _metric(name.removeprefix(f"{group}/"), value, line)
    ]


def _metric(name: Any, value: Any, about: Mapping[str, Any]) -> Iterator[Metric]:
    number, count, extractor = _number(value), _number(about.get("count")), about.get("extractor")
    if isinstance(name, str) and number is not None:
        told = extractor if isinstance(extractor, str) else ""
        yield Metric(
            name, number, _number(about.get("half_interval")), _number(about.get("floor")), int(count or 0), told
        )


def _state(log: Iterable[Mapping[str, Any]], step: int) -> tuple[dict[str, float], int | None]:
    """The means of a step, and the images seen by then."""
    for line in log:
        if line.get("step") == step and isinstance(line.get("images_seen"), int):
            numbers = {name: _number(value) for name, value in line.items() if name.startswith(("loss/", "penalty/"))}
            return {name: number for name, number in numbers.items() if number is not None}, line["images_seen"]
    return {}, None


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    yield from filter(None, map(_loaded, _text(path).split("\n")))


def _loaded(text: str) -> dict[str, Any]:
    try:
        return _mapping(json.loads(text))
    except (ValueError, RecursionError):
        return {}


def _mapping(content: Any) -> dict[str, Any]:
    return content if isinstance(content, dict) else {}


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace") if path.stat().st_size <= _MAX_BYTES else ""
    except OSError:
        return ""


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:  # an integer of hundreds of digits
        return None
