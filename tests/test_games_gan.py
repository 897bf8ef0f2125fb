"""The GAN game: its steps are those of the plain loops it stands for, and each network learns from its own loss."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch
from conftest import TINY
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, mse_loss
from torch.testing import assert_close

from gan_cli.accelerate import autocast
from gan_cli.build import build, load_data
from gan_cli.data.batches import Batch, Batches
from gan_cli.data.dataset import Dataset
from gan_cli.games.gan import GAN
from gan_cli.latents import Latents
from gan_cli.losses import AdversarialLoss
from gan_cli.losses.bce import BCE
from gan_cli.losses.lsgan import LSGAN
from gan_cli.models.mlp import MLPDiscriminator, MLPGenerator
from gan_cli.networks import DataFacts, build_discriminator, build_generator
from gan_cli.penalties.none import NoPenalty
from gan_cli.run import Run
from gan_cli.run_directory import RunDirectory
from gan_cli.schema import Config, Precision
from gan_cli.step import Stats
from gan_cli.streams import Streams

CPU = torch.device("cpu")
BATCH, DIM = 16, 4
DCGAN64 = (
    "model=dcgan64",
    "model.resolution=8",
    "model.generator.widths=[4]",
    "model.discriminator.widths=[4]",
    "data=mnist",
    "data.split=test",
    "data.limit=64",
    "latent.dim=4",
    "train.batch_size=16",
    "train.steps=12",
)

Compose = Callable[..., Config]


@dataclass
class RecordingLatents:
    """Latents that note what was drawn."""

    latents: Latents
    drawn: list[tuple[str, int, int]] = field(default_factory=list)

    def __call__(self, purpose: str, index: int, count: int) -> Tensor:
        self.drawn.append((purpose, index, count))
        return self.latents(purpose, index, count)


@dataclass
class RecordingBatches:
    """Batches that note which were asked for."""

    batches: Batches
    asked: list[int] = field(default_factory=list)
    shown: int = 0

    def __call__(self, number: int) -> Batch:
        batch = self.batches(number)
        self.asked.append(number)
        self.shown += len(batch.samples)
        return batch

    def images_in(self, count: int) -> int:
        return self.batches.images_in(count)


def points(count: int = 64) -> Dataset:
    return Dataset(Streams(7, CPU).normal("points", 0, (count, 2)) + torch.tensor([1.0, 2.0]))


@dataclass
class Table:
    """A game made by hand, with what it used."""

    generator: nn.Module
    discriminator: nn.Module
    batches: RecordingBatches
    latents: RecordingLatents
    game: GAN
    moves: list[str]

    def networks(self) -> dict[str, Tensor]:
        return {
            f"{name}.{key}": tensor.clone()
            for name, network in self.game.networks.items()
            for key, tensor in network.state_dict().items()
        }


def table(
    *,
    loss: AdversarialLoss | None = None,
    dropout: float = 0.0,
    data: Dataset | None = None,
    drop_last: bool = True,
    rates: tuple[float, float] = (0.1, 0.1),
    d_steps: int = 1,
    reuse: str = "none",
    precision: Precision = Precision.fp32,
) -> Table:
    streams = Streams(3, CPU)
    with streams.modules("init"):
        generator = MLPGenerator(DIM, (2,), widths=(8,), dropout=dropout)
        discriminator = MLPDiscriminator((2,), widths=(8,), dropout=dropout)
    optimizers = [
        torch.optim.SGD(network.parameters(), lr=rate)
        for network, rate in zip((generator, discriminator), rates, strict=True)
    ]
    moves: list[str] = []
    for name, optimizer in zip("GD", optimizers, strict=True):
        optimizer.register_step_post_hook(lambda *_, name=name: moves.append(name))
    batches = RecordingBatches(Batches(data or points(), BATCH, streams, shuffle=True, drop_last=drop_last))
    latents = RecordingLatents(Latents(DIM, "normal", streams))
    game = GAN(
        generator=generator,
        discriminator=discriminator,
        generator_optimizer=optimizers[0],
        discriminator_optimizer=optimizers[1],
        loss=loss or BCE(),
        penalty=NoPenalty(),
        latents=latents,  # type: ignore[arg-type]
        batches=batches,  # type: ignore[arg-type]
        streams=streams,
        autocast=autocast(CPU, precision),
        d_steps=d_steps,
        reuse=reuse,
    )
    return Table(generator, discriminator, batches, latents, game, moves)


# The reference: the loops of the course texts in plain PyTorch, sharing the draws and nothing else.


def bce(logits: Tensor, target: float) -> Tensor:
    return binary_cross_entropy_with_logits(logits, torch.full_like(logits, target))


def half_squares(logits: Tensor, target: float) -> Tensor:
    return 0.5 * mse_loss(logits, torch.full_like(logits, target))


def plain_loop(
    config: Config, steps: int, criterion: Callable[[Tensor, float], Tensor]
) -> Iterator[tuple[nn.Module, nn.Module, dict[str, float]]]:
    streams = Streams(config.seed, CPU)
    data = load_data(config)
    batches = Batches(data, config.train.batch_size, streams, config.data.shuffle, config.data.drop_last)
    latents = Latents(config.latent.dim, config.latent.distribution.name, streams)
    generator = build_generator(config, DataFacts.of(data), streams)
    discriminator = build_discriminator(config, DataFacts.of(data), streams)
    betas = tuple(config.optim.optimizer["betas"])
    adam_g = torch.optim.Adam(generator.parameters(), config.optim.generator.lr, betas, fused=False)
    adam_d = torch.optim.Adam(discriminator.parameters(), config.optim.discriminator.lr, betas, fused=False)
    scale, count = config.loss["d_scale"], config.train.batch_size
    for step in range(steps):
        for turn in range(step * config.train.d_steps, (step + 1) * config.train.d_steps):
            real = batches(turn).samples
            z = latents("discriminator", turn, count)
            fake = generator(z)
            adam_d.zero_grad()
            real_logits, fake_logits = discriminator(real), discriminator(fake.detach())
            loss_d = scale * (criterion(real_logits, 1.0) + criterion(fake_logits, 0.0))
            loss_d.backward()
            adam_d.step()
        if config.train.reuse.name == "none":
            fake = generator(latents("generator", step, count))
        if config.train.reuse.name == "latents":
            fake = generator(z)
        adam_g.zero_grad()
        loss_g = criterion(discriminator(fake), 1.0)
        loss_g.backward()
        adam_g.step()
        tensors = {"loss/D": loss_d, "loss/G": loss_g, "logits/real": real_logits, "logits/fake": fake_logits}
        yield generator, discriminator, {name: float(tensor.detach().mean()) for name, tensor in tensors.items()}


@pytest.mark.parametrize(
    ("criterion", "overrides"),
    [
        (bce, TINY),  # CS231n
        (half_squares, (*TINY, "loss=lsgan")),
        (bce, (*TINY, "train.reuse=latents", "loss.d_scale=0.5", "latent.distribution=normal")),  # D2L
        (bce, (*TINY, "train.reuse=fakes")),  # UCLA
        (bce, (*TINY, "train.d_steps=3", "optim.generator.lr=0.003")),
        (bce, DCGAN64),
        (half_squares, (*DCGAN64, "loss=lsgan", "train.reuse=latents", "train.d_steps=2")),
    ],
    ids=["cs231n", "lsgan", "d2l", "ucla", "d_steps", "dcgan64", "dcgan64-latents"],
)
def test_steps_equal_a_plain_loop_that_uses_the_same_draws(
    criterion: Callable[[Tensor, float], Tensor], overrides: Sequence[str], compose: Compose, tmp_path: Path
) -> None:
    config = compose(*overrides, "optim.fused=false")
    game = build(config, RunDirectory(tmp_path)).game
    close = {"rtol": 1e-5, "atol": 1e-6}
    for step, (generator, discriminator, expected) in enumerate(plain_loop(config, 6, criterion)):
        stats = game.play(step)
        assert {name: float(value) for name, value in stats.items()} == pytest.approx(expected, rel=1e-5, abs=1e-6)
        # BatchNorm's buffers are compared too: both networks train in training mode.
        assert_close(game.networks["discriminator"].state_dict(), discriminator.state_dict(), **close)
        assert_close(game.networks["generator"].state_dict(), generator.state_dict(), **close)


@pytest.mark.parametrize("name", ["generator", "discriminator"])
def test_batchnorm_is_trained_with_the_statistics_of_its_batches(name: str, compose: Compose, tmp_path: Path) -> None:
    run = build(compose(*DCGAN64), RunDirectory(tmp_path))
    network = run.game.networks[name]
    (norm,) = (module for module in network.modules() if isinstance(module, nn.BatchNorm2d))
    batches: list[Tensor] = []
    norm.register_forward_pre_hook(lambda _, inputs: batches.append(inputs[0].detach()))
    run.advance()
    mean, var = torch.zeros(4), torch.ones(4)
    for batch in batches:  # the exponential averages of momentum 0.1 over everything that passed through
        mean = 0.9 * mean + 0.1 * batch.mean((0, 2, 3))
        var = 0.9 * var + 0.1 * batch.var((0, 2, 3))
    assert norm.training
    assert len(batches) == int(norm.num_batches_tracked) > 0
    assert_close(norm.running_mean, mean)
    assert_close(norm.running_var, var)


def test_reused_fakes_equal_reused_latents_for_a_deterministic_generator() -> None:
    fakes, latents = table(reuse="fakes"), table(reuse="latents")
    for step in range(5):
        fakes.game.play(step)
        latents.game.play(step)
    assert_close(fakes.networks(), latents.networks(), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("reuse", ["latents", "fakes"])
def test_fresh_latents_lead_elsewhere_than_reused_ones_but_not_before_the_generator_moves(reuse: str) -> None:
    fresh, reused = table(reuse="none"), table(reuse=reuse)
    fresh.game.play(0)
    reused.game.play(0)
    one, other = fresh.networks(), reused.networks()
    for name in one:
        assert torch.equal(one[name], other[name]) == name.startswith("discriminator")


@pytest.mark.parametrize("reuse", ["none", "latents", "fakes"])
def test_only_fresh_fakes_draw_latents_for_the_generator(reuse: str) -> None:
    made = table(reuse=reuse)
    made.game.play(0)
    made.game.play(1)
    fresh = [("generator", step, BATCH) for step in range(2)] if reuse == "none" else []
    expected = [("discriminator", 0, BATCH), *fresh[:1], ("discriminator", 1, BATCH), *fresh[1:]]
    assert made.latents.drawn == expected


@pytest.mark.parametrize(
    ("reuse", "graphs"), [("none", [False, False, True]), ("latents", [False, False, True]), ("fakes", [False, True])]
)
def test_generator_keeps_a_graph_only_for_its_own_move_and_reused_fakes_spare_a_pass(
    reuse: str, graphs: list[bool]
) -> None:
    made, kept = table(reuse=reuse, d_steps=2), []
    made.generator.register_forward_hook(lambda _, inputs, output: kept.append(output.requires_grad))
    made.game.play(0)
    assert kept == graphs


@pytest.mark.parametrize("step", [0, 2])
def test_three_d_steps_are_three_discriminator_moves_on_consecutive_batches_and_one_generator_move(step: int) -> None:
    made = table(d_steps=3)
    made.game.play(step)
    assert made.moves == ["D", "D", "D", "G"]
    assert made.batches.asked == [3 * step, 3 * step + 1, 3 * step + 2]
    turns = [("discriminator", 3 * step + turn, BATCH) for turn in range(3)]
    assert made.latents.drawn == [*turns, ("generator", step, BATCH)]


@pytest.mark.parametrize("d_steps", [1, 3])
@pytest.mark.parametrize("drop_last", [True, False])
def test_images_seen_counts_the_real_samples_shown(drop_last: bool, d_steps: int) -> None:
    made = table(data=points(56), drop_last=drop_last, d_steps=d_steps)  # 3 batches of 16, and one of 8
    for step in range(7):
        assert made.game.images_seen(step) == made.batches.shown
        made.game.play(step)
    assert made.game.images_seen(7) == made.batches.shown


@dataclass(frozen=True)
class Weighted(AdversarialLoss):
    """A loss whose two objectives can be scaled apart."""

    d: float = 1.0
    g: float = 1.0

    def discriminator(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        return self.d * LSGAN().discriminator(real_logits, fake_logits)

    def generator(self, fake_logits: Tensor, real_logits: Tensor | None = None) -> Tensor:
        return self.g * LSGAN().generator(fake_logits)


@pytest.mark.parametrize("reuse", ["none", "latents", "fakes"])
def test_discriminator_learns_nothing_from_the_generator_loss(reuse: str) -> None:
    one, other = table(loss=Weighted(g=1), reuse=reuse), table(loss=Weighted(g=1000), reuse=reuse)
    one.game.play(0)
    other.game.play(0)
    one_after, other_after = one.networks(), other.networks()
    for name in one_after:
        assert torch.equal(one_after[name], other_after[name]) == name.startswith("discriminator")


@pytest.mark.parametrize("reuse", ["none", "latents", "fakes"])
def test_generator_learns_nothing_from_the_discriminator_loss(reuse: str) -> None:
    # With a discriminator that stands still its loss could reach the generator only by a leaking gradient.
    frozen = {"rates": (0.1, 0.0), "reuse": reuse}
    one, other = table(loss=Weighted(d=1), **frozen), table(loss=Weighted(d=1000), **frozen)
    before = one.networks()
    one.game.play(0)
    other.game.play(0)
    one_after, other_after = one.networks(), other.networks()
    for name in one_after:
        assert torch.equal(one_after[name], other_after[name])
        assert torch.equal(one_after[name], before[name]) == name.startswith("discriminator")


@pytest.mark.parametrize(("loss", "still"), [(Weighted(g=0), "generator"), (Weighted(d=0), "discriminator")])
def test_a_network_whose_own_loss_is_zero_stands_still(loss: Weighted, still: str) -> None:
    made = table(loss=loss)
    before = made.networks()
    for step in range(2):
        made.game.play(step)
    after = made.networks()
    for name in after:
        assert torch.equal(before[name], after[name]) == name.startswith(still)


def test_losses_are_those_of_the_logits_before_the_update() -> None:
    made = table()
    real, z = made.batches.batches(0).samples, made.latents.latents("discriminator", 0, BATCH)
    with torch.no_grad():
        real_logits = made.discriminator(real)
        fake_logits = made.discriminator(made.generator(z))
    stats = made.game.play(0)
    assert_close(stats["logits/real"], real_logits.mean())
    assert_close(stats["logits/fake"], fake_logits.mean())
    assert_close(stats["loss/D"], bce(real_logits, 1.0) + bce(fake_logits, 0.0))
    assert not any(value.requires_grad for value in stats.values())


def run_with_dropout(compose: Compose, path: Path, *overrides: str) -> Run:
    dropout = ("model.generator.dropout=0.5", "model.discriminator.dropout=0.3")
    return build(compose(*TINY, *dropout, *overrides), RunDirectory(path))


@pytest.mark.parametrize("reuse", ["none", "latents", "fakes"])
def test_dropout_draws_from_seed_and_step_whatever_the_global_generator_did(
    reuse: str, compose: Compose, tmp_path: Path
) -> None:
    runs = [run_with_dropout(compose, tmp_path, f"train.reuse={reuse}") for _ in range(2)]
    for step in range(3):
        losses: list[Stats] = []
        for index, run in enumerate(runs):
            torch.manual_seed(100 * index + step)
            torch.rand(index)
            losses.append(run.game.play(step))
        assert losses[0] == losses[1]
    for name, network in runs[0].game.networks.items():
        for one, other in zip(
            network.state_dict().values(), runs[1].game.networks[name].state_dict().values(), strict=True
        ):
            assert torch.equal(one, other)


def test_dropout_masks_differ_between_steps_and_between_seeds() -> None:
    # Without learning, and on the same inputs, the logits differ by the masks alone.
    def logits(seed: int, step: int) -> float:
        made = table(dropout=0.5, rates=(0.0, 0.0))
        made.game.streams = Streams(seed, CPU)
        batch = made.batches.batches(0)
        made.game.batches = lambda _: batch  # type: ignore[assignment]
        return float(made.game.play(step)["logits/real"])

    assert logits(0, 0) == logits(0, 0)
    assert len({logits(0, 0), logits(0, 1), logits(1, 0)}) == 3


def test_bf16_losses_are_float32_and_near_those_of_full_precision() -> None:
    half, full = table(precision=Precision.bf16), table()
    for step in range(4):
        rounded, exact = half.game.play(step), full.game.play(step)
        for name, value in rounded.items():
            assert value.dtype == torch.float32
            assert_close(value, exact[name], rtol=0.02, atol=0.02)  # 8 significant bits
    assert any(rounded[name] != exact[name] for name in exact)  # it was bfloat16 indeed
    for tensor in half.networks().values():
        assert tensor.dtype == torch.float32


def test_bf16_computes_both_networks_in_bfloat16_and_hands_on_float32() -> None:
    made, computed, handed = table(precision=Precision.bf16), [], []
    for network in (made.generator, made.discriminator):
        network.register_forward_hook(lambda _, inputs, output: computed.append((inputs[0].dtype, output.dtype)))
    made.game.loss = type(
        "Spy",
        (BCE,),
        {"generator": lambda self, logits, real=None: (handed.append(logits.dtype), BCE.generator(self, logits))[1]},
    )()
    made.game.play(0)
    assert set(computed) == {(torch.float32, torch.bfloat16)}
    assert handed == [torch.float32]


def test_game_without_autocast_uses_none() -> None:
    assert autocast(CPU, Precision.fp32) is nullcontext
