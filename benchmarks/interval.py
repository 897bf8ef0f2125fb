"""Means over seeds, as the tables of the documentation print them."""

import statistics

from gan_cli.metrics.interval import half_interval


def interval(values: list[float], digits: int, scale: float = 1) -> str:
    """The mean of values and half of its 95 % interval, after Student."""
    values = [scale * value for value in values]
    return f"{statistics.fmean(values):.{digits}f} ± {half_interval(values):.{digits}f}"
