"""Losses and penalties in the game: its steps are those of plain loops, and each loss pays for what it reads."""

from collections.abc import Callable, Sequence
from itertools import product
from pathlib import Path

import pytest
import torch
from conftest import TINY
from torch import Tensor, nn
from torch.nn.functional import softplus
from torch.testing import assert_close

from gan_cli.build import build, load_data
from gan_cli.data.batches import Batches
from gan_cli.errors import Diverged
from gan_cli.games.gan import GAN
from gan_cli.latents import Latents
from gan_cli.networks import DataFacts, build_discriminator, build_generator
from gan_cli.run import Run
from gan_cli.run_directory import RunDirectory
from gan_cli.schema import Config
from gan_cli.streams import Streams

CPU = torch.device("cpu")
LOSSES = ("bce", "minimax", "lsgan", "hinge", "wgan", "rsgan", "rasgan", "ralsgan", "rahinge")
RELATIVISTIC = ("rsgan", "rasgan", "ralsgan", "rahinge")
PENALTIES = ("none", "gp", "r1", "r2", "r1r2", "dragan")

Compose = Callable[..., Config]
Objective = Callable[[Tensor, Tensor], Tensor]
PlainPenalty = Callable[[nn.Module, Tensor, Tensor, Tensor], Tensor]


def started(compose: Compose, path: Path, *overrides: str) -> Run:
    return build(compose(*TINY, *overrides), RunDirectory(path))


def game_of(run: Run) -> GAN:
    assert isinstance(run.game, GAN)
    return run.game


# The reference: loops in plain PyTorch, as the papers' algorithms read, sharing the draws and nothing else.


def input_gradient(discriminator: nn.Module, samples: Tensor) -> Tensor:
    samples = samples.detach().clone().requires_grad_(True)
    return torch.autograd.grad(discriminator(samples).sum(), samples, create_graph=True)[0]


def wgan_gp(discriminator: nn.Module, real: Tensor, fake: Tensor, mix: Tensor) -> Tensor:
    slopes = input_gradient(discriminator, mix * real + (1 - mix) * fake).norm(dim=1)
    return 10 * ((slopes - 1) ** 2).mean()


def r1_r2(discriminator: nn.Module, real: Tensor, fake: Tensor, mix: Tensor) -> Tensor:
    gamma = 0.5
    return sum(gamma / 2 * (input_gradient(discriminator, x) ** 2).sum(1).mean() for x in (real, fake))  # type: ignore[return-value]


WGAN_GP = (
    lambda r, f: f.mean() - r.mean(),
    lambda r, f: -f.mean(),
    wgan_gp,
    ("loss=wgan", "penalty=gp", "train.d_steps=3", "optim.betas=[0.0,0.9]"),
)
R3GAN = (
    lambda r, f: softplus(f - r).mean(),
    lambda r, f: softplus(r - f).mean(),
    r1_r2,
    ("loss=rsgan", "penalty=r1r2", "penalty.gamma=0.5"),
)
LAZY = (*R3GAN[:3], (*R3GAN[3], "penalty.every=4", "train.d_steps=2", "train.reuse=latents"))


@pytest.mark.parametrize(
    ("discriminator_loss", "generator_loss", "penalty", "overrides"),
    [WGAN_GP, R3GAN, LAZY],
    ids=["wgan-gp", "r3gan", "lazy"],
)
def test_steps_equal_those_of_a_plain_loop(
    discriminator_loss: Objective,
    generator_loss: Objective,
    penalty: PlainPenalty,
    overrides: Sequence[str],
    compose: Compose,
    tmp_path: Path,
) -> None:
    config = compose(*TINY, *overrides)
    run = build(config, RunDirectory(tmp_path))
    streams, count = Streams(config.seed, CPU), config.train.batch_size
    data = load_data(config)
    batches = Batches(data, count, streams, shuffle=True, drop_last=True)
    latents = Latents(config.latent.dim, "uniform", streams)
    generator = build_generator(config, DataFacts.of(data), streams)
    discriminator = build_discriminator(config, DataFacts.of(data), streams)
    betas = tuple(config.optim.optimizer["betas"])
    adam_g = torch.optim.Adam(generator.parameters(), config.optim.generator.lr, betas, fused=False)
    adam_d = torch.optim.Adam(discriminator.parameters(), config.optim.discriminator.lr, betas, fused=False)
    every = config.penalty["every"]
    for step in range(6):
        for turn in range(step * config.train.d_steps, (step + 1) * config.train.d_steps):
            real, z = batches(turn).samples, latents("discriminator", turn, count)
            fake = generator(z).detach()
            loss_d = discriminator_loss(discriminator(real), discriminator(fake))
            whole = loss_d
            if turn % every == 0:
                mix = (streams.uniform("discriminator/penalty/mix", turn, (count, 1)) + 1) / 2
                penalized = penalty(discriminator, real, fake, mix)
                whole = loss_d + every * penalized
            adam_d.zero_grad()
            whole.backward()
            adam_d.step()
        z = latents("generator", step, count) if config.train.reuse.name == "none" else z
        loss_g = generator_loss(discriminator(real).detach(), discriminator(generator(z)))
        adam_g.zero_grad()
        loss_g.backward()
        adam_g.step()
        stats = run.game.play(step)
        assert_close(stats["loss/D"], loss_d.detach(), rtol=1e-4, atol=1e-5)
        assert_close(stats["loss/G"], loss_g.detach(), rtol=1e-4, atol=1e-5)
        if "penalty/D" in stats:
            assert_close(stats["penalty/D"], penalized.detach(), rtol=1e-4, atol=1e-5)
    for ours, theirs in (
        (run.game.networks["generator"], generator),
        (run.game.networks["discriminator"], discriminator),
    ):
        for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
            assert_close(one, other, rtol=1e-4, atol=1e-5)


# What a step costs.


@pytest.mark.exhaustive(7)
@pytest.mark.parametrize(("loss", "penalty"), list(product(LOSSES, PENALTIES)))
def test_a_step_runs_the_discriminator_as_often_as_its_loss_and_penalty_need(
    loss: str, penalty: str, compose: Compose, tmp_path: Path
) -> None:
    bound = ("model.discriminator.norm=spectral",) if loss == "wgan" else ()
    run = started(compose, tmp_path, f"loss={loss}", f"penalty={penalty}", *bound)
    passes: list[bool] = []
    game_of(run).critic.discriminator.register_forward_hook(
        lambda _, inputs, output: passes.append(output.requires_grad)
    )
    run.advance()
    extra = {"none": 0, "r1r2": 2}.get(penalty, 1)
    # D: real and fake, and the penalty's. G: fake; a relativistic loss the real batch too, without a graph.
    assert passes == [True] * (2 + extra) + [True] + [False] * (loss in RELATIVISTIC)


@pytest.mark.exhaustive(13)
@pytest.mark.parametrize(("loss", "penalty"), list(product(LOSSES, PENALTIES)))
def test_every_loss_with_every_penalty_moves_both_networks_and_stays_finite(
    loss: str, penalty: str, compose: Compose, tmp_path: Path
) -> None:
    bound = ("optim.discriminator.weight_clip=0.1",) if loss == "wgan" else ()
    run = started(compose, tmp_path, f"loss={loss}", f"penalty={penalty}", "device.precision=bf16", *bound)
    before = {name: [p.detach().clone() for p in net.parameters()] for name, net in run.game.networks.items()}
    for _ in range(3):
        run.advance()
    run.meter.check()
    means = run.meter.means()
    assert ("penalty/D" in means) == (penalty != "none")
    for name, network in run.game.networks.items():
        for index, (old, new) in enumerate(zip(before[name], network.parameters(), strict=True)):
            assert bool(new.isfinite().all())
            # Differences do not see the constant that is the critic's last bias, nor does a hinge within its margin.
            last_bias = name == "discriminator" and index == len(before[name]) - 1
            unseen = last_bias and loss not in ("bce", "minimax", "lsgan")
            assert unseen or not torch.equal(old, new)


# Intervals.


def test_a_lazy_penalty_is_measured_when_it_is_due_and_logged_as_the_mean_of_those(
    compose: Compose, tmp_path: Path
) -> None:
    run = started(compose, tmp_path, "penalty=r1", "penalty.every=3")
    stats = [run.game.play(step) for step in range(7)]
    assert ["penalty/D" in found for found in stats] == [True, False, False, True, False, False, True]
    for step, found in enumerate(stats):
        run.meter.add(step, found)
    due = [float(found["penalty/D"]) for found in stats if "penalty/D" in found]
    assert run.meter.means()["penalty/D"] == pytest.approx(sum(due) / 3, rel=1e-6)
    assert run.meter.means()["loss/D"] == pytest.approx(sum(float(found["loss/D"]) for found in stats) / 7, rel=1e-6)


def test_a_penalty_measured_in_an_earlier_turn_of_a_step_is_not_forgotten(compose: Compose, tmp_path: Path) -> None:
    run = started(compose, tmp_path, "penalty=r1", "penalty.every=5", "train.d_steps=3")
    found = ["penalty/D" in run.game.play(step) for step in range(5)]
    # Step s has the turns 3s to 3s + 2; due are 0, 5 and 10.
    assert found == [True, True, False, True, False]


def test_a_penalty_that_is_not_finite_ends_the_run(compose: Compose, tmp_path: Path) -> None:
    run = started(compose, tmp_path, "penalty=r1")
    run.meter.add(4, {"loss/D": torch.tensor(1.0), "penalty/D": torch.tensor(torch.inf)})
    with pytest.raises(Diverged, match=r"the discriminator's penalty became NaN or infinite at step 4"):
        run.meter.check()


# Random targets.


def test_noisy_and_flipped_labels_change_the_discriminators_loss_and_not_the_generators(
    compose: Compose, tmp_path: Path
) -> None:
    noisy = ("loss.real_target=[0.7,1.2]", "loss.fake_target=[0,0.3]", "loss.flip=0.1")
    plain, one, other = (
        started(compose, tmp_path, *overrides).game.play(0) for overrides in ((), noisy, (*noisy, "seed=1"))
    )
    assert plain["loss/D"] != one["loss/D"] != other["loss/D"]
    same = started(compose, tmp_path, *noisy).game.play(0)
    assert same == one


def test_labels_are_drawn_anew_for_every_turn(compose: Compose, tmp_path: Path) -> None:
    # Networks that stand still on a batch that stays the same: the loss differs by the labels alone.
    run = started(compose, tmp_path, "loss.real_target=[0.7,1.2]", "optim.lr=1e-30")
    game = game_of(run)
    batch, latents = game.batches(0), game.latents("discriminator", 0, 16)
    game.batches = lambda _: batch  # type: ignore[assignment]
    game.latents = lambda *_: latents  # type: ignore[assignment]
    assert len({float(game.play(step)["loss/D"]) for step in range(4)}) == 4
