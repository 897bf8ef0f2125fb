"""An unrolled discriminator is what real updates would make of it, differentiably, and leaves the real one alone."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import TINY
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits
from torch.nn.utils import parameters_to_vector
from torch.optim import Optimizer
from torch.testing import assert_close

from gan_cli.augment.diffaugment import DiffAugment
from gan_cli.build import build
from gan_cli.data.batches import Batch, Batches
from gan_cli.data.dataset import Dataset
from gan_cli.errors import Refused
from gan_cli.games.gan import GAN, Round
from gan_cli.latents import Latents
from gan_cli.losses.bce import BCE
from gan_cli.losses.lsgan import LSGAN
from gan_cli.losses.rasgan import RaSGAN
from gan_cli.losses.rsgan import RSGAN
from gan_cli.models.mlp import MLPDiscriminator, MLPGenerator
from gan_cli.penalties.none import NoPenalty
from gan_cli.penalties.zero_centered import R1
from gan_cli.run_directory import RunDirectory
from gan_cli.schema import Config
from gan_cli.step import move, set_trainable
from gan_cli.streams import Streams
from gan_cli.unroll import Function, can_unroll, unrolled
from gan_cli.view import View

Compose = Callable[..., Config]
MakeOptimizer = Callable[..., Optimizer]

CPU = torch.device("cpu")
BATCH, DIM = 8, 3
EXACT = {"rtol": 1e-10, "atol": 1e-10}

OPTIMIZERS: dict[str, MakeOptimizer] = {
    "adagrad": partial(torch.optim.Adagrad, lr=0.1),
    "adam": partial(torch.optim.Adam, lr=0.02, betas=(0.5, 0.9)),
    "adam-decay": partial(torch.optim.Adam, lr=0.02, betas=(0.0, 0.99), weight_decay=0.1),
    "adam-amsgrad": partial(torch.optim.Adam, lr=0.02, amsgrad=True),
    "adamw": partial(torch.optim.AdamW, lr=0.02, weight_decay=0.1),
    "rmsprop": partial(torch.optim.RMSprop, lr=0.02),
    "rmsprop-momentum": partial(torch.optim.RMSprop, lr=0.02, momentum=0.5, weight_decay=0.1),
    "sgd": partial(torch.optim.SGD, lr=0.1),
    "sgd-momentum": partial(torch.optim.SGD, lr=0.1, momentum=0.9, weight_decay=0.1),
    "sgd-nesterov": partial(torch.optim.SGD, lr=0.1, momentum=0.9, nesterov=True),
}


@pytest.fixture(autouse=True)
def _double() -> Iterator[None]:
    """Everything in float64, the optimizers' counts of steps too."""
    torch.manual_seed(0)
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


class Readable(nn.Module):
    """A discriminator that tells all its parameters when it is asked about no samples."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers, nn.Flatten(0))

    def forward(self, samples: Tensor) -> Tensor:
        if len(samples) == 0:
            return parameters_to_vector(self.parameters())
        logits: Tensor = self.layers(samples)
        return logits


NOBODY = torch.empty(0, 2, dtype=torch.float64)


def smooth() -> Readable:
    return Readable(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 1))


def plain_objective(network: Function, real: Tensor, fake: Tensor, gamma: float = 0.0) -> Tensor:
    """Cross-entropy and R1, written out."""
    ones = torch.ones(len(real))
    loss = binary_cross_entropy_with_logits(network(real), ones)
    loss = loss + binary_cross_entropy_with_logits(network(fake), 0 * ones)
    if gamma:
        inputs = real.detach().clone().requires_grad_()
        (slope,) = torch.autograd.grad(network(inputs).sum(), inputs, create_graph=True)
        loss = loss + gamma / 2 * slope.square().sum(1).mean()
    return loss


def warmed(network: nn.Module, make: MakeOptimizer, steps: int = 3) -> Optimizer:
    """An optimizer that has moved the network before."""
    optimizer = make(network.parameters())
    for _ in range(steps):
        optimizer.zero_grad()
        plain_objective(network, torch.randn(BATCH, 2), torch.randn(BATCH, 2) + 1).backward()
        optimizer.step()
    return optimizer


def twin(network: nn.Module, optimizer: Optimizer) -> tuple[nn.Module, Optimizer]:
    """A copy of both that may be moved."""
    pair: tuple[nn.Module, Optimizer] = deepcopy((network, optimizer))
    return pair


# The function alone.


@pytest.mark.parametrize("gamma", [0.0, 2.0], ids=["", "r1"])
@pytest.mark.parametrize("steps", [1, 2, 5])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_unrolled_parameters_are_those_of_as_many_real_updates(name: str, steps: int, gamma: float) -> None:
    network = smooth()
    optimizer = warmed(network, OPTIMIZERS[name])
    real, fake = torch.randn(BATCH, 2), torch.randn(BATCH, 2) + 1
    function = unrolled(network, optimizer, lambda d, _: plain_objective(d, real, fake, gamma), steps)

    moved, mover = twin(network, optimizer)
    for _ in range(steps):
        mover.zero_grad()
        plain_objective(moved, real, fake, gamma).backward()
        mover.step()
    assert_close(function(NOBODY), parameters_to_vector(moved.parameters()), **EXACT)
    assert_close(function(real), moved(real), **EXACT)
    assert not torch.allclose(function(NOBODY), network(NOBODY), rtol=0, atol=1e-3)


def test_unrolled_updates_follow_the_rates_of_the_moment() -> None:
    network = smooth()
    optimizer = warmed(network, OPTIMIZERS["adam"])
    optimizer.param_groups[0] |= {"lr": 0.3, "betas": [0.1, 0.5]}  # as a schedule sets them
    real, fake = torch.randn(BATCH, 2), torch.randn(BATCH, 2)
    function = unrolled(network, optimizer, lambda d, _: plain_objective(d, real, fake), 1)
    moved, mover = twin(network, optimizer)
    mover.zero_grad()
    plain_objective(moved, real, fake).backward()
    mover.step()
    assert_close(function(NOBODY), parameters_to_vector(moved.parameters()), **EXACT)


def test_unrolled_updates_of_a_fused_optimizer_in_float32_are_its_own_up_to_rounding() -> None:
    torch.set_default_dtype(torch.float32)
    network = smooth()
    optimizer = warmed(network, partial(torch.optim.Adam, lr=0.02, fused=True))
    real, fake = torch.randn(BATCH, 2), torch.randn(BATCH, 2) + 1
    function = unrolled(network, optimizer, lambda d, _: plain_objective(d, real, fake), 1)
    moved, mover = twin(network, optimizer)
    mover.zero_grad()
    plain_objective(moved, real, fake).backward()
    mover.step()
    ours = function(NOBODY.float()) - network(NOBODY)
    theirs = parameters_to_vector(moved.parameters()) - network(NOBODY)
    # Of 1 - 0.999^4 float32 keeps five digits, and where a step is differentiable it is a tensor, not a number.
    assert_close(ours, theirs, rtol=1e-4, atol=1e-6)


def test_objective_of_each_update_is_told_its_number() -> None:
    network, asked = smooth(), []
    optimizer = warmed(network, OPTIMIZERS["sgd"])

    def objective(d: Function, update: int) -> Tensor:
        asked.append(update)
        return (update + 1) * d(NOBODY).sum()

    function = unrolled(network, optimizer, objective, 3)
    assert asked == [0, 1, 2]
    assert_close(function(NOBODY), network(NOBODY) - 0.1 * (1 + 2 + 3), **EXACT)


def test_no_updates_make_the_network_itself() -> None:
    network = smooth()
    samples = torch.randn(BATCH, 2, requires_grad=True)
    function = unrolled(network, warmed(network, OPTIMIZERS["adam"]), lambda d, _: d(samples).sum(), 0)
    assert torch.equal(function(samples), network(samples))
    ours, theirs = (torch.autograd.grad(d(samples).sum(), samples)[0] for d in (function, network))
    assert torch.equal(ours, theirs)


def test_one_step_of_gradient_descent_has_the_derivative_of_its_formula() -> None:
    # A linear critic under a least-squares objective: w' = w - lr · 2 mean((w·x - 1) x), differentiated by hand.
    network = Readable(nn.Linear(2, 1, bias=False))
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    samples = torch.randn(BATCH, 2, requires_grad=True)
    function = unrolled(network, optimizer, lambda d, _: (d(samples) - 1).square().mean(), 1)
    weight = network(NOBODY).detach()
    residual = samples @ weight - 1
    assert_close(function(NOBODY), weight - 0.2 * (residual[:, None] * samples).mean(0), **EXACT)
    direction = torch.randn(2)
    (gradient,) = torch.autograd.grad(function(NOBODY) @ direction, samples)
    expected = -0.2 / BATCH * (residual[:, None] * direction + (samples @ direction)[:, None] * weight)
    assert_close(gradient, expected.detach(), **EXACT)


@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize("name", [*OPTIMIZERS])
def test_derivatives_through_updates_are_those_of_finite_differences(name: str, steps: int) -> None:
    network = smooth()
    optimizer = warmed(network, OPTIMIZERS[name])
    real, fake = torch.randn(3, 2), (torch.randn(3, 2) + 1).requires_grad_()

    def outcome(fake: Tensor) -> Tensor:
        return unrolled(network, optimizer, lambda d, _: plain_objective(d, real, fake, 0.5), steps)(fake)

    assert torch.autograd.gradcheck(outcome, fake)


@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_units_that_are_dead_give_no_nan_and_stay_where_they_are(name: str, steps: int) -> None:
    network = Readable(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 1))
    with torch.no_grad():
        network.layers[0].bias[:2] = -100.0  # never on: every gradient is 0, and every average of squares
    optimizer = warmed(network, OPTIMIZERS[name])
    real, fake = torch.randn(BATCH, 2), (torch.randn(BATCH, 2) + 1).requires_grad_()
    function = unrolled(network, optimizer, lambda d, _: plain_objective(d, real, fake, 1.0), steps)
    (gradient,) = torch.autograd.grad(function(fake).sum(), fake)
    assert gradient.isfinite().all()
    assert gradient.any()
    moved, mover = twin(network, optimizer)
    for _ in range(steps):
        mover.zero_grad()
        plain_objective(moved, real, fake.detach(), 1.0).backward()
        mover.step()
    assert_close(function(NOBODY), parameters_to_vector(moved.parameters()), **EXACT)


def test_in_float32_dead_units_give_no_nan_either() -> None:
    torch.set_default_dtype(torch.float32)
    network = Readable(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 1))
    with torch.no_grad():
        network.layers[0].bias[:2] = -100.0
    optimizer = warmed(network, partial(torch.optim.Adam, lr=0.02, fused=True))
    real, fake = torch.randn(BATCH, 2), (torch.randn(BATCH, 2) + 1).requires_grad_()
    function = unrolled(network, optimizer, lambda d, _: plain_objective(d, real, fake), 3)
    (gradient,) = torch.autograd.grad(function(fake).sum(), fake)
    assert gradient.isfinite().all()


def test_buffers_of_the_function_go_on_and_those_of_the_network_stay() -> None:
    network = Readable(nn.Linear(2, 4), nn.BatchNorm1d(4), nn.Tanh(), nn.Linear(4, 1))
    optimizer = warmed(network, OPTIMIZERS["adam"])
    before = {key: tensor.clone() for key, tensor in network.state_dict().items()}
    real, fake = torch.randn(BATCH, 2), torch.randn(BATCH, 2) + 1
    function = unrolled(network, optimizer, lambda d, _: plain_objective(d, real, fake), 2)
    moved, mover = twin(network, optimizer)
    for _ in range(2):
        mover.zero_grad()
        plain_objective(moved, real, fake).backward()
        mover.step()
    assert_close(function(real), moved(real), **EXACT)  # a fifth pass in training
    network.eval()
    assert_close(function(real), moved.eval()(real), **EXACT)  # by running means
    assert all(torch.equal(tensor, network.state_dict()[key]) for key, tensor in before.items())


@pytest.mark.parametrize("optimizer", [torch.optim.LBFGS, torch.optim.SparseAdam, torch.optim.Adafactor])
def test_optimizers_without_differentiable_updates_are_told_apart(optimizer: type[Optimizer]) -> None:
    assert not can_unroll(optimizer)
    assert can_unroll(torch.optim.Adam)
    assert can_unroll(torch.optim.SGD)


# In the game.


class Fixed:
    """The same batches for ever."""

    def __init__(self, samples: Tensor, labels: Tensor | None = None) -> None:
        self.batch = Batch(samples, labels)

    def __call__(self, number: int) -> Batch:
        return self.batch

    def images_in(self, count: int) -> int:
        return count * len(self.batch.samples)


def labels_of(count: int) -> Tensor:
    return torch.arange(count) % 3


def game(
    make: MakeOptimizer = OPTIMIZERS["adam"],
    *,
    shape: Sequence[int] = (2,),
    discriminator: nn.Module | None = None,
    conditional: bool = False,
    batches: Any = None,
    **options: Any,
) -> GAN:
    """A game of smooth networks, whose discriminator has made three moves."""
    classes = {"conditional": "concat", "num_classes": 3} if conditional else {}
    packed = (options.get("packing", 1) * shape[0], *shape[1:])
    generator = MLPGenerator(DIM, shape, widths=(4,), activation="tanh", **classes)
    if discriminator is None:
        discriminator = MLPDiscriminator(packed, widths=(5,), activation="tanh", **classes)
    batches = batches or Fixed(torch.randn(BATCH, *shape), labels_of(BATCH) if conditional else None)
    made = GAN(
        generator=generator,
        discriminator=discriminator,
        generator_optimizer=torch.optim.SGD(generator.parameters(), lr=0.1),
        discriminator_optimizer=make(discriminator.parameters()),
        latents=Latents(DIM, "normal", Streams(3, CPU)),
        batches=batches,
        streams=Streams(3, CPU),
        autocast=nullcontext,
        num_classes=3 if conditional else 0,
        **{"loss": BCE(), "penalty": NoPenalty()} | options,
    )
    for turn in range(3):
        draws = made.streams.draws("discriminator", turn)
        latents = made.latents("discriminator", turn, BATCH)
        fake = fakes(made, latents).detach()
        move(made.discriminator_player, made.players, Round(made.batches(turn), fake, turn, draws))
    return made


def fakes(made: GAN, latents: Tensor) -> Tensor:
    """In float64, as the game itself would not have them."""
    samples: Tensor = made.generator(latents, labels_of(len(latents))) if made.conditional else made.generator(latents)
    return samples


def generators_round(made: GAN, step: int = 4) -> Round:
    set_trainable([made.generator], True)
    latents = made.latents("generator", step, BATCH)
    return Round(made.batches(step), fakes(made, latents), step, made.streams.draws("generator", step))


IMAGES = (1, 4, 4)
GAMES: dict[str, dict[str, Any]] = {
    "bce": {},
    "r1": {"penalty": R1(gamma=2.0)},
    "lazy-r1": {"penalty": R1(gamma=2.0, every=3), "d_steps": 2},
    "rsgan": {"loss": RSGAN()},
    "rasgan-r1": {"loss": RaSGAN(), "penalty": R1(gamma=0.5)},
    "label-noise": {"loss": BCE([0.7, 1.2], [0.0, 0.3], flip=0.3)},
    "lsgan-noise": {"loss": LSGAN(generator_target=[0.8, 1.0]), "view": View(noise=0.3)},
    "flip-noise-r1": {"shape": IMAGES, "view": View(flip=True, noise=0.3), "penalty": R1(gamma=0.5)},
    "diffaugment": {"shape": IMAGES, "view": View(augment=DiffAugment())},
    "diffaugment-r1": {"shape": IMAGES, "view": View(augment=DiffAugment()), "penalty": R1(gamma=0.5)},
    "packing-noise": {"packing": 2, "view": View(noise=0.3), "penalty": R1(gamma=0.5)},
    "conditional": {"conditional": True, "penalty": R1(gamma=0.5)},
}


@pytest.mark.parametrize("unroll", [1, 3])
@pytest.mark.parametrize("name", GAMES)
def test_generator_plays_against_the_discriminator_that_real_moves_on_its_round_would_make(
    name: str, unroll: int
) -> None:
    made = game(**GAMES[name], unroll=unroll)
    round_ = generators_round(made)
    loss, _ = made.generator_objective(round_)

    ahead = deepcopy(made)
    ahead.unroll = 0
    for update in range(unroll):
        turn = (round_.turn + 1) * made.d_steps + update  # of the discriminator's next move, and so on
        draws = round_.draws.of(f"unrolled{update}")
        move(ahead.discriminator_player, ahead.players, Round(round_.real, round_.fake.detach(), turn, draws))
    expected, _ = ahead.generator_objective(round_)
    assert_close(loss, expected, **EXACT)
    made.unroll = 0
    assert abs(float((made.generator_objective(round_)[0] - loss).detach())) > 1e-4


@pytest.mark.parametrize("make", [OPTIMIZERS["sgd-momentum"], OPTIMIZERS["adam"]], ids=["sgd", "adam"])
@pytest.mark.parametrize("name", GAMES)
def test_generators_gradient_is_that_of_finite_differences_of_what_it_minimizes(name: str, make: MakeOptimizer) -> None:
    made = game(make, **GAMES[name], unroll=2)
    parameters = list(made.generator.parameters())

    def objective() -> Tensor:
        return made.generator_objective(generators_round(made))[0]

    gradients = torch.autograd.grad(objective(), parameters)
    step = 1e-5
    for parameter, gradient in zip(parameters, gradients, strict=True):
        flat = parameter.detach().flatten().clone()
        for place in range(0, len(flat), max(1, len(flat) // 4)):
            values = []
            for sign in (1, -1):
                with torch.no_grad():
                    parameter.data.view(-1)[place] = flat[place] + sign * step
                values.append(float(objective().detach()))
            with torch.no_grad():
                parameter.data.view(-1)[place] = flat[place]
            slope = (values[0] - values[1]) / (2 * step)
            assert float(gradient.flatten()[place]) == pytest.approx(slope, rel=1e-5, abs=1e-8)


def test_generator_answers_to_how_the_discriminator_answers() -> None:
    # The gradient is not that against the later discriminator held still: it holds the updates' dependence on fakes.
    made = game(OPTIMIZERS["sgd-momentum"], unroll=2)
    parameters = list(made.generator.parameters())
    ours = torch.autograd.grad(made.generator_objective(generators_round(made))[0], parameters)
    ahead = deepcopy(made)
    ahead.unroll = 0
    round_ = generators_round(made)
    for update in range(2):
        held = Round(round_.real, round_.fake.detach(), 5 + update, round_.draws.of(f"unrolled{update}"))
        move(ahead.discriminator_player, ahead.players, held)
    parameters = list(ahead.generator.parameters())
    still = torch.autograd.grad(ahead.generator_objective(generators_round(ahead))[0], parameters)
    assert max(float((a - b).abs().max()) for a, b in zip(ours, still, strict=True)) > 1e-4


def batch_norm() -> nn.Module:
    return MLPDiscriminator((2,), widths=(5,), norm="batch")


def spectral() -> nn.Module:
    return MLPDiscriminator((2,), widths=(5,), norm="spectral")


def dropping() -> nn.Module:
    return MLPDiscriminator((2,), widths=(5,), dropout=0.5)


@pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS)
@pytest.mark.parametrize("discriminator", [batch_norm, spectral, dropping])
def test_generators_move_leaves_the_discriminator_with_all_it_has_bit_by_bit(
    discriminator: Callable[[], nn.Module], make: MakeOptimizer
) -> None:
    made = game(make, discriminator=discriminator(), unroll=2)
    network, optimizer = made.discriminator, made.discriminator_player.optimizer

    def everything() -> dict[str, Tensor]:
        tensors = {f"network/{key}": tensor for key, tensor in network.state_dict().items()}
        for name, parameter in network.named_parameters():
            assert parameter.grad is not None
            tensors[f"gradient/{name}"] = parameter.grad
            for key, value in optimizer.state[parameter].items():
                if value is not None:
                    tensors[f"optimizer/{name}/{key}"] = value
        return {name: tensor.clone() for name, tensor in tensors.items()}

    before, groups = everything(), deepcopy([group | {"params": None} for group in optimizer.param_groups])
    generator = parameters_to_vector(made.generator.parameters()).clone()
    move(made.generator_player, made.players, generators_round(made))
    after = everything()
    assert after.keys() == before.keys()
    assert all(torch.equal(after[name], before[name]) for name in before)
    assert [group | {"params": None} for group in optimizer.param_groups] == groups
    assert not torch.equal(parameters_to_vector(made.generator.parameters()), generator)
    assert all(parameter.is_leaf for parameter in network.parameters())


@pytest.mark.parametrize("discriminator", [batch_norm, spectral, dropping])
def test_discriminators_next_move_is_the_one_it_would_have_made(discriminator: Callable[[], nn.Module]) -> None:
    made = game(discriminator=discriminator(), unroll=2)
    other = deepcopy(made)
    move(made.generator_player, made.players, generators_round(made))
    for one in (made, other):
        torch.manual_seed(1)
        round_ = Round(one.batches(0), torch.zeros(BATCH, 2), 3, one.streams.draws("discriminator", 3))
        move(one.discriminator_player, one.players, round_)
    theirs = other.discriminator.state_dict()
    assert all(torch.equal(tensor, theirs[key]) for key, tensor in made.discriminator.state_dict().items())


def points() -> Batches:
    torch.set_default_dtype(torch.float32)
    return Batches(Dataset(torch.randn(32, 2)), BATCH, Streams(0, CPU), shuffle=True, drop_last=True)


def test_a_game_that_unrolls_no_updates_is_one_that_does_not_unroll_bit_by_bit() -> None:
    batches, games = points(), []
    for options in ({}, {"unroll": 0}):
        torch.manual_seed(2)
        games.append(game(batches=batches, **options))
        for step in range(3):
            games[-1].play(step)
    for name in ("generator", "discriminator"):
        ours, theirs = (one.networks[name].state_dict() for one in games)
        assert all(torch.equal(tensor, theirs[key]) for key, tensor in ours.items())


@pytest.mark.parametrize("reuse", ["none", "latents", "fakes"])
def test_unrolling_changes_the_generators_move_and_before_it_nothing(reuse: str) -> None:
    batches, ends = points(), []
    for unroll in (0, 1, 2):
        torch.manual_seed(2)
        made = game(batches=batches, unroll=unroll, reuse=reuse, d_steps=2)
        stats = made.play(0)
        assert all(value.isfinite() for value in stats.values())
        ends.append({name: parameters_to_vector(net.parameters()) for name, net in made.networks.items()})
    assert torch.equal(ends[0]["discriminator"], ends[1]["discriminator"])
    assert torch.equal(ends[0]["discriminator"], ends[2]["discriminator"])
    assert not torch.equal(ends[0]["generator"], ends[1]["generator"])
    assert not torch.equal(ends[1]["generator"], ends[2]["generator"])


def test_mixed_precision_unrolls_to_nearly_the_same(compose: Compose, tmp_path: Path) -> None:
    torch.set_default_dtype(torch.float32)
    ends = {}
    for precision in ("fp32", "bf16"):
        config = compose(*TINY, "train.unroll=2", f"device.precision={precision}")
        run = build(config, RunDirectory(tmp_path))
        start = parameters_to_vector(run.game.networks["generator"].parameters()).clone()
        run.advance()
        ends[precision] = parameters_to_vector(run.game.networks["generator"].parameters()) - start
    cosine = torch.nn.functional.cosine_similarity(ends["fp32"], ends["bf16"], dim=0)
    assert float(cosine.detach()) > 0.9  # of Adam's first update, the signs of the gradient


def test_an_optimizer_that_cannot_be_differentiated_through_is_refused_only_where_it_would_have_to_be(
    compose: Compose, tmp_path: Path
) -> None:
    torch.set_default_dtype(torch.float32)
    other = ("optim=sgd", "optim._target_=torch.optim.Adafactor", "~optim.momentum", "~optim.fused")
    build(compose(*TINY, *other), RunDirectory(tmp_path)).advance()
    with pytest.raises(Refused, match=r"^train\.unroll: Adafactor has no differentiable updates"):
        build(compose(*TINY, *other, "train.unroll=1"), RunDirectory(tmp_path))
