"""Which losses, penalties and discriminators go together, from what each declares, and what mends those that do not."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

from gan_cli.errors import Incompatible
from gan_cli.losses import AdversarialLoss
from gan_cli.penalties import Penalty
from gan_cli.penalties.gp import GradientPenalty
from gan_cli.penalties.none import NoPenalty
from gan_cli.traits import CriticTraits


@dataclass(frozen=True)
class Combination:
    """What must go together.

    Attributes:
        clipped: whether the critic's weights are clipped.
    """

    loss: AdversarialLoss
    penalty: Penalty
    critic: CriticTraits
    clipped: bool

    def objection(self) -> str | None:
        """Why it is wrong mathematics; None if it is not."""
        mixes = self.critic.mixes
        if self.penalty.per_sample and mixes is not None:
            return (
                f"the penalty {type(self.penalty).__name__} takes the gradient of each sample's logit with respect to "
                f"that sample, and in this discriminator {mixes} makes it a function of the whole batch"
            )
        if self.loss.needs_bounded_slope and not (
            self.penalty.bounds_slope or self.critic.bounded_slope or self.clipped
        ):
            return (
                f"the loss {type(self.loss).__name__} has no minimum unless the critic's slope is held between real "
                "samples and fakes, because a steeper critic always separates them further"
            )
        return None


def check(asked: Combination, norms: Sequence[str]) -> None:
    """Refuse a combination that is wrong mathematics.

    Args:
        norms: the normalizations that the discriminator offers and that keep samples apart; none where it is somebody's
            own network.

    Raises:
        Incompatible: says why, and the overrides that mend it: those alone after which there is no objection.
    """
    why = asked.objection()
    if why is None:
        return
    if not norms and asked.critic.mixes is not None and asked.penalty.per_sample:
        raise Incompatible(f"{why}: replace {asked.critic.mixes} in your discriminator, or penalty=none")
    raise Incompatible(f"{why}: {' or '.join(_mends(asked, norms))} mends it")


def _mends(asked: Combination, norms: Sequence[str]) -> list[str]:
    """Single overrides, or where none is enough pairs of them; normalizations that do the same are written as one."""
    steps = list(_steps(norms))
    for size in (1, 2):
        found: dict[str, list[str]] = {}
        for chosen in combinations(steps, size):
            changed = replace(asked, **{key: value for _, _, change in chosen for key, value in change.items()})
            if len({kind for kind, _, _ in chosen}) == size and changed.objection() is None:
                *others, (kind, value, _) = sorted(chosen, key=lambda step: step[0] == _NORM)
                before = "".join(f"{k}={v} with " for k, v, _ in others)
                found.setdefault(f"{before}{kind}=", []).append(value)
        if found:
            return [f"{key}{'|'.join(values)}" for key, values in found.items()]
    return ["another loss"]


_NORM = "model.discriminator.norm"


def _steps(norms: Sequence[str]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """(key, value, what it changes) of each override that may help."""
    for norm in norms:
        yield _NORM, norm, {"critic": CriticTraits(mixes=None, bounded_slope=norm == "spectral")}
    yield "penalty", "gp", {"penalty": GradientPenalty()}
    yield "penalty", "none", {"penalty": NoPenalty()}
    yield "optim.discriminator.weight_clip", "0.01", {"clipped": True}
