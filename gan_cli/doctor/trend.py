"""Whether a curve falls beyond what chance would make of it."""

from collections.abc import Sequence
from functools import cache

_MOST = 20
"""Values that are looked at: of a longer curve so many, evenly spaced. More would cost seconds and decide nothing."""


def chance_of_fall(values: Sequence[float]) -> float:
    """How often values in random order rise in so few pairs: the one-sided p-value of Mann and Kendall's test.

    Of n values in random order, the number of pairs (i < j, x_i < x_j) is distributed as that of the inversions of a
    permutation. Nothing is assumed of the values' size or noise; ties count as rises. The least p of n values is 1/n!,
    so that fewer than four never reach 0.05.

    Source: Mann 1945, Econometrica 13; Kendall 1938, Biometrika 30, whose tau it is.
    """
    if len(values) > _MOST:
        values = [values[at * (len(values) - 1) // (_MOST - 1)] for at in range(_MOST)]
    rises = sum(values[i] <= values[j] for j in range(len(values)) for i in range(j))
    counts = _inversions(len(values))
    return sum(counts[: rises + 1]) / sum(counts)


@cache
def _inversions(length: int) -> tuple[int, ...]:
    """How many permutations have 0, 1, 2, ... inversions."""
    if length < 2:
        return (1,)
    shorter = _inversions(length - 1)
    most = length * (length - 1) // 2
    return tuple(sum(shorter[max(0, k - length + 1) : k + 1]) for k in range(most + 1))
