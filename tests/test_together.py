"""Several runs as one program: each is what it is alone, whatever becomes of the others."""

import json
import os
import signal
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from conftest import TINY, Result
from torch import Tensor

from gan_cli import checkpoint
from gan_cli.build import build
from gan_cli.commands.conduct import conduct, conduct_together
from gan_cli.errors import Incompatible, Stopped
from gan_cli.meter import Meter
from gan_cli.run import Run
from gan_cli.run_directory import RunDirectory
from gan_cli.schema import Config
from gan_cli.streams import Streams
from gan_cli.together.draws import Drawn, JoinedStreams, NotDrawn, Request
from gan_cli.together.meters import JoinedMeter
from gan_cli.together.obstacles import obstacle
from gan_cli.together.program import Together

Compose = Callable[..., Config]

CPU = torch.device("cpu")
STEPS = 100
RATES = (1e-3, 2e-3, 1e-3, 5e-4, 3e-3)
SAME = (1e-3,) * 5
BARE = (*TINY, "train.sample_every=0")


def varied(config: Config, place: int, rates: Sequence[float] = RATES) -> Config:
    """The configuration with another seed, and other learning rates."""
    optim = config.optim
    generator = replace(optim.generator, lr=rates[place])
    discriminator = replace(optim.discriminator, lr=rates[-1 - place])
    return replace(config, seed=10 + place, optim=replace(optim, generator=generator, discriminator=discriminator))


def built(config: Config, directory: Path, count: int = 5, rates: Sequence[float] = RATES) -> list[Run]:
    """That many runs that differ in their seeds, and their learning rates."""
    return [build(varied(config, place, rates), RunDirectory(directory / str(place))) for place in range(count)]


def tensors(run: Run) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in run.state().tensors.items()}


def furthest(one: Run, other: Run) -> float:
    """The largest difference of two runs in a parameter, an average or a logged mean."""
    mine, theirs = tensors(one), tensors(other)
    assert mine.keys() == theirs.keys()
    assert {name: (t.shape, t.dtype) for name, t in mine.items()} == {n: (t.shape, t.dtype) for n, t in theirs.items()}
    means, other_means = one.meter.means(), other.meter.means()
    assert means.keys() == other_means.keys()
    networks = [float((mine[name] - theirs[name]).abs().max()) for name in mine if name.startswith("network/")]
    return max(*networks, *(abs(means[name] - other_means[name]) for name in means))


QUICK = {
    "adam, schedules, an average": (
        *("optim.schedule.shape=cosine", "optim.betas=[0.5,{start: 0.9, end: 0.99}]", "ema.half_life=100"),
        *("penalty=r1", "penalty.gamma={start: 1.0, end: 0.1}"),
    ),
    "rsgan, sgd, latents": ("loss=rsgan", "optim=sgd", "optim.momentum=0.9", "train.reuse=latents"),
}
SLOW = {
    "bce": (),
    "lsgan": ("loss=lsgan",),
    "minimax": ("loss=minimax",),
    "hinge, adamw": ("loss=hinge", "optim=adamw"),
    "wgan-gp, rmsprop, fakes": ("loss=wgan", "penalty=gp", "optim=rmsprop", "train.reuse=fakes", "train.d_steps=2"),
    "clipped weights": ("loss=wgan", "optim.discriminator.weight_clip=0.05"),
    "r1r2, lazily": ("loss=rsgan", "penalty=r1r2", "penalty.every=2"),
    "dragan": ("penalty=dragan",),
    "three moves of D": ("train.d_steps=3",),
    "label noise": ("loss.real_target=[0.7,1.2]", "loss.flip=0.1"),
    "momentum": ("optim=rmsprop", "optim.momentum=0.5"),
    "packs": ("model.discriminator.packing=2",),
    "minibatch std": ("model.discriminator.minibatch_std=4",),
    "layer norm": ("model.discriminator.norm=layer", "model.generator.activation=gelu"),
    "group norm": ("model.discriminator.norm=group",),
    "a ragged batch": ("data.drop_last=false", "data.num_samples=70"),
    "noise that comes": ("critic.noise={start: 0.0, end: 0.3}",),
    "d2l": ("experiment=d2l_gaussian", "model.generator.widths=[]", "model.discriminator.widths=[5,3]"),
}
CASES = [*QUICK.values(), *(pytest.param(overrides, marks=pytest.mark.slow) for overrides in SLOW.values())]


def check_equal_to_runs_alone(config: Config, directory: Path, rates: Sequence[float]) -> None:
    """100 steps of five runs together, and of each alone."""
    alone, side_by_side = built(config, directory, rates=rates), built(config, directory, rates=rates)
    program = Together(side_by_side)
    for step in range(1, STEPS + 1):
        program.advance()
        for run in alone:
            run.advance()
        if step in (1, STEPS):
            assert [run.step for run in side_by_side] == [step] * 5
            apart = max(furthest(one, other) for one, other in zip(alone, side_by_side, strict=True))
            assert apart < (1e-6 if step == 1 else 1e-5)
    assert furthest(alone[0], alone[1]) > 1e-2  # they are different runs


@pytest.mark.parametrize("overrides", CASES, ids=[*QUICK, *SLOW])
def test_each_run_is_what_it_is_alone(overrides: Sequence[str], compose: Compose, tmp_path: Path) -> None:
    check_equal_to_runs_alone(compose(*TINY, f"train.steps={STEPS}", *overrides), tmp_path, RATES)


@pytest.mark.slow
@pytest.mark.parametrize("optim", ["adam", "adamw", "rmsprop", "sgd"])
def test_runs_of_equal_rates_are_what_they_are_alone(optim: str, compose: Compose, tmp_path: Path) -> None:
    check_equal_to_runs_alone(compose(*TINY, f"train.steps={STEPS}", f"optim={optim}"), tmp_path, SAME)


def test_numbers_of_loss_and_penalty_may_differ(compose: Compose, tmp_path: Path) -> None:
    config = compose(*TINY, "penalty=r1")
    configs = [
        replace(config, penalty={**config.penalty, "gamma": gamma}, loss={**config.loss, "real_target": 1 - gamma / 10})
        for gamma in (0.1, 1.0, 3.0)
    ]
    assert obstacle(configs) is None
    alone, side_by_side = ([build(config, RunDirectory(tmp_path)) for config in configs] for _ in range(2))
    program = Together(side_by_side)
    for _ in range(20):
        program.advance()
        for run in alone:
            run.advance()
    assert max(furthest(one, other) for one, other in zip(alone, side_by_side, strict=True)) < 1e-5
    assert furthest(alone[0], alone[1]) > 1e-3


def test_a_poisoned_run_leaves_the_others_bit_for_bit(compose: Compose, tmp_path: Path) -> None:
    config = compose(*TINY, "penalty=r1", "ema.half_life=100")
    healthy, beside_nan = built(config, tmp_path), built(config, tmp_path)
    programs = [Together(healthy), Together(beside_nan)]
    for step in range(12):
        if step == 3:
            with torch.no_grad():
                next(beside_nan[2].networks["discriminator"].parameters()).fill_(float("nan"))
        for program in programs:
            program.advance()
    assert tensors(beside_nan[2])["network/generator/layers.0.weight"].isnan().all()
    for place in (0, 1, 3, 4):
        mine, theirs = tensors(healthy[place]), tensors(beside_nan[place])
        assert all(torch.equal(mine[name], theirs[name]) for name in mine)
        beside_nan[place].meter.check()


@pytest.mark.parametrize("count", [1, 2, 5])
def test_a_run_does_not_depend_on_how_many_stand_beside_it(count: int, compose: Compose, tmp_path: Path) -> None:
    config = compose(*TINY)
    (alone,), several = built(config, tmp_path, 1, rates=SAME), built(config, tmp_path, count, rates=SAME)
    program = Together(several)
    for _ in range(10):
        program.advance()
        alone.advance()
    assert furthest(alone, several[0]) < 1e-6


OBSTACLES = {
    "images": ("data=mnist",),
    "bf16": ("device.precision=bf16",),
    "unroll": ("train.unroll=2",),
    "minutes": ("train.minutes=1",),
    "clip_norm": ("optim.clip_norm=1",),
}
OBSTACLES_IN = {
    "Dropout": ("model.discriminator.dropout=0.1",),
    "BatchNorm1d": ("model.discriminator.norm=batch",),
    "spectral": ("model.discriminator.norm=spectral",),
    "RaSGAN": ("loss=rasgan",),
    "RaLSGAN": ("loss=ralsgan",),
    "RaHinge": ("loss=rahinge",),
    "Adagrad": ("optim=sgd", "optim._target_=torch.optim.Adagrad", "~optim.momentum", "~optim.fused"),
}


@pytest.mark.parametrize(("word", "overrides"), OBSTACLES.items())
def test_what_a_configuration_has_against_it_is_named(word: str, overrides: Sequence[str], compose: Compose) -> None:
    config = compose(*(overrides if word == "images" else (*TINY, *overrides)))
    why = obstacle([varied(config, place) for place in range(2)])
    assert why is not None
    assert word in why


@pytest.mark.parametrize(("word", "overrides"), OBSTACLES_IN.items())
def test_what_their_parts_have_against_it_is_named_and_each_can_be_trained_alone(
    word: str, overrides: Sequence[str], compose: Compose, tmp_path: Path
) -> None:
    config = compose(*TINY, *overrides)
    assert obstacle([config, config]) is None
    (alone, _), refused = built(config, tmp_path, 2), built(config, tmp_path, 2)
    with pytest.raises(Incompatible, match=word):
        Together(refused)
    for _ in range(3):
        alone.advance()
        refused[0].advance()
    assert furthest(alone, refused[0]) == 0


@pytest.mark.parametrize(
    "change", ["latent.dim=5", "train.steps=13", "optim.betas=[0.4,0.999]", "loss.flip=0.1", "ema.half_life=10"]
)
def test_configurations_that_differ_in_more_than_they_may_are_told_in_what(change: str, compose: Compose) -> None:
    key = change.partition("=")[0]
    why = obstacle([compose(*TINY, "penalty=gp"), compose(*TINY, "penalty=gp", "seed=3", change)])
    assert (why is None) if key == "loss.flip" else (why is not None and key in why)


@pytest.mark.parametrize("key", ["penalty.every=2", "penalty.one_sided=true", "loss.real_target=[0.8,1.0]"])
def test_what_changes_the_course_of_a_step_may_not_differ(key: str, compose: Compose) -> None:
    why = obstacle([compose(*TINY, "penalty=gp"), compose(*TINY, "penalty=gp", key)])
    assert why is not None
    assert key.partition("=")[0] in why


def test_runs_of_different_steps_are_refused(compose: Compose, tmp_path: Path) -> None:
    runs = built(compose(*TINY), tmp_path, 2)
    runs[0].advance()
    with pytest.raises(Incompatible, match=r"steps \(1, 0\)"):
        Together(runs)


@pytest.mark.parametrize("optim", ["adam", "sgd", "rmsprop"])
def test_a_group_that_was_killed_goes_on_bit_for_bit(optim: str, compose: Compose, tmp_path: Path) -> None:
    config = compose(*TINY, f"optim={optim}", "optim.momentum=0.5" if optim != "adam" else "ema.half_life=50")
    whole, killed = built(config, tmp_path / "whole"), built(config, tmp_path / "killed")
    program, first = Together(whole), Together(killed)
    for _ in range(7):
        program.advance()
        first.advance()
    for run in killed:
        run.save()
    restored = [
        build(varied(config, place), run.directory, checkpoint.load(run.directory.last))
        for place, run in enumerate(killed)
    ]
    second = Together(restored)
    for _ in range(5):
        program.advance()
        second.advance()
    for one, other in zip(whole, restored, strict=True):
        mine, theirs = tensors(one), tensors(other)
        assert mine.keys() == theirs.keys()
        assert all(torch.equal(mine[name], theirs[name]) for name in mine)
        assert one.meter.means() == other.meter.means()


def test_a_checkpoint_of_one_run_is_resumed_alone(compose: Compose, tmp_path: Path) -> None:
    config = compose(*TINY)
    runs = built(config, tmp_path)
    program = Together(runs)
    for _ in range(6):
        program.advance()
    runs[3].save()
    alone = build(varied(config, 3), runs[3].directory, checkpoint.load(runs[3].directory.last))
    for _ in range(4):
        program.advance()
        alone.advance()
    assert furthest(runs[3], alone) < 1e-6


# What they leave.


def files(directory: RunDirectory) -> set[str]:
    """What lies in a run's directory; TensorBoard's names tell of time and process."""
    found = {str(path.relative_to(directory.path)) for path in directory.path.rglob("*") if path.is_file()}
    return {"tensorboard/events" if name.startswith("tensorboard") else name for name in found}


def status(run: Run) -> tuple[str, int]:
    content = json.loads(run.directory.status.read_text())
    return content["state"], content["step"]


def made(config: Config, directory: Path, count: int = 3) -> list[Run]:
    for place in range(count):
        (directory / str(place)).mkdir(parents=True)
    return built(config, directory, count)


@pytest.mark.slow
def test_each_directory_is_that_of_a_run_alone(compose: Compose, tmp_path: Path) -> None:
    evaluated = ("train.evaluate_every=12", "evaluate.num_images=100", "evaluate.final_images=100")
    config = compose(*TINY, "train.sample_every=12", *evaluated)
    runs, (alone, *_) = made(config, tmp_path / "together"), made(config, tmp_path / "alone")
    conduct_together(runs)
    conduct(alone)
    for place, run in enumerate(runs):
        assert files(run.directory) == files(alone.directory) | {"train.log"}
        assert status(run) == ("finished", 12)
        assert [line.keys() for line in map(json.loads, run.directory.metric_lines())] == [
            line.keys() for line in map(json.loads, alone.directory.metric_lines())
        ]
        log = (run.directory.path / "train.log").read_text()
        assert log.count(str(run.directory.path)) == 2  # what it is, and that it has ended
        assert all(str(other.directory.path) not in log for other in runs[:place])
        assert log.count("step 12/12") == 3  # the losses, what the fakes are worth, and the same at the end
    told, wanted = (json.loads(run.directory.summary.read_text()) for run in (runs[0], alone))
    assert told.keys() == wanted.keys()
    assert {name: told[name] for name in ("steps", "images_seen", "parameters")} == {
        name: wanted[name] for name in ("steps", "images_seen", "parameters")
    }
    for name in ("loss/D", "loss/G", "metrics/kl", "final/kl"):
        assert told[name] == pytest.approx(wanted[name], abs=1e-5, rel=1e-4)


def test_a_run_that_diverges_ends_alone(compose: Compose, tmp_path: Path) -> None:
    runs = made(compose(*BARE), tmp_path)
    with torch.no_grad():
        next(runs[1].networks["discriminator"].parameters()).fill_(float("inf"))
    conduct_together(runs)
    assert [status(run) for run in runs] == [("finished", 12), ("diverged", 1), ("finished", 12)]
    assert (runs[1].directory.checkpoints / "diverged_step_00000001.safetensors").exists()
    assert "became NaN or infinite at step 1" in (runs[1].directory.path / "train.log").read_text()
    assert not runs[1].directory.summary.exists()


def test_a_run_that_cannot_be_written_fails_alone(compose: Compose, tmp_path: Path) -> None:
    runs = made(compose(*BARE), tmp_path)
    runs[0].directory.checkpoints.write_text("not a folder")
    conduct_together(runs)
    assert [status(run)[0] for run in runs] == ["failed", "finished", "finished"]


def test_a_hopeless_run_is_pruned_alone(compose: Compose, tmp_path: Path) -> None:
    runs = made(compose(*BARE, "train.evaluate_every=4", "evaluate.num_images=100"), tmp_path)
    runs[2].hopeless = lambda step, values: step == 8 and "kl" in values
    conduct_together(runs)
    assert [status(run) for run in runs] == [("finished", 12), ("finished", 12), ("pruned", 8)]


def test_a_signal_ends_all_between_two_steps_and_each_goes_on_alone(
    compose: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cli: Callable[..., Result]
) -> None:
    config = compose(*BARE)
    runs, (alone, *_) = made(config, tmp_path / "together"), built(config, tmp_path / "alone", 1)
    advance = Together.advance

    def interrupted(program: Together) -> None:
        advance(program)
        if runs[0].step == 5:
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(Together, "advance", interrupted)
    with pytest.raises(Stopped, match="15"):
        conduct_together(runs)
    assert [status(run) for run in runs] == [("interrupted", 5)] * 3
    assert [checkpoint.load(run.directory.last).step for run in runs] == [5] * 3
    hydra = runs[0].directory.path / ".hydra"
    hydra.mkdir()
    typed = [*BARE, "seed=10", f"optim.generator.lr={RATES[0]}", f"optim.discriminator.lr={RATES[-1]}"]
    (hydra / "overrides.yaml").write_text(json.dumps(typed))
    assert cli(f"resume={runs[0].directory.path}").code == 0
    for _ in range(12):
        alone.advance()
    stored, wanted = checkpoint.load(runs[0].directory.last), tensors(alone)
    assert stored.step == 12
    assert max(float((stored.tensors[n] - wanted[n]).abs().max()) for n in wanted if n.startswith("network/")) < 1e-6


def test_incompatible_runs_leave_nothing(compose: Compose, tmp_path: Path) -> None:
    runs = made(compose(*TINY, "model.discriminator.dropout=0.5"), tmp_path)
    with pytest.raises(Incompatible, match="Dropout"):
        conduct_together(runs)
    assert not any(files(run.directory) for run in runs)


# Their pieces.


def test_joined_streams_draw_what_each_draws() -> None:
    parts = tuple(Streams(seed, CPU) for seed in (3, 5))
    joined = JoinedStreams(3, CPU, parts)
    for name in ("normal", "uniform"):
        drawn = getattr(joined, name)("latents", 7, (8, 3))
        assert torch.equal(drawn, torch.cat([getattr(part, name)("latents", 7, (4, 3)) for part in parts]))


def test_what_was_drawn_before_is_given_as_a_stream_gives_it() -> None:
    streams = Streams(3, CPU)
    asked = Request(False, "generator/fake", (4, 2))
    given = Drawn(3, CPU, {asked: asked.of_each([streams], 6)[0]}).draws("generator", 6)
    for _ in range(2):  # Draws changes what it gets in place
        assert torch.equal(given.uniform("fake", (4, 2)), streams.draws("generator", 6).uniform("fake", (4, 2)))
    with pytest.raises(NotDrawn):
        given.normal("fake", (4, 2))


def test_a_share_of_a_joined_meter_tells_what_a_meter_of_its_own_tells() -> None:
    own, before = [Meter(), Meter()], [Meter(), Meter()]
    for place in range(2):
        for meter in (own[place], before[place]):
            meter.add(1, {"loss/D": torch.tensor(0.5 + place)})
    joined = JoinedMeter(before)
    for step in range(2, 9):
        stats = {"loss/D": torch.tensor([step / 8, 1.0 / step])} | (
            {"penalty/D": torch.rand(2)} if step % 3 == 0 else {}
        )
        if step == 7:
            stats["loss/D"][1] = float("nan")
        joined.add(step, stats)
        for place in range(2):
            own[place].add(step, {name: values[place] for name, values in stats.items()})
            share = joined.shares[place]
            if step in (3 + place, 6):
                own[place].clear()
                share.clear()
            assert share.means() == pytest.approx(own[place].means(), nan_ok=True)
            assert share.state().keys() == own[place].state().keys()
            torch.testing.assert_close(share.state(), own[place].state(), equal_nan=True)
    joined.shares[0].check()
    with pytest.raises(Exception, match="at step 7"):
        joined.shares[1].check()
