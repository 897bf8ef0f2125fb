"""The game of Goodfellow et al. 2014 (arXiv:1406.2661, algorithm 1): a discriminator and a generator, in turns."""

from collections.abc import Callable, Hashable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from gan_cli.critic import Critic, Logits
from gan_cli.data.batches import Batch, Batches
from gan_cli.games.adversarial import margins, taken_for_real, told_apart
from gan_cli.games.game import changing
from gan_cli.games.kinds import Itself, rates
from gan_cli.latents import Latents
from gan_cli.losses import AdversarialLoss
from gan_cli.penalties import Penalty
from gan_cli.step import Player, Stats, move, set_trainable
from gan_cli.streams import Draws, Streams
from gan_cli.unroll import Function, unrolled
from gan_cli.view import View


@dataclass(frozen=True)
class Round:
    """What a player looks at.

    Attributes:
        real: for the discriminator, and for the generator if the loss is relativistic or the discriminator unrolled.
        fake: (N, ...), of the same labels as the real samples where labels count.
        turn: the number of the player's move, counted from 0.
        draws: the move's random numbers.
    """

    real: Batch
    fake: Tensor
    turn: int
    draws: Draws


class GAN:
    """`d_steps` moves of the discriminator, then one of the generator.

    Args:
        penalty: on the critic's gradient, added to the discriminator's objective.
        constrain: called after each update of the discriminator.
        view: what stands before the discriminator.
        packing: how many samples the discriminator judges together.
        num_classes: of the labels that both networks take; 0 where they take none. Fakes are drawn for the labels of
            the real batch, so that classes are as frequent among them and the i-th real sample and fake share theirs.
        reuse: what the generator's move takes over from the discriminator's last one. "none": fresh latents (CS231n).
            "latents": the same latents, through the generator once more (D2L). "fakes": the very same fakes, which
            saves a forward pass (UCLA).
        unroll: the generator plays against the discriminator as it would be after so many more updates on this round.
        clip_norm: bounds the length of each player's gradient.
        compiled: of a network, a faster form of its forward and backward pass; for all but gradients of gradients.
        gather: of processes that share a batch, puts the rows of all in the place of one's own; losses and statistics
            are then those of the whole batch on each of them.
        reduce: as for `Player`.
    """

    def __init__(
        self,
        *,
        generator: nn.Module,
        discriminator: nn.Module,
        generator_optimizer: Optimizer,
        discriminator_optimizer: Optimizer,
        loss: AdversarialLoss,
        penalty: Penalty,
        latents: Latents,
        batches: Batches,
        streams: Streams,
        autocast: Callable[[], AbstractContextManager[None]],
        constrain: Callable[[], None] = lambda: None,
        view: View | None = None,
        packing: int = 1,
        num_classes: int = 0,
        d_steps: int = 1,
        reuse: str = "none",
        unroll: int = 0,
        clip_norm: float | None = None,
        compiled: Callable[[nn.Module], Callable[..., Tensor]] = lambda network: network,
        gather: Callable[[Tensor], Tensor] = lambda rows: rows,
        reduce: Callable[[Sequence[Tensor]], None] = lambda parameters: None,
    ) -> None:
        self.generator = generator
        self.discriminator = discriminator
        self.view = view or View()
        self.critic = Critic(compiled(discriminator), autocast, self.view, packing)
        self._generator = compiled(generator)
        self.loss = loss
        self.penalty = penalty
        self.latents = latents
        self.batches = batches
        self.streams = streams
        self.autocast = autocast
        self.conditional = num_classes > 0
        self.d_steps = d_steps
        self.reuse = reuse
        self.unroll = unroll
        self.gather = gather
        self.networks = {"generator": generator, "discriminator": discriminator}
        if self.view.augment.adaptive is not None:
            self.networks["augment"] = self.view.augment.adaptive
        self.discriminator_player = Player(
            "D", [discriminator], discriminator_optimizer, self.discriminator_objective, constrain, clip_norm, reduce
        )
        self.generator_player = Player(
            "G", [generator], generator_optimizer, self.generator_objective, clip_norm=clip_norm, reduce=reduce
        )
        self.players = (self.discriminator_player, self.generator_player)

    def discriminator_objective(self, round_: Round) -> tuple[Tensor, Stats]:
        """Tell real from fake, by a critic of bounded slope where there is a penalty."""
        loss, stats, real_logits = self._told_apart(self.critic, replace(round_, fake=round_.fake.detach()))
        augment = self.view.augment
        if augment.adaptive is not None:
            augment.observe(margins(self.loss, real_logits, self.critic.packing))
        return loss, stats | augment.stats()

    def generator_objective(self, round_: Round) -> tuple[Tensor, Stats]:
        """Have the fakes taken for real."""
        critic = self._foreseen(round_) if self.unroll else self.critic
        labels, real = self._labels(round_.real), round_.real.samples
        return taken_for_real(critic, self.loss, real, round_.fake, labels, round_.draws, self.gather), {}

    def play(self, step: int) -> Stats:
        """Every player's moves of step `step`, counted from 0."""
        self.seed(step)
        return self.moves(step)

    def moves(self, step: int) -> Stats:
        """What `play` does once torch's global generators are seeded."""
        stats: Stats = {}
        for turn in range(step * self.d_steps, (step + 1) * self.d_steps):
            real = self.batches(turn)
            latents = self.latents("discriminator", turn, len(real.samples))
            last = turn == (step + 1) * self.d_steps - 1
            fake = self._generate(latents, real, differentiable=last and self.reuse == "fakes")
            draws = self.streams.draws("discriminator", turn)
            stats |= move(self.discriminator_player, self.players, Round(real, fake, turn, draws))
        match self.reuse:
            case "none":
                latents = self.latents("generator", step, len(real.samples))
                fake = self._generate(latents, real, differentiable=True)
            case "latents":
                fake = self._generate(latents, real, differentiable=True)
        draws = self.streams.draws("generator", step)
        return stats | move(self.generator_player, self.players, Round(real, fake, step, draws))

    def seed(self, step: int) -> None:
        """Seed torch's global generators, from which dropout draws in step `step`."""
        self.streams.seed_modules("modules", step)

    def kind(self, step: int) -> Hashable:
        """Equal for steps that differ in their random draws, samples and weights alone."""
        turns = range(step * self.d_steps, (step + 1) * self.d_steps + self.unroll)
        of_turns = tuple((self.penalty.due(turn), self.batches.size(turn)) for turn in turns)
        parts = map(Itself, (self.loss, self.penalty, self.view.augment))
        return (of_turns, self.view.noise, *parts, *(rates(player.optimizer) for player in self.players))

    def state(self) -> list[Tensor]:
        """All tensors that a step changes."""
        return changing(self.networks.values(), self.players)

    def images_seen(self, steps: int) -> int:
        """How many real samples the first `steps` steps show to the discriminator."""
        return self.batches.images_in(steps * self.d_steps)

    def _told_apart(self, critic: Critic, round_: Round) -> tuple[Tensor, Stats, Logits]:
        """What the discriminator minimizes, statistics, and its logits of the real samples."""
        labels, real = self._labels(round_.real), round_.real.samples
        turn, draws = round_.turn, round_.draws
        return told_apart(critic, self.loss, self.penalty, real, round_.fake, labels, turn, draws, self.gather)

    def _foreseen(self, round_: Round) -> Critic:
        """The critic after `unroll` more updates against these fakes, which it answers to, differentiably.

        Penalties are part of those updates; where one depends on the fakes, that dependence is not followed.
        """

        def objective(discriminator: Function, update: int) -> Tensor:
            turn = (round_.turn + 1) * self.d_steps + update
            ahead = replace(round_, turn=turn, draws=round_.draws.of(f"unrolled{update}"))
            return self._told_apart(replace(self.critic, discriminator=discriminator), ahead)[0]

        optimizer = self.discriminator_player.optimizer
        return replace(self.critic, discriminator=unrolled(self.discriminator, optimizer, objective, self.unroll))

    def _labels(self, batch: Batch) -> Tensor | None:
        return batch.labels if self.conditional else None

    def _generate(self, latents: Tensor, like: Batch, differentiable: bool) -> Tensor:
        set_trainable([self.generator], differentiable)
        labels = self._labels(like)
        with torch.set_grad_enabled(differentiable), self.autocast():
            samples = self._generator(latents) if labels is None else self._generator(latents, labels)
        return samples.float()
