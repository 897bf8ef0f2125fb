"""How one player of a game moves: by gradient descent on its own objective, against opponents that stand still."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from torch import Tensor, nn
from torch.optim import Optimizer

Stats = dict[str, Tensor]
"""Named scalars on the device; reading one is the caller's decision, because it waits for the device."""

RoundT = TypeVar("RoundT")
"""What the players of one game look at in one round."""


@dataclass(frozen=True)
class Player(Generic[RoundT]):
    """Who moves.

    Attributes:
        name: short, for statistics: "D", "G".
        modules: hold the parameters that the player moves, and no one else does.
        optimizer: over those parameters.
        objective: of a round, the scalar to minimize and statistics to log.
        reduce: called with the parameters when they have their gradients, before these are clipped and used: several
            processes that share a batch add theirs up.
        constrain: called after each update, to bring the parameters back to where they are allowed.
        clip_norm: the gradient over all parameters is scaled down to this length where it is longer.
    """

    name: str
    modules: Sequence[nn.Module]
    optimizer: Optimizer
    objective: Callable[[RoundT], tuple[Tensor, Stats]]
    constrain: Callable[[], None] = lambda: None
    clip_norm: float | None = None
    reduce: Callable[[Sequence[Tensor]], None] = lambda parameters: None


def move(player: Player[RoundT], players: Sequence[Player[RoundT]], round_: RoundT) -> Stats:
    """One update of `player`; the parameters of all the others get neither a change nor a gradient.

    Freezing the others also spares the backward pass their weight gradients, about a third of its work. The objective
    is logged as the player's loss unless its statistics say what part of it the loss is.
    """
    for other in players:
        set_trainable(other.modules, other is player)
    player.optimizer.zero_grad(set_to_none=True)
    loss, stats = player.objective(round_)
    loss.backward()
    parameters = [parameter for group in player.optimizer.param_groups for parameter in group["params"]]
    player.reduce(parameters)
    if player.clip_norm is not None:
        length = nn.utils.clip_grad_norm_(parameters, player.clip_norm)
        stats = stats | {f"gradient/{player.name}": length.detach()}
    player.optimizer.step()
    player.constrain()
    return {f"loss/{player.name}": loss.detach()} | stats


def set_trainable(modules: Sequence[nn.Module], trainable: bool) -> None:
    """Whether gradients with respect to the modules' parameters are computed."""
    for module in modules:
        module.requires_grad_(trainable)
