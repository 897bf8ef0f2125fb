"""Processes that torchrun started: a store in which they leave word, and a process group in which they compute."""

import functools
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Self, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor
from torch._C._distributed_c10d import PrefixStore
from torch.distributed.rendezvous import rendezvous

from gan_cli.errors import RankLost, Refused, RunFailed
from gan_cli.ranks.ranks import Ranks

T = TypeVar("T")

TIMEOUT = timedelta(hours=2)
"""How long a rank waits for the others. One that died is known at once; this is for one that hangs, and must be longer
than what the first rank may do alone, such as features of the real images on a slow processor."""

_CONNECTING = timedelta(minutes=5)
_GRACE = 3.0  # seconds in which a rank that fails leaves its reason
_PARTING = 5.0  # seconds; torchrun ends the others as soon as one rank has failed
_POLL = 0.02  # seconds
_AS_INTEGERS = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


@functools.cache
def connected() -> "Many":
    """This process among those of the environment, with word between them; before a process group can be made."""
    place = Ranks.of_environment()
    store, _, _ = next(rendezvous("env://", timeout=_CONNECTING))
    # torchrun may start a failed job over with the same store: what the first attempt left must not be read.
    attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    return Many(place.rank, place.size, place.local_rank, place.host, PrefixStore(f"gan_cli/{attempt}", store))


@dataclass(frozen=True)
class Many(Ranks):
    """One of several ranks.

    Attributes:
        store: where each leaves word of itself: "directory", and by rank "built", "reason", "noticed" and "ended".
    """

    store: Any = field(kw_only=False, default=None, repr=False, compare=False)

    def __deepcopy__(self, memo: object) -> Self:
        return self  # a copy of a network belongs to the same ranks

    # Before there are connections: word in the store.

    def announce(self, directory: Path) -> None:
        self.store.set("directory", str(directory.absolute()))

    def directory(self) -> str | int:
        """Where the first rank has the run; or its exit code, if it ended before there was one."""
        while not self._has("directory"):
            if self._has("ended/0"):
                return int(self._word("ended/0"))
            time.sleep(_POLL)
        return self._word("directory")

    def leave_reason(self, reason: str) -> None:
        """Leave word of why this rank fails."""
        self.store.set(f"reason/{self.rank}", reason)

    def leave(self, code: int) -> None:
        """End with this exit code. Of ranks that fail none is in such a hurry that another cannot end by itself."""
        if dist.is_initialized() and not (code and dist.is_nccl_available() and torch.cuda.is_initialized()):
            dist.destroy_process_group()  # who waits for this rank learns of its end; NCCL's may wait itself
        with self._without_store():
            self.store.set(f"ended/{self.rank}", str(code))
            if code:
                self._seen(lambda rank: self._has(f"ended/{rank}") or self._has(f"silent/{rank}"), _PARTING)

    def join(self, device: torch.device) -> None:
        self.store.set(f"built/{self.rank}", "")
        self._await([f"built/{rank}" for rank in range(self.size)])
        backend = "gloo"
        if device.type == "cuda":
            torch.cuda.set_device(device)
            backend = "cpu:gloo,cuda:nccl"
        store = PrefixStore("group", self.store)
        try:
            dist.init_process_group(backend, store=store, rank=self.rank, world_size=self.size, timeout=TIMEOUT)
        except RuntimeError as error:
            raise Refused(
                f"rank {self.rank} cannot reach the others: {_first_line(error)}; between hosts, GLOO_SOCKET_IFNAME "
                "and NCCL_SOCKET_IFNAME name the network interface"
            ) from error

    @contextmanager
    def first_on_host(self) -> Iterator[None]:
        key = f"first/{self.host}"
        if self.local_rank:
            self._await([key])
        yield
        if not self.local_rank:
            self.store.set(key, "")

    # Computing together.

    def gathered(self, rows: Tensor) -> Tensor:
        own = rows.detach().contiguous()
        parts = [torch.empty_like(own) for _ in range(self.size)]
        with self._connected():
            dist.all_gather(parts, own)
        parts[self.rank] = rows
        return torch.cat(parts)

    def sum_over_ranks(self, tensor: Tensor) -> Tensor:
        with self._connected():
            dist.all_reduce(tensor)
        return tensor

    @torch.no_grad()
    def sum_gradients(self, parameters: Sequence[Tensor]) -> None:
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        for dtype in dict.fromkeys(gradient.dtype for gradient in gradients):
            alike = [gradient for gradient in gradients if gradient.dtype == dtype]
            flat = self.sum_over_ranks(torch.cat([gradient.reshape(-1) for gradient in alike]))
            sums = flat.split([gradient.numel() for gradient in alike])
            torch._foreach_copy_(alike, [part.view_as(gradient) for part, gradient in zip(sums, alike, strict=True)])

    def collected(self, own: Iterable[T]) -> list[T]:
        made = list(own)
        found: list[list[T]] = [[] for _ in range(self.size)]
        with self._connected():
            dist.all_gather_object(found, made)
        count = sum(map(len, found))
        return [found[number % self.size][number // self.size] for number in range(count)]

    def agreed(self, signal_number: int, seconds: float) -> tuple[int, float]:
        word = torch.tensor([signal_number, seconds if self.leads else 0.0], dtype=torch.float64)
        with self._connected():  # on the CPU, where it waits for no device
            dist.all_reduce(word, dist.ReduceOp.MAX)
        return int(word[0]), float(word[1])

    @torch.no_grad()
    def check_equal(self, step: int, tensors: Mapping[str, Tensor]) -> None:
        names = [name for name in sorted(tensors) if not name.startswith("meter/")]
        own = torch.stack([_bits(tensors[name]).cpu() for name in names])
        parts = [torch.empty_like(own) for _ in range(self.size)]
        with self._connected():
            dist.all_gather(parts, own)
        differing = (torch.stack(parts) != parts[0]).any(0)
        if differing.any():
            first = names[int(differing.to(torch.int8).argmax())]
            raise RunFailed(
                f"the ranks have drifted apart by step {step}: {int(differing.sum())} of {len(names)} tensors differ "
                f"between them, the first is {first}. A layer of its own that draws or keeps something by itself on "
                "each rank does that; nothing was saved"
            )

    # When one is lost.

    @contextmanager
    def _connected(self) -> Iterator[None]:
        try:
            yield
        except RuntimeError as error:
            raise self._lost(error) from error

    def _lost(self, error: RuntimeError) -> RankLost:
        """What is known of the others, a moment after one of them could not be reached."""
        reasons: dict[int, str] = {}
        noticed, silent = [self.rank], [rank for rank in range(self.size) if rank != self.rank]
        with self._without_store():
            self.store.set(f"noticed/{self.rank}", "")
            self._seen(lambda rank: self._has(f"noticed/{rank}") or self._has(f"reason/{rank}"), _GRACE)
            reasons = {rank: self._word(f"reason/{rank}") for rank in silent if self._has(f"reason/{rank}")}
            noticed += [rank for rank in silent if self._has(f"noticed/{rank}")]
            silent = [rank for rank in silent if rank not in reasons and rank not in noticed]
            for rank in silent:
                self.store.set(f"silent/{rank}", "")
        told = [f"rank {rank}: {reason}" for rank, reason in reasons.items()]
        if "timed out" in str(error).lower():
            told += [f"rank {rank} has not answered for {TIMEOUT}" for rank in silent]
        else:
            told += [f"rank {rank} ended without a word (killed, or its host went down)" for rank in silent]
        return RankLost(
            "; ".join(told) or f"the ranks lost each other: {_first_line(error)}", self.rank == min(noticed)
        )

    def _await(self, keys: Sequence[str]) -> None:
        """Wait for words that other ranks leave; raises what one of them ended with instead."""
        end = time.monotonic() + TIMEOUT.total_seconds()
        while not self.store.check(list(keys)):
            if time.monotonic() > end:
                raise RunFailed(f"not all of {self.size} ranks have come within {TIMEOUT}: {', '.join(keys)}")
            for rank in range(self.size):
                if rank != self.rank and self._has(f"ended/{rank}") and not self.store.check(list(keys)):
                    reason = self._word(f"reason/{rank}") if self._has(f"reason/{rank}") else "it ended"
                    refused = self._word(f"ended/{rank}") == str(Refused.exit_code)
                    raise (Refused if refused else RunFailed)(f"rank {rank}: {reason}")
            time.sleep(_POLL)

    def _seen(self, known: Callable[[int], bool], seconds: float) -> None:
        """Wait until something is known of every rank, but no longer than so."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and not all(known(rank) for rank in range(self.size)):
            time.sleep(_POLL)

    def _has(self, key: str) -> bool:
        return bool(self.store.check([key]))

    def _word(self, key: str) -> str:
        return str(self.store.get(key).decode())

    @contextmanager
    def _without_store(self) -> Iterator[None]:
        """A block that goes on where the process that keeps the store is gone too."""
        try:
            yield
        except RuntimeError:
            return


def _bits(tensor: Tensor) -> Tensor:
    """A checksum of a tensor's bits: equal bits, equal sums."""
    plain = torch.view_as_real(tensor) if tensor.is_complex() else tensor
    return plain.contiguous().reshape(-1).view(_AS_INTEGERS[plain.element_size()]).sum(dtype=torch.int64)


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
