"""Gradient penalties: closed forms on critics whose gradient is known, and an effect that is never lost."""

import math
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from copy import deepcopy
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from gan_cli.accelerate import autocast
from gan_cli.critic import Critic
from gan_cli.errors import RunFailed
from gan_cli.models.dcgan import DCGANDiscriminator
from gan_cli.models.dcgan64 import DCGAN64Discriminator
from gan_cli.models.mlp import MLPDiscriminator
from gan_cli.penalties import Penalty
from gan_cli.penalties.dragan import DRAGAN
from gan_cli.penalties.gp import GradientPenalty
from gan_cli.penalties.gradients import gradient_norm, squared_gradient_norm
from gan_cli.penalties.none import NoPenalty
from gan_cli.penalties.zero_centered import R1, R1R2, R2
from gan_cli.schema import Precision
from gan_cli.streams import Draws, Streams

CPU = torch.device("cpu")
N, D = 6, 5
PENALTIES: list[Penalty] = [
    GradientPenalty(weight=3.0),
    GradientPenalty(weight=3.0, one_sided=True),
    R1(gamma=0.7),
    R2(gamma=0.7),
    R1R2(gamma=0.7),
    DRAGAN(weight=3.0),
]
DRAWS = Streams(0, CPU).draws("discriminator", 0)


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


def pair(shape: tuple[int, ...] = (N, D), dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    return torch.randn(shape, dtype=dtype), torch.randn(shape, dtype=dtype) + 1


def linear(weight: Tensor) -> Callable[[Tensor], Tensor]:
    return lambda samples: samples.flatten(1) @ weight.flatten()


# Closed forms: D(x) = w·x has the gradient w everywhere; D(x) = ½‖x‖² has the gradient x.


@pytest.mark.parametrize("shape", [(N, D), (N, 3, 4, 4)])
def test_penalties_of_a_linear_critic_are_functions_of_its_weight(shape: tuple[int, ...]) -> None:
    real, fake = pair(shape)
    weight = torch.randn(shape[1:], dtype=torch.float64, requires_grad=True)
    norm = weight.detach().norm()
    expected = {
        GradientPenalty(weight=3.0): 3 * (norm - 1) ** 2,
        R1(gamma=0.7): 0.35 * norm**2,
        R2(gamma=0.7): 0.35 * norm**2,
        R1R2(gamma=0.7): 0.7 * norm**2,
        DRAGAN(weight=3.0, slope=0.5): 3 * (norm - 0.5) ** 2,
    }
    for penalty, value in expected.items():
        assert_close(penalty(linear(weight), real, fake, DRAWS).detach(), value.expand(N), rtol=1e-6, atol=1e-9)


def test_gradients_of_penalties_of_a_linear_critic_are_those_of_the_closed_forms() -> None:
    real, fake = pair()
    weight = torch.randn(D, dtype=torch.float64, requires_grad=True)
    norm = weight.detach().norm()
    for penalty, expected in (
        (R1(gamma=0.7), 0.7 * weight.detach()),
        (GradientPenalty(weight=3.0), 6 * (norm - 1) * weight.detach() / norm),
    ):
        (gradient,) = torch.autograd.grad(penalty(linear(weight), real, fake, DRAWS).mean(), weight)
        assert_close(gradient, expected, rtol=1e-6, atol=1e-9)


def test_one_sided_penalty_leaves_slopes_below_one_alone() -> None:
    real, fake = pair()
    weight = torch.zeros(D, dtype=torch.float64)
    weight[0] = 0.5
    one, two = GradientPenalty(weight=4.0, one_sided=True), GradientPenalty(weight=4.0)
    assert_close(one(linear(weight.requires_grad_()), real, fake, DRAWS).detach(), torch.zeros(N, dtype=torch.float64))
    assert_close(two(linear(weight), real, fake, DRAWS).detach(), torch.ones(N, dtype=torch.float64))
    steep = (3 * weight / weight.norm()).detach().requires_grad_()
    assert_close(one(linear(steep), real, fake, DRAWS), two(linear(steep), real, fake, DRAWS))


def bowl(scale: Tensor) -> Callable[[Tensor], Tensor]:
    return lambda samples: scale * samples.square().flatten(1).sum(1) / 2


def test_each_penalty_looks_where_it_says() -> None:
    # The gradient of the bowl at x is x itself: the penalty tells the place.
    real, fake = pair()
    scale = torch.ones((), dtype=torch.float64, requires_grad=True)
    at = {name: place.square().sum(1) for name, place in (("real", real), ("fake", fake))}
    assert_close(R1(gamma=2.0)(bowl(scale), real, fake, DRAWS).detach(), at["real"])
    assert_close(R2(gamma=2.0)(bowl(scale), real, fake, DRAWS).detach(), at["fake"])
    assert_close(R1R2(gamma=2.0)(bowl(scale), real, fake, DRAWS).detach(), at["real"] + at["fake"])
    mix = DRAWS.uniform("penalty/mix", (N, 1))
    between = (mix * real + (1 - mix) * fake).norm(dim=1)
    assert_close(GradientPenalty(weight=1.0)(bowl(scale), real, fake, DRAWS).detach(), (between - 1) ** 2)
    near = real + 0.5 * real.std() * DRAWS.normal("penalty/noise", real.shape)
    assert_close(DRAGAN(weight=1.0)(bowl(scale), real, fake, DRAWS).detach(), (near.norm(dim=1) - 1) ** 2)


def test_gradient_penalty_mixes_each_pair_by_one_number_for_all_its_pixels() -> None:
    real, fake = torch.zeros(N, 2, 3, 3), torch.ones(N, 2, 3, 3)
    seen: list[Tensor] = []

    def watching(samples: Tensor) -> Tensor:
        seen.append(samples.detach())
        return bowl(torch.ones((), requires_grad=True))(samples)

    GradientPenalty()(watching, real, fake, DRAWS)
    shares = seen[0].flatten(1)
    assert torch.equal(shares, shares[:, :1].expand_as(shares))
    assert len(shares[:, 0].unique()) == N
    assert 0 <= float(shares.min()) < float(shares.max()) < 1


def test_mixes_are_uniform_and_belong_to_the_move() -> None:
    streams = Streams(3, CPU)
    mix = streams.draws("discriminator", 0).uniform("penalty/mix", (20_000, 1))
    assert float(mix.mean()) == pytest.approx(0.5, abs=6 / (12 * 20_000) ** 0.5)
    assert float(mix.var()) == pytest.approx(1 / 12, rel=0.05)
    real, fake = pair()
    scale = torch.ones((), dtype=torch.float64, requires_grad=True)
    for penalty in (GradientPenalty(), DRAGAN()):
        first, again, later = (penalty(bowl(scale), real, fake, streams.draws("d", turn)) for turn in (0, 0, 1))
        assert torch.equal(first, again)
        assert not torch.equal(first, later)


@pytest.mark.parametrize("penalty", PENALTIES, ids=repr)
def test_penalty_of_a_sample_does_not_depend_on_the_others(penalty: Penalty) -> None:
    critic = Critic(MLPDiscriminator((D,), widths=(16,), activation="tanh").double(), nullcontext).exact
    real, fake = pair()

    class Rows(Draws):
        """The draws of the whole batch, of which a part is taken."""

        def uniform(self, name: str, shape: Any) -> Tensor:
            return super().uniform(name, (N, *shape[1:]))[: shape[0]]

        def normal(self, name: str, shape: Any) -> Tensor:
            return super().normal(name, (N, *shape[1:]))[: shape[0]]

    rows = Rows(Streams(0, CPU), "d", 0)
    whole = penalty(critic, real, fake, rows)
    if isinstance(penalty, DRAGAN):  # whose noise is as wide as the batch is
        return
    assert_close(penalty(critic, real[:2], fake[:2], rows), whole[:2])


@pytest.mark.parametrize("penalty", PENALTIES, ids=repr)
def test_penalty_reaches_the_critic_and_neither_the_samples_nor_the_generator(penalty: Penalty) -> None:
    discriminator = steep(MLPDiscriminator((D,), widths=(8,), activation="tanh").double())
    real, fake = (samples.requires_grad_() for samples in pair())
    penalty(Critic(discriminator, nullcontext).exact, real, fake, DRAWS).mean().backward()
    assert real.grad is None
    assert fake.grad is None
    assert all(parameter.grad is not None and bool(parameter.grad.any()) for parameter in weights(discriminator))


def steep(network: nn.Module) -> nn.Module:
    """With weights that make slopes above 1, where a one-sided penalty begins."""
    for name, parameter in network.named_parameters():
        if name.endswith("weight"):
            parameter.data.mul_(4)
    return network


def weights(network: nn.Module) -> Iterator[nn.Parameter]:
    """The parameters on which a gradient with respect to samples depends: all but the last layer's bias."""
    named = list(network.named_parameters())
    last = [name for name, _ in named if name.endswith("bias")][-1]
    return (parameter for name, parameter in named if name != last)


@pytest.mark.parametrize("penalty", PENALTIES, ids=repr)
def test_gradients_of_penalties_are_those_of_finite_differences(penalty: Penalty) -> None:
    discriminator = steep(MLPDiscriminator((D,), widths=(4,), activation="tanh").double())
    critic, (real, fake) = Critic(discriminator, nullcontext).exact, pair()
    penalty(critic, real, fake, DRAWS).mean().backward()
    for parameter in weights(discriminator):
        assert parameter.grad is not None
        for index in range(0, parameter.numel(), 3):
            flat, step, values = parameter.data.view(-1), 1e-6, []
            for sign in (1, -1):
                flat[index] += sign * step
                values.append(penalty(critic, real, fake, DRAWS).mean().detach())
                flat[index] -= sign * step
            slope = (values[0] - values[1]) / (2 * step)
            assert_close(parameter.grad.view(-1)[index], slope, rtol=1e-5, atol=1e-7)


def test_a_flat_critic_has_a_penalty_with_finite_gradients() -> None:
    real, fake = pair()
    for penalty in PENALTIES:
        weight = torch.zeros(D, dtype=torch.float64, requires_grad=True)
        (gradient,) = torch.autograd.grad(penalty(linear(weight), real, fake, DRAWS).mean(), weight)
        assert bool(gradient.isfinite().all())


# Modes of computing: never silently without effect.


def small(kind: str) -> tuple[nn.Module, tuple[int, ...]]:
    if kind == "mlp":
        return steep(MLPDiscriminator((1, 8, 8), widths=(16,), activation="leaky_relu")), (N, 1, 8, 8)
    if kind == "spectral":
        return MLPDiscriminator((1, 8, 8), widths=(16,), norm="spectral"), (N, 1, 8, 8)
    if kind == "dcgan":
        return DCGANDiscriminator((1, 16, 16), hidden=8, widths=(4, 4)), (N, 1, 16, 16)
    return DCGAN64Discriminator((3, 16, 16), widths=(4, 8), norm="layer"), (N, 3, 16, 16)


@pytest.mark.parametrize("penalty", PENALTIES, ids=repr)
@pytest.mark.parametrize("kind", ["mlp", "spectral", "dcgan", "dcgan64"])
def test_penalty_in_mixed_precision_is_that_of_float64(kind: str, penalty: Penalty) -> None:
    discriminator, shape = small(kind)
    real, fake = pair(shape, torch.float32)
    exact = deepcopy(discriminator).double()

    def penalized(network: nn.Module, precision: Precision) -> tuple[Tensor, list[Tensor]]:
        dtype = next(network.parameters()).dtype
        critic = Critic(network, autocast(CPU, precision))
        critic(real.to(dtype))  # as in training, where the loss has run in mixed precision before
        value = penalty(critic.exact, real.to(dtype), fake.to(dtype), DRAWS).mean()
        return value.detach(), list(torch.autograd.grad(value, list(weights(network)), allow_unused=True))

    value, gradients = penalized(discriminator, Precision.bf16)
    truth, slopes = penalized(exact, Precision.fp32)
    assert value.dtype == torch.float32
    assert_close(value.double(), truth, rtol=1e-4, atol=1e-6)  # bfloat16 would be off by 1e-2
    for ours, theirs in zip(gradients, slopes, strict=True):
        assert (ours is None) == (theirs is None)
        if ours is not None:
            assert_close(ours.double(), theirs, rtol=1e-3, atol=1e-4 * float(theirs.abs().max() + 1e-3))


def compiled_in_place(network: nn.Module, backend: str) -> nn.Module:
    network.compile(backend=backend)
    return network


def compiled_around(network: nn.Module, backend: str) -> nn.Module:
    wrapped: nn.Module = torch.compile(network, backend=backend)
    return wrapped


BACKENDS = ["aot_eager", pytest.param("inductor", marks=pytest.mark.slow)]


@pytest.mark.filterwarnings("default")  # the compiler's own, of every release other ones
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("precision", [Precision.fp32, Precision.bf16])
@pytest.mark.parametrize("compiled", [compiled_in_place, compiled_around])
def test_penalty_of_a_compiled_critic_reaches_its_parameters(
    compiled: Callable[[nn.Module, str], nn.Module], precision: Precision, backend: str
) -> None:
    discriminator, shape = small("mlp")
    plain = deepcopy(discriminator)
    real, fake = pair(shape, torch.float32)
    fast = Critic(compiled(discriminator, backend), autocast(CPU, precision))
    slow = Critic(plain, autocast(CPU, precision))
    for penalty in PENALTIES:
        fast(real)[0].mean().backward()  # compiled, as the loss runs it
        gradients = []
        for critic, network in ((fast, discriminator), (slow, plain)):
            value = penalty(critic.exact, real, fake, DRAWS).mean()
            assert value.requires_grad
            gradients.append(torch.autograd.grad(value, list(weights(network))))
        for ours, theirs in zip(*gradients, strict=True):
            assert bool(ours.any()) or ours.dim() == 1  # a bias has an effect only where it moves a kink
            assert_close(ours, theirs)


class OneWay(torch.autograd.Function):
    """Doubles, with a backward pass that cannot be differentiated again."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return 2 * x

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return (2 * gradient).detach()


def test_a_gradient_that_lost_its_way_back_to_the_parameters_is_an_error() -> None:
    layer = nn.Linear(D, 1).double()
    real, fake = pair()

    def lost(samples: Tensor) -> Tensor:
        weight = layer.weight.detach()
        return (samples @ weight.T).flatten() + layer.bias

    def cut(samples: Tensor) -> Tensor:
        product: Tensor = OneWay.apply(samples).tanh().sum(1)
        return product

    for penalty in PENALTIES:
        for critic in (lost, cut):
            with pytest.raises(RunFailed, match="would have no effect"):
                penalty(critic, real, fake, DRAWS)


# Intervals.


def test_a_penalty_is_due_in_one_of_every_so_many_turns_beginning_with_the_first() -> None:
    assert [turn for turn in range(10) if R1(every=4).due(turn)] == [0, 4, 8]
    assert all(R1().due(turn) for turn in range(5))
    assert not any(NoPenalty().due(turn) for turn in range(5))


def test_no_penalty_is_zero() -> None:
    real, fake = pair()
    assert float(NoPenalty()(linear(torch.ones(D)), real, fake, DRAWS).sum()) == 0.0


@pytest.mark.parametrize("function", [gradient_norm, squared_gradient_norm])
def test_norms_are_those_of_whole_samples(function: Callable[[Callable[[Tensor], Tensor], Tensor], Tensor]) -> None:
    weight = torch.full((3, 4, 4), 0.5, requires_grad=True)
    value = function(linear(weight), torch.randn(N, 3, 4, 4))
    expected = 0.25 * 48 if function is squared_gradient_norm else math.sqrt(0.25 * 48)
    assert_close(value.detach(), torch.full((N,), expected))
