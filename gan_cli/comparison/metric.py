"""The metric that runs are judged by, and what it says of each."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from gan_cli.comparison.records import Record
from gan_cli.comparison.ways import Way
from gan_cli.doctor import guide
from gan_cli.doctor.series import Series

AUTO = "auto"
_HIGHER = (*guide.HIGHER_IS_BETTER, "precision", "density", "recall", "coverage", "score", "accuracy")
_BEYOND = 1e100  # what is larger is no measurement, and its square no number
_MEANS = ("loss", "logits", "penalty")


@dataclass(frozen=True)
class Value:
    """What a run came to.

    Attributes:
        step: at which it was so good.
        way: how it was measured; of a loss an empty one.
    """

    value: float
    step: int
    way: Way


@dataclass(frozen=True)
class Metric:
    """What runs are judged by.

    Attributes:
        name: `kid` while a run goes on, `final/kid` at its end, or a mean such as `loss/G`.
    """

    name: str

    @property
    def higher_is_better(self) -> bool:
        """Whether more of it is better."""
        return higher_is_better(self.name)

    @property
    def is_mean(self) -> bool:
        """Whether it is a loss, or another mean over steps: then no way of measuring goes with it."""
        return self.name.partition("/")[0] in _MEANS

    def curves(self, record: Record) -> dict[Way, Series]:
        """Every curve that a record has of it, by how it was measured."""
        if self.is_mean:
            found = {Way(): record.log.mean(self.name)}
        elif self._is_final:
            found = {way: _only(log.finals.get(_short(self.name), ())) for way, log in record.measured.items()}
        else:
            found = {way: _only(log.metrics.get(self.name, ())) for way, log in record.measured.items()}
        return {way: curve for way, curve in found.items() if len(curve)}

    def value(self, record: Record) -> Value | None:
        """What it says of a run; None where the run has not logged it, or nothing of sense.

        Of a curve its best point (about what the checkpoint `best` holds), of a mean or of what is measured at the end
        the last. A run that was measured in several ways is judged by the curve with the most points, of these by the
        one that goes furthest, of these by that of the averaged weights.
        """
        curves = self.curves(record)
        if not curves:
            return None
        way = max(curves, key=lambda way: (len(curves[way]), curves[way].steps[-1], way.weights == "ema"))
        curve = curves[way]
        if self.is_mean or self._is_final:
            at = len(curve) - 1
        else:
            at = list(curve.values).index((max if self.higher_is_better else min)(curve.values))
        return Value(curve.values[at], curve.steps[at], way) if abs(curve.values[at]) < _BEYOND else None

    @property
    def _is_final(self) -> bool:
        return self.name.startswith("final/")


def choose(records: Sequence[Record], wanted: str) -> Metric | None:
    """The metric that was asked for, `metrics/` before its name or not; None where no record has it.

    Args:
        wanted: a name; or "auto": the first of those that gan-doctor goes by that many records logged in training, more
            than half as many as any.
    """
    if wanted != AUTO:
        metric = Metric(wanted.removeprefix("metrics/"))
        return metric if any(map(metric.curves, records)) else None
    logged = Counter(name for record in records for name in record.log.metrics)
    half = max(logged.values(), default=0) / 2  # a run whose value is infinite has none
    known = [name for name in (*guide.LOWER_IS_BETTER, *guide.HIGHER_IS_BETTER) if logged[name] > half]
    return Metric(known[0]) if known else None


def logged(records: Sequence[Record]) -> list[str]:
    """Every name that `choose` knows of some record."""
    names: set[str] = set()
    for record in records:
        names |= {name for name in record.log.means if Metric(name).is_mean}
        names |= {*record.log.metrics, *(f"final/{name}" for name in record.log.finals)}
    return sorted(names)


def higher_is_better(name: str) -> bool:
    """Whether more of a metric is better; of "auto" less is."""
    return _short(name) in _HIGHER


def _short(name: str) -> str:
    return name.removeprefix("metrics/").removeprefix("final/")


def _only(curves: Sequence[Series]) -> Series:
    return next(iter(curves), Series())
