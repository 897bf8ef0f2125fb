"""How groups stand beside each other, in words: their figures, and what the seeds' spread allows to say."""

from collections.abc import Sequence

from gan_cli.comparison.chance import SIGNIFICANT, chance_of_difference
from gan_cli.comparison.groups import Group
from gan_cli.comparison.metric import Metric

OTHERWISE = "measured otherwise"
_BESIDE = {True: "not separated", False: "worse"}


def figure(group: Group) -> str:
    """The mean, and how far single seeds are from it."""
    return spread(group.mean, group.deviation)


def spread(mean: float | None, deviation: float | None) -> str:
    """`0.0711 ± 0.0049`; nothing where there is no mean."""
    if mean is None:
        return ""
    return f"{mean:.4g}" + ("" if deviation is None else f" ± {deviation:.2g}")


def extent(group: Group) -> str:
    """The least and the largest value; nothing of a single one."""
    return f"{min(group.values):.4g} to {max(group.values):.4g}" if len(group.values) > 1 else ""


def seeds(group: Group) -> str:
    """Of how many seeds the figures are, and of how many of those that were tried."""
    counted, tried = len(group.values), group.num_seeds
    under_way = " so far" if group.is_under_way else ""
    return (f"{counted}" if counted == tried else f"{counted} of {tried}") + under_way


def beside_best(group: Group, groups: Sequence[Group]) -> str:
    """`best`, `not separated` from it by these seeds, or `worse`; nothing where that cannot be told."""
    if group is groups[0] and group.mean is not None:
        return "best"
    if group.mean is not None and not group.comparable:
        return "other data" if group.way == groups[0].way else OTHERWISE
    if not _ranked(group) or not _ranked(groups[0]):
        return ""
    chance = chance_of_difference(groups[0].values, group.values)
    return "" if chance is None else _BESIDE[chance >= SIGNIFICANT]


def verdict(groups: Sequence[Group], metric: Metric | None) -> str:
    """One sentence about the two best groups."""
    if metric is None:
        return "No run has logged a metric to be judged by: train.evaluate_every must be shorter than a run."
    best = [group for group in groups if _ranked(group)][:2]
    if len(best) < 2:
        return "There are no two groups of finished runs to compare."
    chance = chance_of_difference(best[0].values, best[1].values)
    names = f"Groups {best[0].number} and {best[1].number}"
    if chance is None:
        return f"{names} have no spread to be compared with: one of them has a single seed that counts."
    if chance >= SIGNIFICANT:
        return f"{names} are not separated by these seeds (Welch's test, p = {chance:.2g}): more seeds may tell."
    return f"{names} differ by more than the seeds' spread explains (Welch's test, p = {chance:.2g})."


def measured(groups: Sequence[Group], metric: Metric | None) -> str:
    """What the figures are: the metric, its direction, and how it was measured."""
    if metric is None:
        return ""
    better = "higher is better" if metric.higher_is_better else "lower is better"
    way = str(next((group.way for group in groups if group.way is not None and group.comparable), ""))
    of = "last" if metric.is_mean or metric.name.startswith("final/") else "best while training"
    return f"{metric.name}: {of}, {better}" + (f"; {way}" if way else "")


def _ranked(group: Group) -> bool:
    return group.mean is not None and group.comparable and not group.is_under_way
