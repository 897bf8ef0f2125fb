"""What a step asks for from outside: random numbers and real samples, all of them functions of a running number."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TypeVar

import torch
from torch import Tensor

from gan_cli.data.batches import Batch, Batches
from gan_cli.streams import Streams

T = TypeVar("T", Tensor, Batch)

Given = Tensor | Batch
Ask = Callable[[int], Given]


class NotReplayable(Exception):
    """A step cannot be recorded, or not be replayed; says why."""


@dataclass(frozen=True)
class Request:
    """One thing that a step asked for.

    Attributes:
        what: tells it from others: equal where only the index differs.
        index: of a batch or a random draw.
        ask: makes it anew for any index.
    """

    what: tuple[object, ...]
    index: int
    ask: Ask

    def at(self, step: int, origin: int, slope: int) -> "Request":
        """The request of another step: its index is a linear function of the step's number."""
        return replace(self, index=self.index + slope * (step - origin))

    def answered(self) -> Given:
        """What was asked for."""
        return self.ask(self.index)


@dataclass
class Tape:
    """Stands between a game and its streams and batches: lets requests through, notes them, or answers them itself."""

    noted: list[Request] | None = None
    _answers: Iterator[tuple[Request, Given]] | None = field(default=None, repr=False)

    def get(self, what: tuple[object, ...], index: int, ask: Callable[[int], T]) -> T:
        """What was asked for.

        Raises:
            NotReplayable: another request was due.
        """
        if self._answers is not None:
            due, answer = next(self._answers, (None, None))
            if due is None or due.what != what or due.index != index:
                raise NotReplayable("its random draws do not follow from the step's number")
            return answer  # type: ignore[return-value]
        if self.noted is not None:
            self.noted.append(Request(what, index, ask))
        return ask(index)

    @contextmanager
    def noting(self) -> Iterator[list[Request]]:
        """Note what is asked for in the block."""
        self.noted = []
        try:
            yield self.noted
        finally:
            self.noted = None

    @contextmanager
    def answering(self, requests: Sequence[Request], answers: Sequence[Given]) -> Iterator[None]:
        """Answer the block's requests, which must be these in this order."""
        self._answers = iter(zip(requests, answers, strict=True))
        try:
            yield
        finally:
            self._answers = None


@dataclass(frozen=True)
class TapedStreams(Streams):
    """Random draws that pass a tape."""

    tape: Tape

    def normal(self, purpose: str, index: int, shape: Sequence[int]) -> Tensor:
        draw = super().normal
        return self.tape.get(("normal", purpose, *shape), index, lambda index: draw(purpose, index, shape))

    def uniform(self, purpose: str, index: int, shape: Sequence[int]) -> Tensor:
        draw = super().uniform
        return self.tape.get(("uniform", purpose, *shape), index, lambda index: draw(purpose, index, shape))


class TapedBatches(Batches):
    """Batches that pass a tape."""

    def __init__(self, batches: Batches, tape: Tape) -> None:
        vars(self).update(vars(batches))
        self._batches = batches
        self._tape = tape

    def __call__(self, number: int) -> Batch:
        return self._tape.get(("batch", self.size(number)), number, self._batches)


def refill(kept: Given, fresh: Given) -> None:
    """Overwrite what a recording reads with what its next replay is to read.

    Raises:
        NotReplayable: they are of different shapes.
    """
    for old, new in zip(tensors(kept), tensors(fresh), strict=True):
        if old.shape != new.shape:
            raise NotReplayable(f"a tensor of shape {tuple(new.shape)} came where {tuple(old.shape)} was recorded")
        old.copy_(new)


def tensors(given: Given) -> list[Tensor]:
    """The tensors of an answer."""
    if isinstance(given, Tensor):
        return [given]
    return [given.samples] if given.labels is None else [given.samples, given.labels]


def kept(given: Given) -> Given:
    """A copy that no one else changes, with the same layout in memory."""
    if isinstance(given, Tensor):
        return given.clone(memory_format=torch.preserve_format)
    labels = None if given.labels is None else given.labels.clone()
    return Batch(given.samples.clone(memory_format=torch.preserve_format), labels)
