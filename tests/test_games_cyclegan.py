"""CycleGAN: its steps are those of the plain loop it stands for, and what need not change is left alone."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import Result
from cyclegan_runs import TINY_CYCLE
from torch import Tensor, nn
from torch.testing import assert_close

from gan_cli.build import build
from gan_cli.games.cyclegan import CycleGAN, Round
from gan_cli.run import Run
from gan_cli.run_directory import RunDirectory
from gan_cli.schema import Config
from gan_cli.step import set_trainable

Compose = Callable[..., Config]
Cli = Callable[..., Result]

LOSSES = ("bce", "minimax", "lsgan", "hinge", "rsgan", "rasgan", "ralsgan", "rahinge")


def started(compose: Compose, path: Path, *overrides: str) -> Run:
    return build(compose(*TINY_CYCLE, *overrides), RunDirectory(path))


def game_of(run: Run) -> CycleGAN:
    assert isinstance(run.game, CycleGAN)
    return run.game


def weights(run: Run) -> dict[str, Tensor]:
    return {
        f"{name}/{key}": tensor.clone()
        for name in ("generator", "discriminator")
        for key, tensor in run.game.networks[name].state_dict().items()
    }


class PlainLoop:
    """Algorithm and weights of the paper, in plain PyTorch, sharing the batches and nothing else. No pool."""

    def __init__(self, compose: Compose, path: Path) -> None:
        run = started(compose, path, "game.pool=0", "device.compile=none")
        game = game_of(run)
        self.batches = game.batches
        self.a2b, self.b2a = game.generators["a2b"], game.generators["b2a"]
        self.of_a, self.of_b = game.discriminators["a"], game.discriminators["b"]
        self.networks = run.game.networks
        both = [*self.a2b.parameters(), *self.b2a.parameters()]
        self.generators = torch.optim.Adam(both, 2e-4, (0.5, 0.999))
        both = [*self.of_a.parameters(), *self.of_b.parameters()]
        self.discriminators = torch.optim.Adam(both, 2e-4, (0.5, 0.999))

    def step(self, number: int) -> dict[str, Tensor]:
        a, b = (self.batches[domain](number).samples for domain in ("a", "b"))
        fake_b, fake_a = self.a2b(a), self.b2a(b)
        adversarial = ((self.of_b(fake_b) - 1) ** 2).mean() + ((self.of_a(fake_a) - 1) ** 2).mean()
        cycle = (self.b2a(fake_b) - a).abs().mean() + (self.a2b(fake_a) - b).abs().mean()
        identity = (self.a2b(b) - b).abs().mean() + (self.b2a(a) - a).abs().mean()
        self.generators.zero_grad()
        (adversarial + 10 * cycle + 5 * identity).backward()
        self.generators.step()
        told = [
            0.5 * (((judge(real) - 1) ** 2).mean() + (judge(fake.detach()) ** 2).mean())
            for judge, real, fake in ((self.of_a, a, fake_a), (self.of_b, b, fake_b))
        ]
        self.discriminators.zero_grad()
        (told[0] + told[1]).backward()
        self.discriminators.step()
        return {
            "loss/G": adversarial / 4,  # the mean of both, halved as loss=lsgan is
            "loss/cycle": cycle / 2,
            "loss/identity": identity / 2,
            "loss/D": (told[0] + told[1]) / 2,
        }


def test_steps_are_those_of_the_plain_loop(compose: Compose, tmp_path: Path) -> None:
    run, plain = started(compose, tmp_path, "game.pool=0"), PlainLoop(compose, tmp_path)
    for number in range(5):  # the rate is constant in the first half of 12 steps
        run_stats, plain_stats = game_of(run).play(number), plain.step(number)
        for name, value in plain_stats.items():
            assert_close(run_stats[name], value.detach(), rtol=1e-4, atol=1e-6)
    for name in ("generator", "discriminator"):
        ours, theirs = run.game.networks[name].state_dict(), plain.networks[name].state_dict()
        for key, tensor in ours.items():
            # Instance normalization takes biases before it away: their gradients are rounding, which Adam enlarges.
            if key.endswith("weight"):
                assert_close(tensor, theirs[key], rtol=1e-3, atol=2e-5)


class Same(nn.Module):
    """The identity, as a function that could learn otherwise."""

    def __init__(self) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.ones(()))

    def forward(self, images: Tensor) -> Tensor:
        return self.factor * images


def with_generators(run: Run, made: Callable[[], nn.Module]) -> CycleGAN:
    """The run's game with other generators."""
    game = game_of(run)
    generators = nn.ModuleDict({"a2b": made(), "b2a": made()})
    return CycleGAN(
        generators=generators,
        discriminators=game.discriminators,
        pools=game.pools,
        generator_optimizer=torch.optim.SGD(generators.parameters(), 0.1),
        discriminator_optimizer=game.discriminator_player.optimizer,
        loss=game.loss,
        penalty=game.penalty,
        weights=game.weights,
        batches=game.batches,
        streams=game.streams,
        autocast=game.autocast,
    )


def round_of(game: CycleGAN, number: int = 0) -> Round:
    real = {domain: game.batches[domain](number).samples for domain in ("a", "b")}
    fake = {"a": game.translated(real["b"], "b2a"), "b": game.translated(real["a"], "a2b")}
    return Round(real, fake, number, game.streams.draws("generator", number))


def test_the_identity_is_a_fixed_point_of_the_cycle_and_identity_losses(compose: Compose, tmp_path: Path) -> None:
    game = with_generators(started(compose, tmp_path, "game.adversarial_weight=0"), Same)
    total, stats = game.generator_objective(round_of(game))
    assert float(stats["loss/cycle"]) == float(stats["loss/identity"]) == float(total.detach()) == 0
    total.backward()
    assert [float(parameter.grad) for parameter in game.generators.parameters()] == [0, 0]
    before = [parameter.clone() for parameter in game.generators.parameters()]
    game.play(0)
    assert list(game.generators.parameters()) == before
    # And no other multiple of it is one.
    with torch.no_grad():
        game.generators["a2b"].factor.fill_(0.9)
    total, _ = game.generator_objective(round_of(game))
    assert float(total.detach()) > 0


def test_the_weights_weigh_the_parts_of_the_objective(compose: Compose, tmp_path: Path) -> None:
    def parts(*overrides: str) -> tuple[float, dict[str, float]]:
        game = game_of(started(compose, tmp_path, *overrides))
        total, stats = game.generator_objective(round_of(game))
        return float(total.detach()), {name: float(value) for name, value in stats.items()}

    total, stats = parts("game.adversarial_weight=3", "game.cycle_weight=7", "game.identity_weight=2")
    expected = 2 * (3 * stats["loss/G"] + 7 * stats["loss/cycle"] + 2 * stats["loss/identity"])
    assert total == pytest.approx(expected, rel=1e-5)
    total, stats = parts("game.adversarial_weight=3", "game.cycle_weight=7", "game.identity_weight=0")
    assert stats.keys() == {"loss/G", "loss/cycle"}
    assert total == pytest.approx(2 * (3 * stats["loss/G"] + 7 * stats["loss/cycle"]), rel=1e-5)


def test_a_move_leaves_the_other_player_alone_and_the_critics_see_fakes_through_the_pool(
    compose: Compose, tmp_path: Path
) -> None:
    game = game_of(started(compose, tmp_path))
    seen: list[Mapping[str, Tensor]] = []
    objective = game.discriminator_player.objective

    def noted(round_: Round) -> Any:
        seen.append(round_.fake)
        return objective(round_)

    object.__setattr__(game.discriminator_player, "objective", noted)
    for step in range(3):
        real = {domain: game.batches[domain](step).samples for domain in ("a", "b")}
        with torch.no_grad():
            new = {"a": game.translated(real["b"], "b2a"), "b": game.translated(real["a"], "a2b")}
        held = {domain: pool.images.clone() for domain, pool in game.pools.items()}
        game.play(step)
        for domain in ("a", "b"):
            assert not seen[-1][domain].requires_grad
            for shown in seen[-1][domain]:
                known = torch.cat([new[domain], held[domain]])
                assert any(torch.allclose(shown, one, atol=1e-6) for one in known)
    assert [int(pool.held) for pool in game.pools.values()] == [6, 6]
    # 12 fakes of each domain went through a pool of 6: some that were shown are earlier ones.
    assert any(
        not any(torch.allclose(shown, one, atol=1e-6) for one in new[domain])
        for domain in ("a", "b")
        for shown in seen[-1][domain]
    )
    before = {name: [p.clone() for p in game.networks[name].parameters()] for name in ("generator", "discriminator")}
    set_trainable([game.generators], True)
    stats = game.generator_objective(round_of(game, 3))[1]
    assert stats.keys() == {"loss/G", "loss/cycle", "loss/identity"}
    for name, parameters in before.items():
        now = game.networks[name].parameters()
        assert all(torch.equal(one, other) for one, other in zip(parameters, now, strict=True))


# The data of two domains.


def test_sides_of_one_size_meet_in_other_pairs_each_epoch(compose: Compose, tmp_path: Path) -> None:
    game = game_of(started(compose, tmp_path, "data.limit=8", "train.batch_size=1"))

    def pairs(epoch: int) -> set[tuple[int, int]]:
        found = set()
        for number in range(8 * epoch, 8 * epoch + 8):
            chosen = []
            for domain in ("a", "b"):
                stored = game.batches[domain].dataset.samples
                sample = game.batches[domain](number).samples[0].add(1).mul(127.5).round()
                chosen.append(int(torch.stack([(sample - one).abs().sum() for one in stored]).argmin()))
            found.add((chosen[0], chosen[1]))
        return found

    first, second = pairs(0), pairs(1)
    for epoch in (first, second):
        assert {a for a, _ in epoch} == {b for _, b in epoch} == set(range(8))
    assert first != second


def test_losses_penalties_and_views_go_with_it(compose: Compose, tmp_path: Path) -> None:
    for number, loss in enumerate(LOSSES):
        penalty = ("none", "r1", "gp", "r1r2")[number % 4]
        augment = ("none", "diffaugment", "none")[number % 3]
        run = started(compose, tmp_path, f"loss={loss}", f"penalty={penalty}", f"augment={augment}", "critic.noise=0.1")
        before = weights(run)
        run.advance()
        run.meter.check()
        moved = {name: not torch.equal(before[name], now) for name, now in weights(run).items()}
        assert all(did for name, did in moved.items() if name.endswith("weight"))
        assert ("penalty/D" in run.meter.means()) == (penalty != "none")


@pytest.mark.exhaustive(2)
@pytest.mark.parametrize(
    "overrides",
    [
        ("loss=wgan", "penalty=gp"),
        ("loss=wgan", "optim.discriminator.weight_clip=0.01"),
        ("augment=ada", "augment.every=1", "augment.images=100", "critic.flip=true", "data.flip=true"),
        ("device.precision=bf16", "optim.clip_norm=0.1"),
        ("model.discriminator.packing=2", "model.generator.norm=batch", "model.generator.dropout=0.5"),
        ("model.discriminator.minibatch_std=2", "optim=adamw", "critic.noise={start: 0.5, end: 0}"),
    ],
    ids=lambda value: value[0],
)
def test_other_axes_go_with_it(overrides: tuple[str, ...], compose: Compose, tmp_path: Path) -> None:
    run = started(compose, tmp_path, *overrides)
    for _ in range(3):
        run.advance()
    run.meter.check()
    means = run.meter.means()
    assert {"loss/G", "loss/D", "loss/cycle", "loss/identity", "logits/real", "logits/fake"} <= means.keys()
    assert ("augment/p" in means) == ("augment=ada" in overrides)
    assert ("gradient/G" in means) == ("optim.clip_norm=0.1" in overrides)


def test_recorded_steps_are_the_steps_themselves(compose: Compose, tmp_path: Path) -> None:
    recorded = started(compose, tmp_path, "device.compile=graph")
    plain = started(compose, tmp_path, "device.compile=none")
    for run in (recorded, plain):
        for _ in range(8):
            run.advance()
    refused = recorded.play.__self__.refused  # type: ignore[union-attr]
    assert refused is None
    for name, tensor in plain.state().tensors.items():
        assert torch.equal(tensor, recorded.state().tensors[name]), name


def test_rates_stay_for_half_of_the_run_and_then_fall_in_a_straight_line(compose: Compose, tmp_path: Path) -> None:
    run, rates = started(compose, tmp_path), []
    for _ in range(12):
        run.advance()
        rates.append([float(player.optimizer.param_groups[0]["lr"]) / 2e-4 for player in run.game.players])
    expected = [1.0] * 6 + [1 - step / 6 for step in range(6)]
    for player in (0, 1):
        assert [pair[player] for pair in rates] == pytest.approx(expected)


def test_an_average_of_both_generators_is_kept_and_shown(compose: Compose, tmp_path: Path) -> None:
    run = started(compose, tmp_path, "ema.half_life=1000")
    run.advance()
    assert run.ema is not None
    names = run.ema.network.state_dict().keys()
    assert names == run.game.networks["generator"].state_dict().keys()
    assert {name.split(".")[0] for name in names} == {"a2b", "b2a"}
    picture = run.preview.fake()
    with torch.no_grad():
        for parameter in run.game.networks["generator"].parameters():
            parameter.zero_()
    assert torch.equal(run.preview.fake(), picture)
