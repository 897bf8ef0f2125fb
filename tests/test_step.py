"""One move changes one player, by the gradient of its own objective."""

from collections.abc import Callable
from copy import deepcopy

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from gan_cli.step import Player, Stats, move, set_trainable


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


class Scalar(nn.Module):
    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = nn.Parameter(torch.tensor(value))


def xy_game() -> tuple[Scalar, Scalar, tuple[Player[None], Player[None]]]:
    """min over x, max over y of x·y, from (1, 1)."""
    x, y = Scalar(1.0), Scalar(1.0)

    def maximize(_: None) -> tuple[Tensor, Stats]:
        return -x.value * y.value, {}

    def minimize(_: None) -> tuple[Tensor, Stats]:
        return x.value * y.value, {}

    players = (
        Player("y", [y], torch.optim.SGD(y.parameters(), lr=1), maximize),
        Player("x", [x], torch.optim.SGD(x.parameters(), lr=1), minimize),
    )
    return x, y, players


def test_alternating_moves_on_xy_circle_the_optimum_and_return_after_six_steps() -> None:
    x, y, players = xy_game()
    track = [(x.value.item(), y.value.item())]
    for _ in range(6):
        for player in players:
            move(player, players, None)
        track.append((x.value.item(), y.value.item()))
    assert [point[1] for point in track] == [1, 2, 1, -1, -2, -1, 1]
    assert [point[0] for point in track] == [1, -1, -2, -1, 1, 2, 1]


class Rounds:
    """Three players that all see each other's networks in their objectives; a player may have several modules."""

    def __init__(self) -> None:
        torch.manual_seed(5)
        self.networks = [
            [nn.Linear(3, 4), nn.BatchNorm1d(4)],
            [nn.Linear(4, 4)],
            [nn.Linear(4, 1), nn.PReLU()],
        ]
        self.players = tuple(
            Player(name, modules, torch.optim.AdamW(nn.ModuleList(modules).parameters(), lr=0.1), self.objective(sign))
            for name, modules, sign in zip("ABC", self.networks, (1.0, -2.0, 3.0), strict=True)
        )
        self.samples = torch.randn(8, 3)

    def output(self, samples: Tensor) -> Tensor:
        return nn.Sequential(*(module for modules in self.networks for module in modules))(samples).square().mean()

    def objective(self, sign: float) -> Callable[[Tensor], tuple[Tensor, Stats]]:
        def of(samples: Tensor) -> tuple[Tensor, Stats]:
            loss = sign * self.output(samples)
            return loss, {"seen": samples.sum()}

        return of

    def parameters(self, index: int) -> list[nn.Parameter]:
        return list(nn.ModuleList(self.networks[index]).parameters())


@pytest.mark.parametrize("mover", [0, 1, 2])
def test_move_changes_the_parameters_of_its_player_and_of_no_other(mover: int) -> None:
    game = Rounds()
    before = [[p.detach().clone() for p in game.parameters(i)] for i in range(3)]
    for _ in range(3):  # weight decay and momentum, too, keep to their own
        move(game.players[mover], game.players, game.samples)
    for index in range(3):
        for old, new in zip(before[index], game.parameters(index), strict=True):
            assert torch.equal(old, new) == (index != mover)


@pytest.mark.parametrize("mover", [0, 1, 2])
def test_move_leaves_opponents_frozen_and_without_gradients(mover: int) -> None:
    game = Rounds()
    move(game.players[mover], game.players, game.samples)
    for index in range(3):
        for parameter in game.parameters(index):
            assert parameter.requires_grad == (index == mover)
            assert (parameter.grad is None) == (index != mover)


def test_move_adds_nothing_to_the_gradients_that_opponents_had() -> None:
    game = Rounds()
    move(game.players[0], game.players, game.samples)
    old = [p.grad.clone() for p in game.parameters(0) if p.grad is not None]
    assert old
    move(game.players[2], game.players, game.samples)
    for before, parameter in zip(old, game.parameters(0), strict=True):
        assert parameter.grad is not None
        assert torch.equal(before, parameter.grad)


@pytest.mark.parametrize("mover", [0, 1, 2])
def test_gradients_of_a_move_are_those_of_its_objective_alone(mover: int) -> None:
    game = Rounds()
    for parameter in game.parameters(mover):
        parameter.grad = torch.full_like(parameter, 1e3)  # left over from an earlier move
    for index in range(3):
        set_trainable(game.networks[index], True)
    same = deepcopy(game)
    loss, _ = same.objective((1.0, -2.0, 3.0)[mover])(game.samples)
    expected = torch.autograd.grad(loss, same.parameters(mover))
    move(game.players[mover], game.players, game.samples)
    for parameter, gradient in zip(game.parameters(mover), expected, strict=True):
        assert parameter.grad is not None
        assert_close(parameter.grad, gradient, rtol=1e-6, atol=1e-7)


def test_move_is_one_step_of_gradient_descent() -> None:
    network = nn.Linear(3, 1)
    samples, rate = torch.randn(5, 3), 0.25

    def objective(inputs: Tensor) -> tuple[Tensor, Stats]:
        return network(inputs).sum(), {}

    player = Player("P", [network], torch.optim.SGD(network.parameters(), lr=rate), objective)
    weight, bias = network.weight.detach().clone(), network.bias.detach().clone()
    move(player, [player], samples)
    # d/dW of sum(W x + b) is sum(x), d/db the number of samples.
    assert_close(network.weight.detach(), weight - rate * samples.sum(0))
    assert_close(network.bias.detach(), bias - rate * 5)


def test_statistics_of_a_move_are_the_loss_before_the_update_and_what_the_objective_adds() -> None:
    x, y, players = xy_game()
    x.value.data.fill_(3.0)
    y.value.data.fill_(5.0)
    stats = move(players[1], players, None)
    assert stats.keys() == {"loss/x"}
    assert stats["loss/x"].item() == 15.0
    assert not stats["loss/x"].requires_grad
    game = Rounds()
    assert move(game.players[1], game.players, game.samples)["seen"].item() == game.samples.sum().item()


def test_a_player_can_move_again_after_others_froze_it() -> None:
    x, _, players = xy_game()
    move(players[1], players, None)
    move(players[0], players, None)
    before = x.value.item()
    move(players[1], players, None)
    assert x.value.item() != before


# Clipping of gradients.


def pull(clip_norm: float | None, gradient: Tensor, rate: float = 1.0) -> tuple[Tensor, Stats]:
    """The update of one move whose objective has the given gradient, from 0, and the statistics."""
    network = Pulled(len(gradient))
    optimizer = torch.optim.SGD(network.parameters(), lr=rate)
    player = Player("D", [network], optimizer, lambda to: (network(to), {"seen": to.sum()}), clip_norm=clip_norm)
    stats = move(player, [player], gradient)
    return torch.cat([network.first.detach(), network.rest.detach()]), stats


class Pulled(nn.Module):
    """Two parameters in a row, whose inner product with what is given is the objective."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.first = nn.Parameter(torch.zeros(1, dtype=torch.float64))
        self.rest = nn.Parameter(torch.zeros(size - 1, dtype=torch.float64))

    def forward(self, to: Tensor) -> Tensor:
        return torch.cat([self.first, self.rest]) @ to


LONG = torch.tensor([3.0, 0.0, 4.0], dtype=torch.float64)  # of length 5


@pytest.mark.parametrize("clip_norm", [0.1, 1.0, 4.0])
def test_a_gradient_that_is_longer_is_scaled_down_to_exactly_the_length(clip_norm: float) -> None:
    update, _ = pull(clip_norm, LONG)
    # torch divides by the length + 1e-6.
    assert_close(update, -LONG * clip_norm / 5, rtol=1e-6, atol=0)
    assert float(update.norm()) == pytest.approx(clip_norm, rel=1e-6)
    assert float(pull(clip_norm, LONG, rate=0.5)[0].norm()) == pytest.approx(clip_norm / 2, rel=1e-6)
    assert float(pull(clip_norm, 1e6 * LONG)[0].norm()) == pytest.approx(clip_norm, rel=1e-6)


def test_length_is_that_of_all_groups_of_parameters_together() -> None:
    network = Pulled(3)
    groups = [{"params": [network.first]}, {"params": [network.rest], "lr": 2.0}]
    player = Player("D", [network], torch.optim.SGD(groups, lr=1.0), lambda to: (network(to), {}), clip_norm=1.0)
    move(player, [player], LONG)
    assert_close(network.first.detach(), torch.tensor([-0.6], dtype=torch.float64), rtol=1e-6, atol=0)
    assert_close(network.rest.detach(), torch.tensor([0.0, -1.6], dtype=torch.float64), rtol=1e-6, atol=0)


@pytest.mark.parametrize("clip_norm", [None, 5.1, 100.0])
def test_a_gradient_that_is_shorter_is_left_bit_by_bit(clip_norm: float | None) -> None:
    assert torch.equal(pull(clip_norm, LONG)[0], -LONG)


@pytest.mark.parametrize("clip_norm", [1.0, 100.0])
def test_length_before_clipping_is_logged_under_the_players_name_beside_the_rest(clip_norm: float) -> None:
    _, stats = pull(clip_norm, LONG)
    assert stats.keys() == {"loss/D", "seen", "gradient/D"}
    assert float(stats["gradient/D"]) == pytest.approx(5, rel=1e-12)
    assert not stats["gradient/D"].requires_grad
    assert pull(None, LONG)[1].keys() == {"loss/D", "seen"}


def test_clipping_looks_at_the_gradient_of_its_player_alone() -> None:
    game = Rounds()
    before = [p.detach().clone() for p in game.parameters(1)]
    a, b, c = game.players
    sgd = torch.optim.SGD(game.parameters(1), lr=1.0)
    clipped = Player("B", b.modules, sgd, b.objective, clip_norm=1e-3)
    for parameter in (*game.parameters(0), *game.parameters(2)):
        parameter.grad = torch.full_like(parameter, 1e6)  # those of other moves
    move(clipped, (a, clipped, c), game.samples)
    change = torch.cat([(new.detach() - old).flatten() for old, new in zip(before, game.parameters(1), strict=True)])
    assert float(change.norm()) == pytest.approx(1e-3, rel=1e-3)
    for parameter in (*game.parameters(0), *game.parameters(2)):
        assert parameter.grad is not None
        assert bool((parameter.grad == 1e6).all())
