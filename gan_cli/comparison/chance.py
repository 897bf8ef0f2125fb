"""Whether a difference between means is more than the seeds' spread explains."""

import math
import statistics
from collections.abc import Sequence

SIGNIFICANT = 0.05


def chance_of_difference(first: Sequence[float], second: Sequence[float]) -> float | None:
    """How often means of equal distributions would be at least so far apart: Welch's t-test, two-sided.

    Welch (1947), "The generalization of Student's problem when several different population variances are involved",
    with the degrees of freedom rounded down.

    Args:
        first, second: independent values, about normal.

    Returns:
        p; None where one of the two is a single value, which shows no spread.
    """
    if len(first) < 2 or len(second) < 2:
        return None
    errors = [statistics.variance(values) / len(values) for values in (first, second)]
    difference = abs(statistics.fmean(first) - statistics.fmean(second))
    if not sum(errors):
        return 0.0 if difference else 1.0
    shares = [error / sum(errors) for error in errors]
    inverse = sum(share**2 / (len(values) - 1) for share, values in zip(shares, (first, second), strict=True))
    return two_sided(difference / math.sqrt(sum(errors)), math.floor(1 / inverse + 1e-9))


def two_sided(t: float, degrees: int) -> float:
    """P(|T| ≥ t) of Student's distribution.

    Abramowitz and Stegun (1964), equations 26.7.3 and 26.7.4.

    Args:
        t: not negative.
        degrees: of freedom, 1 or more.
    """
    angle = math.atan(t / math.sqrt(degrees))
    square = math.cos(angle) ** 2
    odd = degrees % 2
    term, total = (math.cos(angle) if odd else 1.0), 0.0
    for count in range(degrees // 2):
        total += term
        term *= square * (2 * count + 1 + odd) / (2 * count + 2 + odd)
    within = 2 / math.pi * (angle + math.sin(angle) * total) if odd else math.sin(angle) * total
    return min(1.0, max(0.0, 1 - within))
