"""Every random draw of a run, from (seed, purpose, index): nothing to save, and no use that could disturb another.

A draw for step 1,000 is the same whether the run was started once or ten times, whatever was sampled or logged before
it. Draws are made for a whole batch.
"""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Streams:
    """The random draws of one seed on one device.

    Draws of one (seed, purpose, index) agree between runs of the same torch version and device type, not between CPU
    and GPU. On the CPU torch seeds its generator with 32 bits; two draws of a run of 100,000 steps that coincide are
    therefore likely, and harmless.
    """

    seed: int
    device: torch.device

    def normal(self, purpose: str, index: int, shape: Sequence[int]) -> Tensor:
        """Standard normal numbers, float32."""
        return torch.randn(*shape, generator=self._generator(purpose, index, self.device), device=self.device)

    def uniform(self, purpose: str, index: int, shape: Sequence[int]) -> Tensor:
        """Numbers uniform on [-1, 1), float32."""
        numbers = torch.rand(*shape, generator=self._generator(purpose, index, self.device), device=self.device)
        return numbers.mul_(2).sub_(1)

    def of(self, name: str) -> "Streams":
        """Random draws of a seed of their own, derived from this one: they meet none of these."""
        return Streams(self._seed(name, 0), self.device)

    @property
    def whole(self) -> "Streams":
        """The draws of a whole batch, where these are one rank's share of them."""
        return self

    def draws(self, purpose: str, index: int) -> "Draws":
        """Random numbers for one use, such as one move of a player, each told apart by a name of its own."""
        return Draws(self, purpose, index)

    def permutation(self, purpose: str, index: int, size: int) -> Tensor:
        """The numbers 0 to size - 1 in random order, int64 on the device; the same order on every device."""
        cpu = torch.device("cpu")
        return torch.randperm(size, generator=self._generator(purpose, index, cpu)).to(self.device)

    def seed_modules(self, purpose: str, index: int) -> None:
        """Seed torch's global generators, from which modules such as Dropout draw and parameters are initialized."""
        seed = self._seed(purpose, index)
        torch.default_generator.manual_seed(seed)  # torch.manual_seed takes a tenth of a small network's step
        if self.device.type == "cuda":
            torch.cuda.manual_seed(seed)

    @contextmanager
    def modules(self, purpose: str, index: int = 0) -> Iterator[None]:
        """`seed_modules` for a block, with the global CPU generator put back afterwards."""
        with torch.random.fork_rng(devices=[]):
            self.seed_modules(purpose, index)
            yield

    def _seed(self, purpose: str, index: int) -> int:
        digest = hashlib.blake2b(f"{self.seed}/{purpose}/{index}".encode(), digest_size=8).digest()
        return int.from_bytes(digest, "big") >> 1

    def _generator(self, purpose: str, index: int, device: torch.device) -> torch.Generator:
        return torch.Generator(device).manual_seed(self._seed(purpose, index))


@dataclass(frozen=True)
class Draws:
    """The random numbers of one (seed, purpose, index); asking for one twice gives it twice."""

    streams: Streams
    purpose: str
    index: int

    def of(self, name: str) -> "Draws":
        """Random numbers of a part of this use, apart from those of every other part."""
        return Draws(self.streams, f"{self.purpose}/{name}", self.index)

    @property
    def whole(self) -> "Draws":
        """The numbers of a whole batch, where these are one rank's share of them."""
        return Draws(self.streams.whole, self.purpose, self.index)

    def uniform(self, name: str, shape: Sequence[int]) -> Tensor:
        """Numbers uniform on [0, 1), float32."""
        return self.streams.uniform(f"{self.purpose}/{name}", self.index, shape).add_(1).div_(2)

    def normal(self, name: str, shape: Sequence[int]) -> Tensor:
        """Standard normal numbers, float32."""
        return self.streams.normal(f"{self.purpose}/{name}", self.index, shape)
