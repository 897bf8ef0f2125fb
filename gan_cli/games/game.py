"""What the loop asks of a game."""

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from torch import Tensor, nn

from gan_cli.step import Player, Stats


class Game(Protocol):
    """Players and their order. Its state is the networks' and the optimizers'; all else derives from the step."""

    @property
    def players(self) -> Sequence[Player[Any]]:
        """In the order in which they move."""

    @property
    def networks(self) -> dict[str, nn.Module]:
        """What is saved, by name."""

    def play(self, step: int) -> Stats:
        """Every player's moves of step `step`, counted from 0."""

    def images_seen(self, steps: int) -> int:
        """How many real samples the first `steps` steps show to the discriminator."""


def changing(networks: Iterable[nn.Module], players: Iterable[Player[Any]]) -> list[Tensor]:
    """All tensors that a step changes: those of the networks, then those of the players' optimizers."""
    of_networks = [tensor for network in networks for tensor in network.state_dict().values()]
    entries = (entry for player in players for entry in player.optimizer.state.values())
    return of_networks + [value for entry in entries for value in entry.values() if isinstance(value, Tensor)]
