"""Means over seeds, as the tables of the documentation print them."""

import statistics

T_95 = {5: 2.776, 10: 2.262}  # Student's quantile at n - 1 degrees of freedom


def interval(values: list[float], digits: int, scale: float = 1) -> str:
    """The mean of 5 or 10 values and half of its 95 % interval, after Student."""
    values = [scale * value for value in values]
    half = T_95[len(values)] * statistics.stdev(values) / len(values) ** 0.5
    return f"{statistics.fmean(values):.{digits}f} ± {half:.{digits}f}"
