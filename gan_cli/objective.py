"""What the players of a GAN are asked to do: the loss, the penalty and the augmentation of a configuration."""

from collections.abc import Mapping
from dataclasses import dataclass, is_dataclass, replace
from typing import Any, Generic, TypeVar

from torch import nn

from gan_cli import legality
from gan_cli.augment import Augment
from gan_cli.dials import Dial
from gan_cli.errors import Refused
from gan_cli.losses import AdversarialLoss
from gan_cli.penalties import Penalty
from gan_cli.schedules import Schedule, is_schedule, scheduled
from gan_cli.schema import Config
from gan_cli.target_options import Norm
from gan_cli.targets import Trust, create, locate
from gan_cli.traits import critic_traits

T = TypeVar("T")

_BASES: dict[str, type] = {"loss": AdversarialLoss, "penalty": Penalty, "augment": Augment}


@dataclass(frozen=True)
class Part(Generic[T]):
    """A loss, penalty or augmentation as it is at step 0, and how its numbers change."""

    made: T
    numbers: Mapping[str, Schedule]

    def dial(self, owner: object, name: str) -> Dial:
        """Sets an attribute to the part as it is at a step."""

        def turn(step: int) -> None:
            part: Any = self.made
            setattr(owner, name, replace(part, **{number: at(step) for number, at in self.numbers.items()}))

        return turn


@dataclass(frozen=True)
class Objective:
    """The three parts."""

    loss: Part[AdversarialLoss]
    penalty: Part[Penalty]
    augment: Part[Augment]


def build_objective(config: Config, discriminator: nn.Module, trusted: Trust = None) -> Objective:
    """The loss, the penalty and the augmentation, once it is sure that they go together with the discriminator.

    Raises:
        Incompatible: they do not.
        Refused: one of them is none.
    """
    loss: Part[AdversarialLoss] = _part(config.loss, "loss", trusted)
    penalty: Part[Penalty] = _part(config.penalty, "penalty", trusted)
    augment: Part[Augment] = _part(config.augment, "augment", trusted)
    has_maps = any(isinstance(module, nn.Conv2d) for module in discriminator.modules())
    keeping = [norm.name for norm in Norm if norm is not Norm.batch and (norm is not Norm.instance or has_maps)]
    clipped = config.optim.discriminator.weight_clip is not None
    asked = legality.Combination(loss.made, penalty.made, critic_traits(discriminator), clipped, augment.made)
    offered = config.model.discriminator
    legality.check(asked, keeping if "norm" in offered else (), "minibatch_std" in offered)
    return Objective(loss, penalty, augment)


def check_part(config: Config, path: str, trusted: Trust) -> None:
    """Raise `Refused` unless the part at `path` can be made."""
    _part(getattr(config, path), path, trusted)


def _part(node: Mapping[str, Any], path: str, trusted: Trust) -> Part[Any]:
    """What the node names, which must be a whole class below its base; looked at before it is called."""
    base = _BASES[path]
    found = locate(node["_target_"], path, trusted)
    if not (isinstance(found, type) and issubclass(found, base)):
        raise Refused(
            f"{path}._target_: {getattr(found, '__name__', found)} must derive from {base.__module__}.{base.__name__}"
        )
    missing = sorted(getattr(found, "__abstractmethods__", ()))
    if missing:
        raise Refused(f"{path}._target_: {found.__name__} must define {' and '.join(missing)}")
    changing = {key: value for key, value in node.items() if is_schedule(value)}
    if not is_dataclass(found) or not changing:
        return Part(create(node, path, trusted), {})
    create({**node, **{key: value["end"] for key, value in changing.items()}}, path, trusted)  # its bounds are checked
    made = create({**node, **{key: value["start"] for key, value in changing.items()}}, path, trusted)
    if isinstance(made, Augment) and made.adaptive is not None:
        raise Refused(f"{path}.{next(iter(changing))}: a number that adapts follows no schedule; augment.target=null")
    return Part(made, {key: scheduled(value) for key, value in changing.items()})
