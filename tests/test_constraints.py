"""Clipped weights lie in their interval whenever anyone looks, and nothing but where they lie is changed."""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch
from conftest import TINY, Result
from torch import Tensor, nn

from gan_cli import checkpoint
from gan_cli.build import build
from gan_cli.constraints import WeightClip
from gan_cli.data.batches import Batches
from gan_cli.data.dataset import Dataset
from gan_cli.games.gan import GAN
from gan_cli.latents import Latents
from gan_cli.losses.bce import BCE
from gan_cli.models.mlp import MLPDiscriminator, MLPGenerator
from gan_cli.penalties.none import NoPenalty
from gan_cli.run import Run
from gan_cli.run_directory import RunDirectory
from gan_cli.schema import Config
from gan_cli.step import Player, Stats, move
from gan_cli.streams import Streams

Compose = Callable[..., Config]
Cli = Callable[..., Result]

CPU = torch.device("cpu")
LIMIT = 0.01
CLIPPED = f"optim.discriminator.weight_clip={LIMIT}"


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


def largest(network: nn.Module) -> float:
    return max(parameter.abs().max().item() for parameter in network.parameters())


# The constraint alone.


@pytest.mark.parametrize("limit", [0.01, 0.3, 1.0])
def test_clip_is_the_nearest_point_of_the_interval(limit: float) -> None:
    values = torch.tensor([-5.0, -limit, -limit / 2, -0.0, 0.0, limit / 3, limit, 1e30, -torch.inf])
    parameter = nn.Parameter(values.clone())
    WeightClip([parameter], limit)()
    assert parameter.tolist() == pytest.approx([min(max(value, -limit), limit) for value in values.tolist()], rel=1e-7)
    within = values.abs() <= torch.tensor(limit)
    assert torch.equal(parameter.detach()[within], values[within])  # to the bit
    once = parameter.detach().clone()
    WeightClip([parameter], limit)()
    assert torch.equal(parameter, once)


def test_every_parameter_is_clipped_by_itself_and_none_that_was_not_given() -> None:
    given, other = [nn.Parameter(torch.full((3,), value)) for value in (4.0, -4.0)], nn.Parameter(torch.ones(3))
    WeightClip(given, 0.5)()
    assert [parameter.tolist() for parameter in (*given, other)] == [[0.5] * 3, [-0.5] * 3, [1.0] * 3]


@pytest.mark.parametrize("trainable", [True, False])
def test_clip_works_in_place_and_leaves_no_trace_in_autograd(trainable: bool) -> None:
    parameter = nn.Parameter(torch.tensor([3.0, -0.001]), requires_grad=trainable)
    parameter.grad = torch.tensor([7.0, 8.0])
    memory = parameter.data_ptr()
    WeightClip([parameter], LIMIT)()
    assert parameter.data_ptr() == memory
    assert parameter.is_leaf
    assert parameter.grad_fn is None
    assert parameter.requires_grad == trainable
    assert parameter.grad.tolist() == [7.0, 8.0]
    assert torch.is_grad_enabled()


def test_gradients_after_a_clip_are_those_at_the_clipped_point_even_at_the_bound() -> None:
    parameter = nn.Parameter(torch.tensor([3.0, -0.5, -9.0]))
    WeightClip([parameter], 1.0)()
    parameter.square().sum().backward()
    assert parameter.grad is not None
    assert parameter.grad.tolist() == [2.0, -1.0, -2.0]  # a clamp inside autograd would pass on nothing from outside


# When it is applied: after the update of its own player, each time, and never after another's.


@pytest.mark.parametrize("mover", [0, 1, 2])
def test_move_constrains_its_own_player_once_after_its_update(mover: int) -> None:
    told: list[str] = []
    players = []
    for name in "ABC":
        network = nn.Linear(2, 1)

        def objective(samples: Tensor, network: nn.Module = network) -> tuple[Tensor, Stats]:
            return network(samples).mean(), {}

        optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
        optimizer.register_step_post_hook(lambda *_, name=name: told.append(f"update {name}"))
        constrain = lambda name=name: told.append(f"constrain {name}")  # noqa: E731
        players.append(Player(name, [network], optimizer, objective, constrain))
    for times in (1, 2, 3):
        move(players[mover], players, torch.randn(4, 2))
        assert told == [f"update {'ABC'[mover]}", f"constrain {'ABC'[mover]}"] * times


def test_a_player_without_a_constraint_is_free() -> None:
    network = nn.Linear(2, 1)
    optimizer = torch.optim.SGD(network.parameters(), lr=1e6)
    player: Player[Tensor] = Player("P", [network], optimizer, lambda samples: (network(samples).sum(), {}))
    bias = network.bias.detach().clone()
    move(player, [player], torch.ones(4, 2))
    assert torch.equal(network.bias, bias - 4e6)


def test_logged_loss_is_that_of_the_weights_before_they_moved_and_were_clipped() -> None:
    network = nn.Linear(2, 1)
    optimizer = torch.optim.SGD(network.parameters(), lr=1.0)
    samples = torch.randn(4, 2)
    expected = network(samples).mean().item()
    clip = WeightClip(list(network.parameters()), LIMIT)
    player: Player[Tensor] = Player("P", [network], optimizer, lambda round_: (network(round_).mean(), {}), clip)
    assert move(player, [player], samples)["loss/P"].item() == expected
    assert largest(network) <= LIMIT


@dataclass
class Witness:
    """A constraint that notes each parameter before and after it, with the gradient of the update."""

    clip: WeightClip
    seen: list[tuple[list[Tensor], list[Tensor], list[Tensor]]] = field(default_factory=list)

    def __call__(self) -> None:
        before, gradients = self._values(), [p.grad.clone() for p in self.clip.parameters if p.grad is not None]
        self.clip()
        self.seen.append((before, gradients, self._values()))

    def _values(self) -> list[Tensor]:
        return [parameter.detach().clone() for parameter in self.clip.parameters]


@pytest.mark.parametrize("reuse", ["none", "latents", "fakes"])
@pytest.mark.parametrize("d_steps", [1, 3])
def test_a_huge_step_lands_exactly_on_the_bound_that_the_gradient_points_away_from_in_every_turn(
    d_steps: int, reuse: str
) -> None:
    streams = Streams(3, CPU)
    generator, discriminator = MLPGenerator(4, (2,), widths=(8,)), MLPDiscriminator((2,), widths=(8,))
    witness = Witness(WeightClip(list(discriminator.parameters()), LIMIT))
    game = GAN(
        generator=generator,
        discriminator=discriminator,
        generator_optimizer=torch.optim.SGD(generator.parameters(), lr=0.1),
        discriminator_optimizer=torch.optim.SGD(discriminator.parameters(), lr=1e20),
        loss=BCE(),
        penalty=NoPenalty(),
        latents=Latents(4, "normal", streams),
        batches=Batches(Dataset(torch.randn(64, 2) + 1), 16, streams, shuffle=True, drop_last=True),
        streams=streams,
        autocast=nullcontext,
        constrain=witness,
        d_steps=d_steps,
        reuse=reuse,
    )
    for step in range(2):
        game.play(step)
        assert len(witness.seen) == (step + 1) * d_steps
    for before, gradients, after in witness.seen:
        assert len(before) == len(gradients) == len(after) == 4
        for updated, gradient, clipped in zip(before, gradients, after, strict=True):
            assert gradient.all()
            assert updated.abs().min() > LIMIT  # the update was made, and alone would have gone far
            assert torch.equal(clipped, torch.full_like(gradient, LIMIT) * -gradient.sign())


# In a run.


def started(compose: Compose, path: Path, *overrides: str) -> Run:
    return build(compose(*TINY, *overrides), RunDirectory(path))


@pytest.mark.exhaustive(2)
@pytest.mark.parametrize(
    "overrides",
    [
        (),
        ("loss=wgan", "train.d_steps=3"),
        ("loss=lsgan", "train.reuse=fakes"),
        ("model.discriminator.norm=layer",),
        ("model.discriminator.norm=batch",),
        ("model.discriminator.norm=spectral", "model.init=normal"),
        ("device.precision=bf16",),
    ],
    ids=lambda overrides: " ".join(overrides) or "default",
)
def test_discriminator_lies_in_the_interval_after_every_step_and_the_generator_is_free(
    overrides: tuple[str, ...], compose: Compose, tmp_path: Path
) -> None:
    run = started(compose, tmp_path, CLIPPED, *overrides)
    generator, discriminator = (run.game.networks[name] for name in ("generator", "discriminator"))
    for _ in range(4):
        run.advance()
        assert largest(discriminator) == torch.tensor(LIMIT).item()  # none beyond the bound, and some on it
        assert largest(generator) > LIMIT


def test_every_pass_but_those_of_the_first_move_meets_a_clipped_discriminator(compose: Compose, tmp_path: Path) -> None:
    run = started(compose, tmp_path, CLIPPED, "train.d_steps=3")
    met: list[float] = []
    run.game.networks["discriminator"].register_forward_pre_hook(lambda network, _: met.append(largest(network)))
    for _ in range(2):
        run.advance()
    assert len(met) == 2 * (3 * 2 + 1)  # real and fake in each of three turns, then the generator's fakes
    assert min(met[:2]) > LIMIT
    assert max(met[2:]) <= LIMIT


def test_statistics_of_batchnorm_are_not_parameters_and_are_not_clipped(compose: Compose, tmp_path: Path) -> None:
    run = started(compose, tmp_path, CLIPPED, "model.discriminator.norm=batch")
    for _ in range(4):
        run.advance()
    (norm,) = (m for m in run.game.networks["discriminator"].modules() if isinstance(m, nn.BatchNorm1d))
    assert norm.weight.abs().max() <= LIMIT
    assert norm.running_var.min() > LIMIT


@pytest.mark.exhaustive(1)
@pytest.mark.parametrize("overrides", [(), ("train.d_steps=2",), ("model.discriminator.norm=layer",)])
def test_without_a_limit_training_is_that_with_a_limit_out_of_reach(
    overrides: tuple[str, ...], compose: Compose, tmp_path: Path
) -> None:
    free = started(compose, tmp_path, *overrides)
    unreached = started(compose, tmp_path, "optim.discriminator.weight_clip=1e6", *overrides)
    for _ in range(4):
        free.advance()
        unreached.advance()
        assert largest(free.game.networks["discriminator"]) > LIMIT
    ours, theirs = free.state().tensors, unreached.state().tensors
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_moments_of_the_optimizer_know_nothing_of_the_clip_that_follows_its_first_update(
    compose: Compose, tmp_path: Path
) -> None:
    clipped, free = started(compose, tmp_path, CLIPPED), started(compose, tmp_path)
    for run in (clipped, free):
        run.advance()
    ours, theirs = clipped.state().part("optimizer/D"), free.state().part("optimizer/D")
    assert ours
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_trained_wgan_keeps_a_clipped_discriminator_in_all_its_checkpoints(cli: Cli) -> None:
    assert cli(*TINY, "loss=wgan", CLIPPED, "hydra.run.dir=run").code == 0
    paths = sorted(Path("run/checkpoints").glob("step_*.safetensors"))
    assert len(paths) == 2
    for path in paths:
        stored = checkpoint.load(path)
        weights = stored.part("network/discriminator").values()
        assert max(weight.abs().max().item() for weight in weights) == torch.tensor(LIMIT).item()
        assert max(weight.abs().max().item() for weight in stored.part("network/generator").values()) > LIMIT
