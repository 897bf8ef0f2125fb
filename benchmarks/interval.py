"""Means over seeds, as the tables of the documentation print them."""

import statistics

from gan_cli.metrics.interval import half_interval


def interval(values: list[float], digits: int, scale: float = 1) -> str:
    """The mean of values and half of its 95 % interval, after Student; of one value, itself."""
    values = [scale * value for value in values]
    if len(values) == 1:
        return f"{values[0]:.{digits}f}"
    return f"{statistics.fmean(values):.{digits}f} ± {half_interval(values):.{digits}f}"
