"""The game of Goodfellow et al. 2014 (arXiv:1406.2661, algorithm 1): a discriminator and a generator, in turns."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from gan_cli.critic import Critic, mean_logit, over_scales
from gan_cli.data.batches import Batch, Batches
from gan_cli.latents import Latents
from gan_cli.losses import AdversarialLoss
from gan_cli.penalties import Penalty
from gan_cli.step import Player, Stats, move, set_trainable
from gan_cli.streams import Draws, Streams


@dataclass(frozen=True)
class Round:
    """What a player looks at.

    Attributes:
        real: for the discriminator, and for the generator if the loss is relativistic.
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
        reuse: what the generator's move takes over from the discriminator's last one. "none": fresh latents (CS231n).
            "latents": the same latents, through the generator once more (D2L). "fakes": the very same fakes, which
            saves a forward pass (UCLA).
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
        d_steps: int = 1,
        reuse: str = "none",
    ) -> None:
        self.generator = generator
        self.critic = Critic(discriminator, autocast)
        self.loss = loss
        self.penalty = penalty
        self.latents = latents
        self.batches = batches
        self.streams = streams
        self.autocast = autocast
        self.d_steps = d_steps
        self.reuse = reuse
        self.networks = {"generator": generator, "discriminator": discriminator}
        self.discriminator_player = Player(
            "D", [discriminator], discriminator_optimizer, self.discriminator_objective, constrain
        )
        self.generator_player = Player("G", [generator], generator_optimizer, self.generator_objective)
        self.players = (self.discriminator_player, self.generator_player)

    def discriminator_objective(self, round_: Round) -> tuple[Tensor, Stats]:
        """Tell real from fake, by a critic of bounded slope where there is a penalty."""
        real, fake = round_.real.samples, round_.fake.detach()
        real_logits, fake_logits = self.critic(real), self.critic(fake)
        loss = over_scales(self.loss.drawn(round_.draws, len(real)).discriminator, real_logits, fake_logits)
        stats = {
            "loss/D": loss.detach(),
            "logits/real": mean_logit(real_logits),
            "logits/fake": mean_logit(fake_logits),
        }
        if not self.penalty.due(round_.turn):
            return loss, stats
        penalty = self.penalty(self.critic.exact, real, fake, round_.draws).mean()
        return loss + self.penalty.every * penalty, stats | {"penalty/D": penalty.detach()}

    def generator_objective(self, round_: Round) -> tuple[Tensor, Stats]:
        """Have the fakes taken for real."""
        logits = [self.critic(round_.fake)]
        if self.loss.relativistic:
            logits.append(self.critic(round_.real.samples))
        return over_scales(self.loss.drawn(round_.draws, len(round_.fake)).generator, *logits), {}

    def play(self, step: int) -> Stats:
        """The moves of step `step`, counted from 0."""
        self.streams.seed_modules("modules", step)  # dropout draws from torch's global generator
        stats: Stats = {}
        for turn in range(step * self.d_steps, (step + 1) * self.d_steps):
            real = self.batches(turn)
            latents = self.latents("discriminator", turn, len(real.samples))
            last = turn == (step + 1) * self.d_steps - 1
            fake = self._generate(latents, differentiable=last and self.reuse == "fakes")
            draws = self.streams.draws("discriminator", turn)
            stats |= move(self.discriminator_player, self.players, Round(real, fake, turn, draws))
        match self.reuse:
            case "none":
                latents = self.latents("generator", step, len(real.samples))
                fake = self._generate(latents, differentiable=True)
            case "latents":
                fake = self._generate(latents, differentiable=True)
        draws = self.streams.draws("generator", step)
        return stats | move(self.generator_player, self.players, Round(real, fake, step, draws))

    def images_seen(self, steps: int) -> int:
        """How many real samples the first `steps` steps show to the discriminator."""
        return self.batches.images_in(steps * self.d_steps)

    def _generate(self, latents: Tensor, differentiable: bool) -> Tensor:
        set_trainable([self.generator], differentiable)
        with torch.set_grad_enabled(differentiable), self.autocast():
            samples: Tensor = self.generator(latents)
        return samples.float()
