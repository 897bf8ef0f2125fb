"""Random numbers of one rank: its rows of what is drawn for the whole batch."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from torch import Tensor

from gan_cli.ranks.ranks import Ranks
from gan_cli.streams import Streams


@dataclass(frozen=True)
class SharedStreams(Streams):
    """Draws (N·n, ...) where one of N ranks asks for (n, ...), and gives it its rows: all ranks together get what one
    would. A permutation is the same on every rank; modules such as Dropout draw numbers of their own on each.
    """

    ranks: Ranks

    def normal(self, purpose: str, index: int, shape: Sequence[int]) -> Tensor:
        return self._own(super().normal(purpose, index, self._of_all(shape)))

    def uniform(self, purpose: str, index: int, shape: Sequence[int]) -> Tensor:
        return self._own(super().uniform(purpose, index, self._of_all(shape)))

    def of(self, name: str) -> Streams:
        return replace(self, seed=self.whole.of(name).seed)

    @property
    def whole(self) -> Streams:
        return Streams(self.seed, self.device)

    def seed_modules(self, purpose: str, index: int) -> None:
        super().seed_modules(purpose if self.ranks.leads else f"{purpose}/rank{self.ranks.rank}", index)

    def _of_all(self, shape: Sequence[int]) -> tuple[int, ...]:
        return (self.ranks.size * shape[0], *shape[1:])

    def _own(self, drawn: Tensor) -> Tensor:
        return drawn[self.ranks.share(len(drawn))].clone()
