"""The game of Goodfellow et al. 2014 (arXiv:1406.2661, algorithm 1): a discriminator and a generator, in turns."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from gan_cli.critic import Critic
from gan_cli.data.batches import Batch, Batches
from gan_cli.latents import Latents
from gan_cli.losses import AdversarialLoss
from gan_cli.step import Player, Stats, move, set_trainable
from gan_cli.streams import Streams


@dataclass(frozen=True)
class Round:
    """What the players look at: real samples for the discriminator alone, and fakes."""

    real: Batch
    fake: Tensor


class GAN:
    """`d_steps` moves of the discriminator, then one of the generator.

    Args:
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
        latents: Latents,
        batches: Batches,
        streams: Streams,
        autocast: Callable[[], AbstractContextManager[None]],
        d_steps: int = 1,
        reuse: str = "none",
    ) -> None:
        self.generator = generator
        self.critic = Critic(discriminator, autocast)
        self.loss = loss
        self.latents = latents
        self.batches = batches
        self.streams = streams
        self.autocast = autocast
        self.d_steps = d_steps
        self.reuse = reuse
        self.networks = {"generator": generator, "discriminator": discriminator}
        self.discriminator_player = Player("D", [discriminator], discriminator_optimizer, self.discriminator_objective)
        self.generator_player = Player("G", [generator], generator_optimizer, self.generator_objective)
        self.players = (self.discriminator_player, self.generator_player)

    def discriminator_objective(self, round_: Round) -> tuple[Tensor, Stats]:
        """Tell real from fake."""
        real_logits, fake_logits = self.critic(round_.real.samples), self.critic(round_.fake.detach())
        stats = {"logits/real": real_logits.detach().mean(), "logits/fake": fake_logits.detach().mean()}
        return self.loss.discriminator(real_logits, fake_logits), stats

    def generator_objective(self, round_: Round) -> tuple[Tensor, Stats]:
        """Have the fakes taken for real."""
        return self.loss.generator(self.critic(round_.fake)), {}

    def play(self, step: int) -> Stats:
        """The moves of step `step`, counted from 0."""
        self.streams.seed_modules("modules", step)  # dropout draws from torch's global generator
        for turn in range(step * self.d_steps, (step + 1) * self.d_steps):
            real = self.batches(turn)
            latents = self.latents("discriminator", turn, len(real.samples))
            last = turn == (step + 1) * self.d_steps - 1
            fake = self._generate(latents, differentiable=last and self.reuse == "fakes")
            stats = move(self.discriminator_player, self.players, Round(real, fake))
        match self.reuse:
            case "none":
                latents = self.latents("generator", step, len(real.samples))
                fake = self._generate(latents, differentiable=True)
            case "latents":
                fake = self._generate(latents, differentiable=True)
        return stats | move(self.generator_player, self.players, Round(real, fake))

    def images_seen(self, steps: int) -> int:
        """How many real samples the first `steps` steps show to the discriminator."""
        return self.batches.images_in(steps * self.d_steps)

    def _generate(self, latents: Tensor, differentiable: bool) -> Tensor:
        set_trainable([self.generator], differentiable)
        with torch.set_grad_enabled(differentiable), self.autocast():
            samples: Tensor = self.generator(latents)
        return samples.float()
