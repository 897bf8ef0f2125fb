"""The metric that says whether a run gets anywhere, and what it says."""

from dataclasses import dataclass

from gan_cli.doctor.log import Log
from gan_cli.doctor.series import Series, number
from gan_cli.doctor.trend import chance_of_fall

LOWER_IS_BETTER = ("kid", "kl", "fid", "mode_kl", "w2")
HIGHER_IS_BETTER = ("high_quality", "modes")
"""In the order in which they are asked; the kernel distance first, which has no bias."""

POOR_KL, POOR_QUALITY, POOR_PRECISION = 1.0, 0.5, 0.25
"""Nats; share of the floor of samples that lie in a mode; share of precision's floor."""

READINGS = 4
"""Of four readings in random order, each lower than the one before: p = 1/24. Of three it would be 1/6."""
SIGNIFICANT = 0.05
FELL = 0.05
"""Share of the distance to the floor that a fall must be of: a smaller one may be real, and is not worth doubling."""


@dataclass(frozen=True)
class Guide:
    """A metric as its distance to what real samples score.

    Attributes:
        name: as in `metrics/NAME`.
        curve: as it was logged, without step 0.
        excess: the same, as a distance that training should bring to 0.
    """

    name: str
    curve: Series
    excess: Series

    @property
    def window(self) -> Series:
        """The last third of the run, or the last four readings where it has fewer and they are not from its start."""
        last = self.excess.last_third
        longer = self.excess.latest(READINGS)
        late = len(longer) == READINGS and longer.steps[0] * 3 >= self.excess.steps[-1]
        return last if len(last) >= READINGS or not late else longer

    @property
    def improving(self) -> bool | None:
        """Whether it fell beyond chance over the window; None where there are too few readings to tell."""
        values = self.window.values
        if len(values) < READINGS:
            return None
        fell = values[0] - values[-1] > FELL * abs(values[0])
        return fell and chance_of_fall(values) < SIGNIFICANT

    @property
    def better_than_at_first(self) -> bool | None:
        """Whether the last third is better than the first by a tenth; None where either has no readings."""
        first, last = self.excess.third(0), self.excess.last_third
        return last.middle < 0.9 * first.middle if len(first) and len(last) else None


def guide_of(log: Log) -> Guide | None:
    """The first metric of the list that was logged; None where there is none."""
    for name in (*LOWER_IS_BETTER, *HIGHER_IS_BETTER):
        curve = log.metric(name).without_start()
        if len(curve):
            return Guide(name, curve, _excess(curve, name))
    return None


def _excess(curve: Series, name: str) -> Series:
    sign = 1 if name in LOWER_IS_BETTER else -1
    floor = curve.floor or 0.0
    return Series(curve.steps, [sign * (value - floor) for value in curve.values])


def poor(log: Log) -> str | None:
    """What says that the last samples are far from the data; None where nothing says so."""
    kl = log.metric("kl").without_start()
    if len(kl) and kl.last >= POOR_KL:
        return f"kl {number(kl.last)} nats"
    for name, share in (("high_quality", POOR_QUALITY), ("precision", POOR_PRECISION)):
        curve = log.metric(name).without_start()
        if len(curve) and curve.floor and curve.last < share * curve.floor:
            return f"{name} {number(curve.last)}, of real samples {number(curve.floor)}"
    return None
