"""How far a mean of few values can be trusted."""

import math
from collections.abc import Sequence
from statistics import stdev

_FEW = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131)
_T = (*_FEW, 2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042)

MOST = len(_T) + 1
"""Values, of which quantiles are at hand."""


def half_interval(values: Sequence[float]) -> float:
    """Half of the 95 % interval of the mean, after Student: t(n-1) s / √n.

    Args:
        values: from 1 to 31, independent and about normal; of one nothing is known, and the result is infinite. Values
            that are not finite give nan.
    """
    if not all(map(math.isfinite, values)):
        return math.nan
    n = len(values)
    return _T[n - 2] * stdev(values) / math.sqrt(n) if n > 1 else math.inf
