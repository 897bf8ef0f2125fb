"""The moves of several games as one game's: stacked networks, and the objective of one under `torch.func.vmap`."""

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor
from torch.func import vmap

from gan_cli.constraints import WeightClip
from gan_cli.data.batches import Batch
from gan_cli.games.gan import GAN, Round
from gan_cli.latents import Latents
from gan_cli.step import Stats
from gan_cli.streams import Draws
from gan_cli.together.draws import Drawn, JoinedBatches, JoinedStreams, NotDrawn, Request
from gan_cli.together.optimizer import JoinedOptimizer
from gan_cli.together.stack import Stack, apart

Numbers = dict[str, dict[str, Tensor]]
"""By part, "loss" or "penalty", and name: what each run has in place of it, (K,)."""


class JoinedGames(GAN):
    """K games that differ in seed, weights and learning rates, played as one.

    A batch of this game holds the K batches one after the other. Its objectives are the sums of theirs: none depends on
    another's parameters, so that the gradient of the sum holds each one's own. Statistics are (K,).

    Args:
        numbers: by part, the names of those in which its loss and penalty differ between the games.

    Raises:
        Incompatible: their optimizers cannot be one.
    """

    def __init__(self, games: Sequence[GAN], numbers: Mapping[str, Sequence[str]]) -> None:
        first = games[0]
        self._games = games
        self._numbers = numbers
        self._asked: dict[tuple[str, bool], list[Request]] = {}
        streams = JoinedStreams(first.streams.seed, first.streams.device, tuple(game.streams for game in games))
        generator = Stack([game.generator for game in games])
        discriminator = Stack([game.discriminator for game in games])
        constrain = first.discriminator_player.constrain
        if isinstance(constrain, WeightClip):
            constrain = replace(constrain, parameters=list(discriminator.parameters()))
        super().__init__(
            generator=generator,
            discriminator=discriminator,
            generator_optimizer=JoinedOptimizer(generator, [game.generator_player.optimizer for game in games]),
            discriminator_optimizer=JoinedOptimizer(
                discriminator, [game.discriminator_player.optimizer for game in games]
            ),
            loss=first.loss,
            penalty=first.penalty,
            latents=Latents(first.latents.dim, first.latents.distribution, streams),
            batches=JoinedBatches([game.batches for game in games]),
            streams=streams,
            autocast=first.autocast,
            constrain=constrain,
            view=first.view,
            packing=first.critic.packing,
            d_steps=first.d_steps,
            reuse=first.reuse,
        )
        self._stack = discriminator

    def follow(self) -> None:
        """Take up what the dials of the first game have set; numbers that differ are read from each."""
        self.loss, self.penalty = self._games[0].loss, self._games[0].penalty

    def discriminator_objective(self, round_: Round) -> tuple[Tensor, Stats]:
        """The sum of all objectives; of the statistics, each run's."""
        losses, stats = self._of_each(GAN.discriminator_objective, round_)
        return losses.sum(), stats

    def generator_objective(self, round_: Round) -> tuple[Tensor, Stats]:
        """The sum of all objectives; of the statistics, each run's."""
        losses, stats = self._of_each(GAN.generator_objective, round_)
        return losses.sum(), stats | {"loss/G": losses.detach()}

    def _of_each(self, objective: Callable[[GAN, Round], tuple[Tensor, Stats]], round_: Round) -> tuple[Tensor, Stats]:
        """The objective of every game, (K,), and its statistics.

        What is random in it is drawn before, as vmap cannot draw for each run by itself; what that is shows when it is
        asked for the first time, and then all begins anew.
        """
        stack, count, index = self._stack, len(self._games), round_.draws.index
        asked = self._asked.setdefault((round_.draws.purpose, self.penalty.due(round_.turn)), [])
        real, fake, numbers = apart(round_.real.samples, count), apart(round_.fake, count), self._numbers_now()
        while True:
            buffers = {name: buffer.clone() for name, buffer in stack.network.named_buffers()}
            drawn = [request.of_each([game.streams for game in self._games], index) for request in asked]
            one = partial(self._of_one, objective, round_, tuple(asked))
            try:
                losses, stats = vmap(one)(stack.tensors | buffers, real, fake, numbers, drawn)
                break
            except NotDrawn as missing:
                asked.append(missing.request)
        for name, buffer in buffers.items():
            stack.tensors[name].copy_(buffer)
        return losses, stats

    def _of_one(
        self,
        objective: Callable[[GAN, Round], tuple[Tensor, Stats]],
        round_: Round,
        asked: Sequence[Request],
        tensors: Mapping[str, Tensor],
        real: Tensor,
        fake: Tensor,
        numbers: Numbers,
        drawn: Sequence[Tensor],
    ) -> tuple[Tensor, Stats]:
        """The objective of one game: that of a game with the tensors, samples, numbers and draws of one."""
        alone = copy(self)
        alone.critic = replace(self.critic, discriminator=partial(self._stack.one, tensors))
        for part, own in numbers.items():
            setattr(alone, part, replace(getattr(self, part), **own))
        streams = Drawn(self.streams.seed, self.streams.device, dict(zip(asked, drawn, strict=True)))
        draws = Draws(streams, round_.draws.purpose, round_.draws.index)
        return objective(alone, replace(round_, real=Batch(real, None), fake=fake, draws=draws))

    def _numbers_now(self) -> Numbers:
        device = self.streams.device
        return {
            part: {
                name: torch.tensor([float(getattr(getattr(game, part), name)) for game in self._games], device=device)
                for name in names
            }
            for part, names in self._numbers.items()
            if names
        }
