"""Which losses, penalties and discriminators go together, from what each declares, and what mends those that do not."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import combinations

import torch

from gan_cli.augment import Augment
from gan_cli.augment.none import NoAugment
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
    augment: Augment = field(default_factory=NoAugment)

    def objection(self) -> str | None:
        """Why it is wrong mathematics; None if it is not."""
        if self.penalty.per_sample and self.critic.mixes:
            return (
                f"the penalty {type(self.penalty).__name__} takes the gradient of each sample's logit with respect to "
                f"that sample, and in this discriminator {self.critic.mixes[0]} makes it a function of the whole batch"
            )
        if self.loss.needs_bounded_slope and not (
            self.penalty.bounds_slope or self.critic.bounded_slope or self.clipped
        ):
            return (
                f"the loss {type(self.loss).__name__} has no minimum unless the critic's slope is held between real "
                "samples and fakes, because a steeper critic always separates them further"
            )
        if self.augment.adaptive is not None and self.loss.margin(torch.zeros(1)) is None:
            return (
                f"the augmentation {type(self.augment).__name__} adapts to how often real samples are taken for real, "
                f"and for the loss {type(self.loss).__name__} only differences of logits mean anything"
            )
        return None


def check(asked: Combination, norms: Sequence[str], has_minibatch_std: bool) -> None:
    """Refuse a combination that is wrong mathematics.

    Args:
        norms: the normalizations that the discriminator offers and that keep samples apart.
        has_minibatch_std: whether the discriminator has a key for that; somebody's own network may have neither.

    Raises:
        Incompatible: says why, and the overrides that mend it: those alone after which there is no objection.
    """
    why = asked.objection()
    if why is None:
        return
    mends = " or ".join(_mends(asked, norms, has_minibatch_std))
    if not norms and not has_minibatch_std and asked.critic.mixes and asked.penalty.per_sample:
        raise Incompatible(f"{why}: replace {asked.critic.mixes[0]} in your discriminator, or {mends}")
    raise Incompatible(f"{why}: {mends} mends it")


_NORM = "model.discriminator.norm"


@dataclass(frozen=True)
class _Override:
    """`key=value` on the command line, and what it makes of a combination."""

    key: str
    value: str
    applied: Callable[[Combination], Combination]


def _mends(asked: Combination, norms: Sequence[str], has_minibatch_std: bool) -> list[str]:
    """As few overrides together as are enough; normalizations that do the same are written as one.

    There are always some: without a penalty and augmentation, and with clipped weights, there is no objection.
    """
    for size in (1, 2, 3):
        found: dict[str, list[str]] = {}
        for chosen in combinations(_overrides(norms, has_minibatch_std), size):
            changed = asked
            for override in chosen:
                changed = override.applied(changed)
            if len({override.key for override in chosen}) == size and changed.objection() is None:
                *others, last = sorted(chosen, key=lambda override: override.key == _NORM)
                before = "".join(f"{other.key}={other.value} with " for other in others)
                found.setdefault(f"{before}{last.key}=", []).append(last.value)
        if found:
            break
    return [f"{key}{'|'.join(values)}" for key, values in found.items()]


def _overrides(norms: Sequence[str], has_minibatch_std: bool) -> Iterator[_Override]:
    """What may help."""
    for norm in norms:
        yield _Override(_NORM, norm, partial(_normalized, norm))
    if has_minibatch_std:
        yield _Override("model.discriminator.minibatch_std", "0", partial(_without, "MinibatchStd"))
    yield _Override("augment", "diffaugment", lambda asked: replace(asked, augment=NoAugment()))
    yield _Override("augment.target", "null", lambda asked: replace(asked, augment=NoAugment()))
    yield _Override("penalty", "gp", lambda asked: replace(asked, penalty=GradientPenalty()))
    yield _Override("penalty", "none", lambda asked: replace(asked, penalty=NoPenalty()))
    yield _Override("optim.discriminator.weight_clip", "0.01", lambda asked: replace(asked, clipped=True))


def _normalized(norm: str, asked: Combination) -> Combination:
    apart = _without("BatchNorm", asked)
    return replace(apart, critic=replace(apart.critic, bounded_slope=norm == "spectral"))


def _without(kind: str, asked: Combination) -> Combination:
    left = tuple(name for name in asked.critic.mixes if kind not in name)
    return replace(asked, critic=replace(asked.critic, mixes=left))
