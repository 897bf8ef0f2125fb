"""The game of Zhu et al. 2017 (arXiv:1703.10593): two domains of pictures without pairs, a generator each way, a critic
of each domain, and the demand that the way there and back leads home."""

from collections.abc import Callable, Hashable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import l1_loss
from torch.optim import Optimizer

from gan_cli.critic import Critic
from gan_cli.data.batches import Batches
from gan_cli.games.adversarial import margins, taken_for_real, told_apart
from gan_cli.games.game import changing
from gan_cli.games.kinds import Itself, rates
from gan_cli.games.pool import ImagePool
from gan_cli.losses import AdversarialLoss
from gan_cli.penalties import Penalty
from gan_cli.step import Player, Stats, move, set_trainable
from gan_cli.streams import Draws, Streams
from gan_cli.view import View

Domains = Mapping[str, Tensor]
"""Samples (N, C, H, W) of domain "a" and of domain "b"."""

INTO = {"a": "b2a", "b": "a2b"}
"""The generator that leads to a domain."""
_FROM = {"a": "b", "b": "a"}


@dataclass(frozen=True)
class Weights:
    """What the parts of the generators' objective count.

    Attributes:
        adversarial: of each generator's adversarial loss.
        cycle: of mean |x → there → back - x|, equation (2).
        identity: of mean |G(y) - y| for samples y of the domain that G leads to, section 5.2; 0: not computed.
    """

    adversarial: float = 1.0
    cycle: float = 10.0
    identity: float = 5.0


@dataclass(frozen=True)
class Round:
    """What a player looks at.

    Attributes:
        real: of both domains.
        fake: of each domain, translated from the real samples of the other, or earlier ones from the pool.
        turn: the number of the move, counted from 0.
        draws: the move's random numbers.
    """

    real: Domains
    fake: Domains
    turn: int
    draws: Draws


class CycleGAN:
    """One move of both generators, then one of both discriminators, which see those fakes through a pool.

    Each player's objective is the sum over the two domains; the statistics are the means, to be read as those of a game
    with one.

    Args:
        generators: "a2b" and "b2a", samples to samples of the same shape in [-1, 1].
        discriminators: of domains "a" and "b".
        pools: of each domain, "a" and "b".
        loss, penalty, view, packing, constrain, clip_norm, compiled: as for `GAN`; the same on both domains.
        batches: of domain "a" and of domain "b". Batch n of one goes with batch n of the other; each begins anew, in
            another order, when it has been through.
    """

    def __init__(
        self,
        *,
        generators: nn.ModuleDict,
        discriminators: nn.ModuleDict,
        pools: Mapping[str, ImagePool],
        generator_optimizer: Optimizer,
        discriminator_optimizer: Optimizer,
        loss: AdversarialLoss,
        penalty: Penalty,
        weights: Weights,
        batches: Mapping[str, Batches],
        streams: Streams,
        autocast: Callable[[], AbstractContextManager[None]],
        constrain: Callable[[], None] = lambda: None,
        view: View | None = None,
        packing: int = 1,
        clip_norm: float | None = None,
        compiled: Callable[[nn.Module], Callable[..., Tensor]] = lambda network: network,
    ) -> None:
        self.generators = generators
        self.discriminators = discriminators
        self.pools = pools
        self.loss = loss
        self.penalty = penalty
        self.weights = weights
        self.batches = batches
        self.streams = streams
        self.autocast = autocast
        self.view = view or View()
        self.critics = {
            domain: Critic(compiled(discriminators[domain]), autocast, self.view, packing) for domain in ("a", "b")
        }
        self._translators = {name: compiled(generator) for name, generator in generators.items()}
        self.networks: dict[str, nn.Module] = {
            "generator": generators,
            "discriminator": discriminators,
            "pool": nn.ModuleDict(dict(pools)),
        }
        if self.view.augment.adaptive is not None:
            self.networks["augment"] = self.view.augment.adaptive
        self.generator_player = Player(
            "G", [generators], generator_optimizer, self.generator_objective, clip_norm=clip_norm
        )
        self.discriminator_player = Player(
            "D", [discriminators], discriminator_optimizer, self.discriminator_objective, constrain, clip_norm
        )
        self.players = (self.generator_player, self.discriminator_player)

    def generator_objective(self, round_: Round) -> tuple[Tensor, Stats]:
        """Have the fakes taken for real, come home from a way there and back, and leave alone what is there already."""
        real, fake, weights = round_.real, round_.fake, self.weights
        adversarial, cycle, identity = [], [], []
        for domain in ("a", "b"):
            draws = round_.draws.of(domain)
            adversarial.append(taken_for_real(self.critics[domain], self.loss, real[domain], fake[domain], None, draws))
            cycle.append(l1_loss(self.translated(fake[_FROM[domain]], INTO[domain]), real[domain]))
            if weights.identity:
                identity.append(l1_loss(self.translated(real[domain], INTO[domain]), real[domain]))
        parts = {"loss/G": (weights.adversarial, adversarial), "loss/cycle": (weights.cycle, cycle)}
        if identity:
            parts["loss/identity"] = (weights.identity, identity)
        total = torch.stack([weight * torch.stack(values).sum() for weight, values in parts.values()]).sum()
        return total, {name: torch.stack(values).mean().detach() for name, (_, values) in parts.items()}

    def discriminator_objective(self, round_: Round) -> tuple[Tensor, Stats]:
        """Tell real from fake on each domain."""
        totals, told, logits = [], [], []
        for domain in ("a", "b"):
            total, stats, real_logits = told_apart(
                self.critics[domain],
                self.loss,
                self.penalty,
                round_.real[domain],
                round_.fake[domain],
                None,
                round_.turn,
                round_.draws.of(domain),
            )
            totals.append(total)
            told.append(stats)
            logits.append(real_logits)
        augment = self.view.augment
        if augment.adaptive is not None:
            augment.observe(torch.cat([margins(self.loss, each, self.critics["a"].packing) for each in logits]))
        means = {name: torch.stack([stats[name] for stats in told]).mean() for name in told[0]}
        return torch.stack(totals).sum(), means | augment.stats()

    def translated(self, samples: Tensor, by: str) -> Tensor:
        """Samples (N, C, H, W) by the generator "a2b" or "b2a", float32."""
        with self.autocast():
            made = self._translators[by](samples)
        return made.float()

    def play(self, step: int) -> Stats:
        """Every player's moves of step `step`, counted from 0."""
        self.seed(step)
        return self.moves(step)

    def moves(self, step: int) -> Stats:
        """What `play` does once torch's global generators are seeded."""
        real = {domain: self.batches[domain](step).samples for domain in ("a", "b")}
        set_trainable([self.generators], True)
        fake = {domain: self.translated(real[_FROM[domain]], INTO[domain]) for domain in ("a", "b")}
        draws = self.streams.draws("generator", step)
        stats = move(self.generator_player, self.players, Round(real, fake, step, draws))
        draws = self.streams.draws("discriminator", step)
        shown = {domain: self.pools[domain](fake[domain].detach(), draws.of(f"pool/{domain}")) for domain in ("a", "b")}
        return stats | move(self.discriminator_player, self.players, Round(real, shown, step, draws))

    def seed(self, step: int) -> None:
        """Seed torch's global generators, from which dropout draws in step `step`."""
        self.streams.seed_modules("modules", step)

    def kind(self, step: int) -> Hashable:
        """Equal for steps that differ in their random draws, samples and weights alone."""
        sizes = tuple(self.batches[domain].size(step) for domain in ("a", "b"))
        parts = map(Itself, (self.loss, self.penalty, self.view.augment))
        optimizers = (rates(player.optimizer) for player in self.players)
        return (self.penalty.due(step), sizes, self.view.noise, *parts, *optimizers)

    def state(self) -> list[Tensor]:
        """All tensors that a step changes."""
        return changing(self.networks.values(), self.players)

    def images_seen(self, steps: int) -> int:
        """How many real samples the first `steps` steps show to the discriminators, those of both domains together."""
        return sum(batches.images_in(steps) for batches in self.batches.values())
