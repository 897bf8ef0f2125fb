"""How a metric was measured: numbers that were measured in different ways are not comparable."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields

from gan_cli.doctor.log import Log, parse


@dataclass(frozen=True)
class Way:
    """What stands beside a metric in metrics.jsonl, as it stands there; "" where nothing does.

    Attributes:
        extractor: whose features were compared.
        count: of how many samples; 0 where the value is of the distribution itself.
        weights: "raw" or "ema".
    """

    extractor: str = ""
    count: str = ""
    weights: str = ""

    def __str__(self) -> str:
        samples = {"": "", "0": "exact"}.get(self.count, f"{self.count} samples")
        return ", ".join(filter(None, (self.extractor, samples, self.weights and f"{self.weights} weights")))


_ABOUT = tuple(about.name for about in fields(Way))


def by_way(text: str) -> Mapping[Way, Log]:
    """The metrics of a metrics.jsonl, those that were measured in one way together."""
    lines: dict[Way, list[str]] = {}
    for line in text.split("\n"):
        if '"metrics/' in line or '"final/' in line:
            try:
                content = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if isinstance(content, dict):
                about = (content.get(name) for name in _ABOUT)
                way = Way(*("" if value is None else str(value) for value in about))
                lines.setdefault(way, []).append(line)
    return {way: parse("\n".join(told)) for way, told in lines.items()}
