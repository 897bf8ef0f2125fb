"""Random numbers of several runs: each run's own, drawn before the step that all take together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from gan_cli.data.batches import Batch, Batches
from gan_cli.streams import Streams


@dataclass(frozen=True)
class JoinedStreams(Streams):
    """Draws (K·N, ...) of which K streams draw N each; seed and device are the first's."""

    parts: tuple[Streams, ...]

    def normal(self, purpose: str, index: int, shape: Sequence[int]) -> Tensor:
        each = (shape[0] // len(self.parts), *shape[1:])
        return torch.cat([part.normal(purpose, index, each) for part in self.parts])

    def uniform(self, purpose: str, index: int, shape: Sequence[int]) -> Tensor:
        each = (shape[0] // len(self.parts), *shape[1:])
        return torch.cat([part.uniform(purpose, index, each) for part in self.parts])

    def seed_modules(self, purpose: str, index: int) -> None:
        """Nothing: what draws from torch's global generators cannot be vectorized, and is refused."""


class JoinedBatches(Batches):
    """Batches of K runs on the same data, one run's samples after the other's."""

    def __init__(self, parts: Sequence[Batches]) -> None:
        vars(self).update(vars(parts[0]))
        self._parts = parts

    def __call__(self, number: int) -> Batch:
        return Batch(torch.cat([part(number).samples for part in self._parts]), None)


@dataclass(frozen=True)
class Request:
    """What one run asks of its streams in a move: normal or uniform numbers, for a purpose, of a shape."""

    normal: bool
    purpose: str
    shape: tuple[int, ...]

    def of_each(self, parts: Sequence[Streams], index: int) -> Tensor:
        """The numbers of each run, (K, *shape)."""
        draws = [part.normal if self.normal else part.uniform for part in parts]
        return torch.stack([draw(self.purpose, index, self.shape) for draw in draws])


class NotDrawn(Exception):
    """A move asks for numbers that have not been drawn before it."""

    def __init__(self, request: Request) -> None:
        super().__init__(request)
        self.request = request


@dataclass(frozen=True)
class Drawn(Streams):
    """Gives what was drawn before, whatever the index, as a stream gives it: twice the same numbers.

    Raises:
        NotDrawn: it was not.
    """

    numbers: Mapping[Request, Tensor]

    def normal(self, purpose: str, index: int, shape: Sequence[int]) -> Tensor:
        return self._given(Request(True, purpose, tuple(shape)))

    def uniform(self, purpose: str, index: int, shape: Sequence[int]) -> Tensor:
        return self._given(Request(False, purpose, tuple(shape)))

    def _given(self, request: Request) -> Tensor:
        if request not in self.numbers:
            raise NotDrawn(request)
        return self.numbers[request].clone()  # who asked may change it in place
