"""A game whose steps are recorded once and then replayed."""

import logging
import time
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from gan_cli.replay.cuda import CUDAGraph
from gan_cli.replay.operations import OperationList
from gan_cli.replay.tape import Given, NotReplayable, Request, Tape, kept, refill
from gan_cli.step import Stats

log = logging.getLogger("gan_cli.train")

_MOST_KINDS = 8
_CUDA_TOLERANCE = 1e-2  # of the largest change of a step: kernels that add in any order differ by less


class Steps(Protocol):
    """What is asked of a game, so that its steps can be replayed."""

    def play(self, step: int) -> Stats:
        """Every player's moves."""

    def moves(self, step: int) -> Stats:
        """What `play` does after `seed`."""

    def kind(self, step: int) -> Hashable:
        """All that decides which operations step `step` has, other than the networks' own code."""

    def seed(self, step: int) -> None:
        """Seed what draws from torch's global generators in a step."""

    def state(self) -> list[Tensor]:
        """All that a step changes."""


@dataclass
class _Heard:
    """What a step of one kind asked for."""

    step: int
    requests: Sequence[Request]


@dataclass
class _Recorded:
    """A recording, what it reads, and what it leaves."""

    step: int
    requests: Sequence[Request]
    slopes: Sequence[int]
    inputs: Sequence[Given]
    recording: OperationList | CUDAGraph
    stats: Stats
    proven: bool = False

    def told(self) -> Stats:
        """The statistics, as they are now: the next replay overwrites them."""
        return {name: value.clone() for name, value in self.stats.items()}


class Replayed:
    """Plays a game's steps: the first of each kind as they are, then a recording of them.

    The third step of a kind is recorded (two before it show how its random draws follow from its number), and the
    first replay is compared with the step as it is, bit by bit on the CPU. What cannot be recorded goes on as it is.

    Args:
        tape: what the game's streams and batches pass.
        device: where it runs: a list of operations on the CPU, a graph on CUDA.
        most_bytes: of a recording's results, on the CPU.
    """

    def __init__(self, game: Steps, tape: Tape, device: torch.device, most_bytes: int) -> None:
        self._game = game
        self._tape = tape
        self._device = device
        self._most_bytes = most_bytes
        self._heard: dict[Hashable, list[_Heard]] = {}
        self._recorded: dict[Hashable, _Recorded] = {}
        self.refused: str | None = None

    def play(self, step: int) -> Stats:
        """Every player's moves of a step."""
        if self.refused is not None:
            return self._game.play(step)
        kind = self._game.kind(step)
        recorded = self._recorded.get(kind)
        if recorded is None:
            return self._listen(kind, step)
        try:
            if recorded.proven:
                return self._replay(recorded, step)
            return self._prove(recorded, step)
        except NotReplayable as why:
            self._give_up(str(why))
            return self._game.play(step)

    def _listen(self, kind: Hashable, step: int) -> Stats:
        heard = self._heard.setdefault(kind, [])
        if len(heard) == 2 and heard[1].step < step:
            return self._record(kind, heard, step)
        if len(self._heard) > _MOST_KINDS:
            self._give_up("something changes with every step: a schedule, other than of a learning rate")
        with self._tape.noting() as requests:
            stats = self._game.play(step)
        heard.append(_Heard(step, requests))
        return stats

    def _record(self, kind: Hashable, heard: Sequence[_Heard], step: int) -> Stats:
        started, before = time.perf_counter(), self._saved()
        try:
            slopes = _slopes(*heard)
            requests = _at(step, heard[1].step, heard[1].requests, slopes)
            inputs = [kept(request.answered()) for request in requests]
            stats: Stats = {}

            def work() -> None:
                stats.update({name: value.detach() for name, value in self._game.moves(step).items()})

            self._game.seed(step)
            with self._tape.answering(requests, inputs):
                if self._device.type == "cuda":
                    recording: OperationList | CUDAGraph = CUDAGraph.record(work)
                else:
                    recording = OperationList.record(work, self._most_bytes)
        except NotReplayable as why:
            self._restore(before)
            self._give_up(str(why))
            return self._game.play(step)
        self._recorded[kind] = _Recorded(step, requests, slopes, inputs, recording, stats)
        log.info("step recorded in %.2f s: %s", time.perf_counter() - started, recording)
        return self._recorded[kind].told()

    def _replay(self, recorded: _Recorded, step: int) -> Stats:
        requests = _at(step, recorded.step, recorded.requests, recorded.slopes)
        for held, request in zip(recorded.inputs, requests, strict=True):
            refill(held, request.answered())
        self._game.seed(step)
        recorded.recording.replay()
        return recorded.told()

    def _prove(self, recorded: _Recorded, step: int) -> Stats:
        before, told_before = self._saved(), recorded.told()
        told = self._replay(recorded, step)
        replayed = self._saved()
        self._restore(before)
        stats = self._game.play(step)
        state = zip(before, replayed, self._game.state(), strict=True)
        logged = ((told_before[name], told[name], stats[name]) for name in told)
        exactly = self._device.type == "cpu"
        if all(_agree(was, ours, right, exactly) for was, ours, right in (*state, *logged)):
            recorded.proven = True
        else:
            self._give_up("its replay differs from the step itself")
        return stats

    def _saved(self) -> list[Tensor]:
        return [tensor.detach().clone() for tensor in self._game.state()]

    @torch.no_grad()
    def _restore(self, saved: Sequence[Tensor]) -> None:
        for tensor, value in zip(self._game.state(), saved, strict=True):
            tensor.copy_(value)

    def _give_up(self, why: str) -> None:
        self.refused = why
        self._recorded.clear()
        self._heard.clear()
        log.info("steps are not replayed: %s", why)


def _slopes(first: _Heard, second: _Heard) -> list[int]:
    """By how much each request's index grows from a step to the next."""
    if [request.what for request in first.requests] != [request.what for request in second.requests]:
        raise NotReplayable("it does not ask for the same random draws each time")
    steps = second.step - first.step
    grown = [two.index - one.index for one, two in zip(first.requests, second.requests, strict=True)]
    if any(growth % steps for growth in grown):
        raise NotReplayable("its random draws do not follow from the step's number")
    return [growth // steps for growth in grown]


def _at(step: int, origin: int, requests: Sequence[Request], slopes: Sequence[int]) -> list[Request]:
    """The requests of step `origin` as another step makes them."""
    return [request.at(step, origin, slope) for request, slope in zip(requests, slopes, strict=True)]


def _agree(before: Tensor, replayed: Tensor, right: Tensor, exactly: bool) -> bool:
    if exactly or not right.is_floating_point():
        return torch.allclose(replayed, right, 0, 0, equal_nan=True)
    changed = (right - before).abs().max()
    return bool(((replayed - right).abs().max() <= _CUDA_TOLERANCE * changed) | ~changed.isfinite())
