"""Which of several processes this one is, and what they do together; alone, all of it is nothing.

Torch is not imported here: a plain gan-train asks who it is before anything else.
"""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self, TypeVar

if TYPE_CHECKING:
    import torch
    from torch import Tensor

T = TypeVar("T")

_REQUIRED = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


@dataclass(frozen=True)
class Ranks:
    """A place among processes that train one run, and the process that is alone.

    Attributes:
        rank: of this process, from 0.
        size: how many there are.
        local_rank: of this process on its host, from 0; its GPU has that number.
        host: the number of the host.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    host: int = 0

    @classmethod
    def of_environment(cls) -> Self:
        """The place that torchrun gave to this process; alone without torchrun."""
        found = {name: os.environ.get(name, "") for name in (*_REQUIRED, "LOCAL_RANK", "GROUP_RANK")}
        if not all(found[name] for name in _REQUIRED):
            return cls()
        return cls(
            int(found["RANK"]),
            int(found["WORLD_SIZE"]),
            int(found["LOCAL_RANK"] or found["RANK"]),
            int(found["GROUP_RANK"] or 0),
        )

    @property
    def leads(self) -> bool:
        """Whether this process is the one that writes and tells."""
        return self.rank == 0

    def share(self, count: int) -> slice:
        """This rank's of `count` rows: rank r of N has rows r·count/N to (r + 1)·count/N."""
        each = count // self.size
        return slice(self.rank * each, (self.rank + 1) * each)

    def deals_with(self, number: int) -> bool:
        """Whether item `number` of a list that is shared out falls to this rank."""
        return number % self.size == self.rank

    def announce(self, directory: Path) -> None:
        """Tell the others where the run is; the first rank's, once it has the directory for itself."""

    def join(self, device: "torch.device") -> None:
        """Wait until every rank has come so far, and open the connections between them.

        Raises:
            Refused: one of them will not come.
        """

    @contextmanager
    def first_on_host(self) -> Iterator[None]:
        """A block that one rank of each host goes through before the others: it downloads and caches for all."""
        yield

    def gathered(self, rows: "Tensor") -> "Tensor":
        """The rows of all ranks, in order; a gradient flows to this rank's alone.

        A loss of all rows is then the same number on every rank, and the sum of the ranks' gradients is its gradient.

        Args:
            rows: (n, ...), as many on every rank.
        """
        return rows

    def sum_over_ranks(self, tensor: "Tensor") -> "Tensor":
        """The sum of a tensor over all ranks, in its place."""
        return tensor

    def sum_gradients(self, parameters: "Sequence[Tensor]") -> None:
        """Replace the gradients of parameters by their sums over all ranks."""

    def collected(self, own: Iterable[T]) -> list[T]:
        """All items of a list that was shared out by `deals_with`, in order, on every rank; tensors must be on the CPU.

        Args:
            own: those of this rank, in order.
        """
        return list(own)

    def agreed(self, signal_number: int, seconds: float) -> tuple[int, float]:
        """The largest signal number that any rank was sent, 0 for none, and the time as the first rank has it."""
        return signal_number, seconds

    def check_equal(self, step: int, tensors: "Mapping[str, Tensor]") -> None:
        """Raise `RunFailed` unless the ranks hold the same bits in tensors that are computed by each of them."""


ALONE = Ranks()
