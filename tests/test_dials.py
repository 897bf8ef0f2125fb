"""Numbers that follow a schedule: what each is in every step, that it is in force, and that its horizon stays."""

import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import TINY, Result
from torch import Tensor
from torch.optim.lr_scheduler import ConstantLR, CosineAnnealingLR, LinearLR, LRScheduler

from gan_cli import checkpoint
from gan_cli.augment.ada import ADA
from gan_cli.augment.diffaugment import DiffAugment
from gan_cli.build import build
from gan_cli.dials import attribute_dial, optimizer_dial
from gan_cli.games.gan import GAN
from gan_cli.horizon import with_horizon
from gan_cli.parse import to_plain
from gan_cli.penalties.zero_centered import R1
from gan_cli.run import Run
from gan_cli.run_directory import RunDirectory
from gan_cli.schedules import constant
from gan_cli.schema import Config

Compose = Callable[..., Config]
Cli = Callable[..., Result]

STEPS = 8
SCHEDULED = (
    *(*TINY, f"train.steps={STEPS}", "penalty=r1"),
    "optim.betas=[{start: 0.5, end: 0.1, shape: cosine, steps: 4}, {start: 0.9, end: 0.99, shape: linear, steps: 10}]",
    "penalty.gamma={start: 2, end: 0.2, shape: cosine}",
    "critic.noise={start: 0.1, end: 0}",
    "ema.half_life={start: 1, end: 1000}",
    "loss.d_scale={start: 1, end: 3, steps: 3}",
    "loss.real_target={start: 0.5, end: 1, shape: constant}",
)


def started(compose: Compose, path: Path, *overrides: str) -> Run:
    return build(compose(*overrides), RunDirectory(path))


def game_of(run: Run) -> GAN:
    assert isinstance(run.game, GAN)
    return run.game


def steps_of(run: Run, steps: int) -> Iterator[int]:
    """The steps, counted from 0, each when it has been made."""
    for step in range(steps):
        run.advance()
        assert run.step == step + 1
        yield step


def straight(start: float, end: float, steps: int, step: int) -> float:
    """On the line from (0, start) to (steps, end), and at the end after it."""
    return end if step >= steps else (start * (steps - step) + end * step) / steps


def wave(start: float, end: float, steps: int, step: int) -> float:
    """On half a wave between the two."""
    return (start + end) / 2 + (start - end) / 2 * math.cos(math.pi * min(step, steps) / steps)


# What each number is.


def test_every_number_is_what_its_schedule_says_while_a_step_is_played_and_after_it(
    compose: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = started(compose, tmp_path, *SCHEDULED)
    game, played = game_of(run), run.game.play

    def check(step: int) -> None:
        betas = (wave(0.5, 0.1, 4, step), straight(0.9, 0.99, 10, step))
        for player in game.players:
            for group in player.optimizer.param_groups:
                assert group["betas"] == pytest.approx(betas, rel=1e-12)
        assert isinstance(game.penalty, R1)
        assert game.penalty.gamma == pytest.approx(wave(2, 0.2, STEPS, step), rel=1e-12)
        assert game.view.noise == pytest.approx(straight(0.1, 0, STEPS, step), rel=1e-12, abs=1e-15)
        assert run.ema is not None
        assert run.ema.half_life == pytest.approx(straight(1, 1000, STEPS, step), rel=1e-12)
        assert game.loss.d_scale == pytest.approx(straight(1, 3, 3, step), rel=1e-12)  # type: ignore[attr-defined]
        assert game.loss.real_target == 0.5  # type: ignore[attr-defined]
        assert (game.penalty.every, game.loss.fake_target) == (1, 0.0)  # type: ignore[attr-defined]

    def play(step: int) -> dict[str, Tensor]:
        check(step)
        return played(step)

    monkeypatch.setattr(run.game, "play", play)
    for step in steps_of(run, STEPS + 3):  # beyond the horizon each stays at its end
        check(step)
    run.meter.check()


def test_a_built_run_has_the_numbers_of_its_first_step_already(compose: Compose, tmp_path: Path) -> None:
    run = started(compose, tmp_path, *SCHEDULED)
    game = game_of(run)
    assert [tuple(player.optimizer.param_groups[0]["betas"]) for player in game.players] == [(0.5, 0.9)] * 2
    assert (game.penalty, game.view.noise) == (R1(gamma=2.0), 0.1)
    assert run.ema is not None
    assert run.ema.half_life == 1.0


def test_the_strength_of_an_augmentation_follows_its_schedule(compose: Compose, tmp_path: Path) -> None:
    images = ("data.limit=32", "train.batch_size=8", "latent.dim=4", "train.steps=4")
    small = ("model.generator.widths=[4]", "model.discriminator.widths=[4]")
    cutout = ("augment=diffaugment", "augment.cutout={start: 0, end: 1}", "augment.color=false")
    run = started(compose, tmp_path, *images, *small, *cutout)
    for step in steps_of(run, 5):
        assert game_of(run).view.augment == DiffAugment(False, 0.125, straight(0, 1, 4, step))
    steady = ("augment=ada", "augment.target=null", "augment.p={start: 0.8, end: 0.2, shape: cosine}")
    run = started(compose, tmp_path, *images, *small, *steady)
    for step in steps_of(run, 5):
        augment = game_of(run).view.augment
        assert isinstance(augment, ADA)
        assert augment.p == pytest.approx(wave(0.8, 0.2, 4, step), rel=1e-12)
        assert game_of(run).critic.view is game_of(run).view  # the one that samples pass through


def test_betas_of_somebody_elses_optimizer_follow_their_schedules_too(compose: Compose, tmp_path: Path) -> None:
    other = ("optim._target_=torch.optim.Adamax", "~optim.fused", "optim.eps={start: 1e-8, end: 1e-4, steps: 2}")
    run = started(compose, tmp_path, *TINY, *other, "optim.betas=[0.5,{start: 0.9, end: 0.99}]")
    for step in steps_of(run, 4):
        for player in game_of(run).players:
            (group,) = player.optimizer.param_groups
            assert group["betas"] == pytest.approx([0.5, straight(0.9, 0.99, 12, step)], rel=1e-12)
            assert group["eps"] == pytest.approx(straight(1e-8, 1e-4, 2, step), rel=1e-12)


def test_what_an_optimizer_was_given_as_a_mapping_that_is_no_schedule_is_left_to_it() -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    turn = optimizer_dial(optimizer, 0.5, constant(2.0), {"momentum": 0.0, "mine": {"a": 1}, "several": [{"b": 2}]})
    turn(3)
    assert optimizer.param_groups[0]["lr"] == 1.0
    assert optimizer.param_groups[0].keys().isdisjoint({"mine", "several"})


def test_a_dial_turns_one_attribute_and_may_be_turned_back() -> None:
    class Owner:
        number = -1.0

    owner = Owner()
    turn = attribute_dial(owner, "number", {"start": 4.0, "end": 0.0, "shape": "linear", "steps": 4})
    for step in (3, 0, 9, 1):
        turn(step)
        assert owner.number == max(0.0, 4.0 - step)
    attribute_dial(owner, "number", 7.0)(5)
    assert owner.number == 7.0


# That it is in force.


def test_betas_of_the_step_weigh_its_gradient_in_both_optimizers(compose: Compose, tmp_path: Path) -> None:
    run = started(compose, tmp_path, *SCHEDULED)
    game = game_of(run)
    networks = (game.discriminator, game.generator)  # as the players
    first, second = [
        [[torch.zeros_like(parameter) for parameter in network.parameters()] for network in networks] for _ in range(2)
    ]
    for step in steps_of(run, STEPS):
        beta, gamma = wave(0.5, 0.1, 4, step), straight(0.9, 0.99, 10, step)
        for player, network, means, squares in zip(game.players, networks, first, second, strict=True):
            for parameter, mean, square in zip(network.parameters(), means, squares, strict=True):
                assert parameter.grad is not None  # the one of this step: it is cleared before the next
                mean.mul_(beta).add_(parameter.grad, alpha=1 - beta)
                square.mul_(gamma).add_(parameter.grad**2, alpha=1 - gamma)
                state = player.optimizer.state[parameter]
                torch.testing.assert_close(state["exp_avg"], mean, rtol=1e-4, atol=1e-7)
                torch.testing.assert_close(state["exp_avg_sq"], square, rtol=1e-4, atol=1e-9)


def test_penalty_and_loss_weigh_as_much_as_their_numbers_of_the_step(
    compose: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Networks that do not move, so that the two runs look at the same.
    still = (*TINY, "optim.lr=1e-30", "loss=hinge", "penalty=r1", "device.compile=none")
    plain = started(compose, tmp_path, *still)
    changing = ("penalty.gamma={start: 2, end: 0.2, shape: cosine}", "loss.d_scale={start: 1, end: 3, steps: 3}")
    run = started(compose, tmp_path, *still, *changing)
    told: dict[str, list[dict[str, Tensor]]] = {"plain": [], "changing": []}
    for name, each in (("plain", plain), ("changing", run)):
        played = each.game.play
        monkeypatch.setattr(each.game, "play", lambda step, p=played, n=name: told[n].append(p(step)) or told[n][-1])
        for _ in steps_of(each, 14):
            pass
    for step, (one, other) in enumerate(zip(told["plain"], told["changing"], strict=True)):
        assert float(one["penalty/D"]) > 0
        torch.testing.assert_close(other["penalty/D"], one["penalty/D"] * wave(2, 0.2, 12, step))
        torch.testing.assert_close(other["loss/D"], one["loss/D"] * straight(1, 3, 3, step))
        torch.testing.assert_close(other["loss/G"], one["loss/G"])


def test_the_average_forgets_as_fast_as_the_half_life_of_the_step_says(compose: Compose, tmp_path: Path) -> None:
    half_life = "ema.half_life={start: 1, end: 1000}"
    run = started(compose, tmp_path, *TINY, half_life, "ema.ramp_up=1e9", "optim.lr=0.1")
    assert run.ema is not None
    average = [parameter.clone() for parameter in run.ema.network.parameters()]
    for step in steps_of(run, 14):
        kept = 2 ** (-16 / straight(1, 1000, 12, step))
        for mean, now, theirs in zip(
            average, game_of(run).generator.parameters(), run.ema.network.parameters(), strict=True
        ):
            mean.mul_(kept).add_(now.detach(), alpha=1 - kept)
            torch.testing.assert_close(theirs, mean)


def test_the_discriminator_sees_real_and_fake_alike_under_the_noise_of_the_step(
    compose: Compose, tmp_path: Path
) -> None:
    big = ("data.num_samples=4096", "train.batch_size=2048", "train.steps=4", "latent.dim=8")
    run = started(compose, tmp_path, *TINY, *big, "critic.noise={start: 0.5, end: 0, shape: cosine}", "loss=rsgan")
    game, seen, made = game_of(run), [], []
    game.discriminator.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].detach()))
    game.generator.register_forward_hook(lambda *called: made.append(called[2].detach()))
    for step in steps_of(run, 5):
        real = game.batches(step).samples
        of_discriminator, of_generator = made
        shown = (real, of_discriminator, of_generator, real)  # a relativistic generator looks at the real ones again
        noises = [one - other for one, other in zip(seen, shown, strict=True)]
        std = wave(0.5, 0, 4, step)
        count = noises[0].numel()
        for noise in noises:
            if step == 4:
                assert torch.equal(noise, torch.zeros_like(noise))
                continue
            assert abs(float(noise.var(correction=0)) - std**2) < 4 * std**2 * math.sqrt(2 / count)
            assert abs(float(noise.mean())) < 4 * std / math.sqrt(count)
            assert abs(float((noise / std).pow(4).mean()) - 3) < 4 * math.sqrt(96 / count)  # as of a normal one
        for i, noise in enumerate(noises if std else []):
            for other in noises[:i]:  # each drawn for itself
                assert abs(float((noise * other).mean())) < 4 * std**2 / math.sqrt(count)
        seen.clear()
        made.clear()


@pytest.mark.parametrize(
    ("shape", "scheduler"),
    [
        ("constant", lambda optimizer: ConstantLR(optimizer, 1.0)),
        ("linear", lambda optimizer: LinearLR(optimizer, 1.0, 0.25, 5)),
        ("cosine", lambda optimizer: CosineAnnealingLR(optimizer, 5, 0.0)),
    ],
)
def test_learning_rates_are_those_of_torchs_schedulers_for_either_player(
    shape: str, scheduler: Callable[[torch.optim.Optimizer], LRScheduler], compose: Compose, tmp_path: Path
) -> None:
    final = 0.0 if shape == "cosine" else 0.25
    rates = ("optim.generator.lr=0.002", "optim.discriminator.lr=0.008", f"optim.schedule.shape={shape}")
    run = started(compose, tmp_path, *TINY, *rates, f"optim.schedule.final={final}", "optim.schedule.steps=5")
    theirs = [torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=rate) for rate in (0.008, 0.002)]
    schedulers = [scheduler(optimizer) for optimizer in theirs]
    for step in steps_of(run, 8):
        for player, reference, other in zip(game_of(run).players, theirs, schedulers, strict=True):
            (group,) = player.optimizer.param_groups
            assert group["lr"] == pytest.approx(reference.param_groups[0]["lr"], rel=1e-9, abs=1e-18)
            assert tuple(group["betas"]) == (0.5, 0.999)
            reference.step()
            if step < 5:  # CosineAnnealingLR goes up again behind its end
                other.step()


# The horizon.


def horizons(config: Any) -> dict[str, int | None]:
    """Every `steps` of a schedule in a plain configuration, by the path of the schedule."""
    found: dict[str, int | None] = {}

    def search(node: Any, path: str) -> None:
        entries = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
        if isinstance(node, dict) and "steps" in node and path != "train":
            found[path] = node["steps"]
        for key, entry in entries:
            search(entry, f"{path}.{key}".lstrip("."))

    search(config, "")
    return found


EVERYWHERE = {
    "optim.betas.0": 4,
    "optim.betas.1": 10,
    "loss.d_scale": 3,
    **dict.fromkeys(("penalty.gamma", "critic.noise", "ema.half_life", "loss.real_target", "optim.schedule")),
}


def test_the_horizon_is_the_runs_length_where_a_schedule_has_none_of_its_own(compose: Compose, tmp_path: Path) -> None:
    config = compose(*SCHEDULED)
    assert horizons(to_plain(config)) == EVERYWHERE
    filled = {path: steps or STEPS for path, steps in EVERYWHERE.items()}
    assert horizons(to_plain(with_horizon(config, STEPS, 1))) == filled
    assert horizons(to_plain(config)) == EVERYWHERE  # which stays as it was typed
    run = started(compose, tmp_path, *SCHEDULED)
    assert horizons(run.config) == filled
    assert horizons(run.state().config) == filled


def test_the_length_of_a_run_of_epochs_is_counted_in_steps(compose: Compose, tmp_path: Path) -> None:
    epochs = ("train.steps=null", "train.epochs=3", "train.d_steps=2")
    run = started(compose, tmp_path, *TINY, *epochs, "critic.noise={start: 0.1, end: 0}")
    assert run.total_steps == 3 * (64 // 16) // 2
    assert horizons(run.config) == {"critic.noise": 6, "optim.schedule": 6}
    for step in steps_of(run, 6):
        assert game_of(run).view.noise == pytest.approx(straight(0.1, 0, 6, step))


def last(run: str) -> checkpoint.Checkpoint:
    return checkpoint.load(Path(run, "checkpoints/last.safetensors"))


def test_an_extended_run_keeps_its_horizon_and_ends_in_the_bits_of_one_that_says_it(cli: Cli) -> None:
    typed = [override.replace(", steps: 10", "").replace(", steps: 4", "") for override in SCHEDULED]
    typed += ["optim.schedule.shape=linear", "optim.schedule.final=0.5", "train.sample_every=0"]
    assert cli(*typed, "train.steps=5", "hydra.run.dir=parts").code == 0
    expected = {path: 3 if path == "loss.d_scale" else 5 for path in EVERYWHERE}
    assert horizons(last("parts").config) == expected
    extended = cli("resume=parts", "train.steps=9")
    assert extended.code == 0, extended.err
    assert horizons(last("parts").config) == expected
    again = cli("resume=parts", "train.epochs=9", "train.steps=11")
    assert again.code == 0, again.err
    assert horizons(last("parts").config) == expected

    explicit = [
        override.replace("}", ", steps: 5}") if "{" in override and "steps" not in override else override
        for override in typed
    ]
    explicit[explicit.index(next(o for o in explicit if o.startswith("optim.betas")))] = (
        "optim.betas=[{start: 0.5, end: 0.1, shape: cosine, steps: 5},{start: 0.9, end: 0.99, shape: linear, steps: 5}]"
    )
    assert cli(*explicit, "optim.schedule.steps=5", "train.steps=11", "hydra.run.dir=straight").code == 0
    one, other = last("parts"), last("straight")
    assert horizons(other.config) == expected
    assert one.tensors.keys() == other.tensors.keys()
    for name, tensor in one.tensors.items():
        assert torch.equal(tensor, other.tensors[name]), name
    told = [
        [
            {key: value for key, value in json.loads(line).items() if not key.startswith("speed/")}
            for line in Path(run, "metrics.jsonl").read_text().splitlines()
        ]
        for run in ("parts", "straight")
    ]
    assert told[0][-1] == told[1][-1]


@pytest.mark.slow
def test_a_schedule_of_a_resumed_run_changes_by_name_alone(cli: Cli) -> None:
    run = (*TINY, "train.steps=4", "train.sample_every=0", "critic.noise={start: 0.1, end: 0}")
    assert cli(*run, "hydra.run.dir=run").code == 0
    refused = cli("resume=run", "train.steps=6", "critic.noise.end=0.05")
    assert refused.code == 2
    assert "critic.noise.end: 0.0 -> 0.05" in refused.err
    assert "allow_changes=[critic.noise.end]" in refused.err
    assert cli("resume=run", "train.steps=6", "critic.noise.end=0.05", "allow_changes=[critic.noise]").code == 0
    assert last("run").config["critic"]["noise"] == {"start": 0.1, "end": 0.05, "shape": "linear", "steps": 4}
    flat = cli("resume=run", "train.steps=8", "critic.noise=0.02", "allow_changes=[critic.noise]")
    assert flat.code == 0, flat.err
    assert last("run").config["critic"]["noise"] == 0.02
    risen = cli("resume=run", "train.steps=10", "critic.noise={start: 0, end: 1}", "allow_changes=[critic.noise]")
    assert risen.code == 0, risen.err
    assert last("run").config["critic"]["noise"] == {"start": 0.0, "end": 1.0, "shape": "linear", "steps": 10}
