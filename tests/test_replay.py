"""A replayed step is the step itself, bit by bit; what cannot be replayed goes on as it is, and says why."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from conftest import TINY, Result
from torch import Tensor, nn

from gan_cli.build import build
from gan_cli.losses import AdversarialLoss
from gan_cli.replay.operations import OperationList
from gan_cli.replay.replayed import Replayed
from gan_cli.replay.tape import NotReplayable, Request, Tape
from gan_cli.run import Run
from gan_cli.run_directory import RunDirectory
from gan_cli.schema import Config

Compose = Callable[..., Config]

LOSSES = ("bce", "lsgan", "minimax", "hinge", "wgan", "rsgan", "rasgan", "ralsgan", "rahinge")
PENALTIES = ("none", "gp", "r1", "r2", "r1r2", "dragan")
IMAGES = ("data=mnist", "data.limit=64", "train.batch_size=8", "latent.dim=4", "train.epochs=50")
SMALL_MLP = ("model.generator.widths=[8]", "model.discriminator.widths=[8]")
SMALL_DCGAN = (
    *("model=dcgan", "model.generator.hidden=8", "model.generator.widths=[8,4]"),
    *("model.discriminator.hidden=8", "model.discriminator.widths=[4,4]"),
)
WAYS = {
    "d_steps": ("train.d_steps=3", "penalty=r1", "penalty.every=2"),
    "latents": ("train.reuse=latents",),
    "fakes": ("train.reuse=fakes", "train.d_steps=2"),
    "a ragged batch": ("data.drop_last=false", "data.num_samples=70"),
    "targets at random": ("loss.real_target=[0.7,1.2]", "loss.flip=0.1"),
    "rates that change": ("optim.schedule.shape=cosine", "optim.betas=[0.5,0.9]"),
    "adamw": ("optim=adamw", "optim.schedule.shape=linear"),
    "rmsprop, clipped": ("optim=rmsprop", "optim.clip_norm=0.1"),
    "sgd with momentum": ("optim=sgd", "optim.momentum=0.9"),
    "dropout": ("model.discriminator.dropout=0.3",),
    "clipped weights": ("loss=wgan", "optim.discriminator.weight_clip=0.05"),
    "packs": ("model.discriminator.packing=2", "model.discriminator.minibatch_std=4"),
    "spectral": ("model.discriminator.norm=spectral",),
    "batch norm": ("model.discriminator.norm=batch",),
    "noise": ("critic.noise=0.2",),
    "bfloat16": ("device.precision=bf16",),
    "unrolled": ("train.unroll=2", "penalty=r1", "penalty.every=2"),
    "an average": ("ema.half_life=50",),
    "images": (*IMAGES, *SMALL_MLP, "augment=diffaugment", "critic.flip=true"),
    "ada": (*IMAGES, *SMALL_MLP, "augment=ada", "augment.every=2", "data.flip=true"),
    "labels": (*IMAGES, *SMALL_MLP, "model.conditional=concat"),
    "projection": (*IMAGES, *SMALL_DCGAN, "model.conditional=projection"),
    "convolutions": (*IMAGES, *SMALL_DCGAN, "loss=hinge", "penalty=r1r2"),
}


def trained(config: Config, directory: Path, steps: int, how: str) -> Run:
    """A run after so many steps."""
    changed = config.__class__(**vars(config) | {"device": config.device.__class__(**vars(config.device))})
    changed.device.compile = type(config.device.compile)[how]
    run = build(changed, RunDirectory(directory))
    for _ in range(steps):
        run.advance()
    return run


def replayed(run: Run) -> Replayed:
    owner = getattr(run.play, "__self__", None)
    assert isinstance(owner, Replayed)
    return owner


def check_the_same(config: Config, directory: Path, steps: int = 8) -> Replayed:
    plain, ours = trained(config, directory, steps, "none"), trained(config, directory, steps, "graph")
    expected, found = plain.state().tensors, ours.state().tensors
    assert expected.keys() == found.keys()
    assert not [name for name in expected if not torch.equal(expected[name], found[name])]
    return replayed(ours)


def check_replayed(config: Config, directory: Path, steps: int = 8) -> None:
    how = check_the_same(config, directory, steps)
    assert how.refused is None
    assert [recorded for recorded in how._recorded.values() if recorded.proven]


@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_with_every_penalty_is_replayed_without_waiting_for_the_device(
    compose: Compose, tmp_path: Path, loss: str, penalty: str
) -> None:
    # Recording refuses operations that wait for a tensor's value, so this is also the proof that no step has one.
    bounded = ("model.discriminator.norm=spectral",) if loss == "wgan" and penalty != "gp" else ()
    check_replayed(compose(*TINY, f"loss={loss}", f"penalty={penalty}", *bounded), tmp_path)


@pytest.mark.exhaustive(6)
@pytest.mark.parametrize("way", WAYS)
def test_a_replayed_step_is_the_step_itself(compose: Compose, tmp_path: Path, way: str) -> None:
    overrides = WAYS[way] if "data=mnist" in WAYS[way] else (*TINY, *WAYS[way])
    check_replayed(compose(*overrides), tmp_path, steps=20)


def test_what_cannot_be_replayed_goes_on_as_it_is_and_says_why(compose: Compose, tmp_path: Path) -> None:
    how = check_the_same(compose(*TINY, "critic.noise={start: 0.5, end: 0.1}"), tmp_path, steps=12)
    assert "changes with every step" in str(how.refused)


@dataclass(frozen=True)
class Waiting(AdversarialLoss):
    """Looks at a logit's value."""

    def discriminator(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        return (fake_logits - real_logits).mean() * (2.0 if float(real_logits.detach().mean()) > 0 else 1.0)

    def generator(self, fake_logits: Tensor, real_logits: Tensor | None = None) -> Tensor:
        return -fake_logits.mean()


@dataclass(frozen=True)
class Counting(Waiting):
    """Depends on how often it was called."""

    calls: ClassVar[list[int]] = []

    def discriminator(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        self.calls.append(1)
        return (fake_logits - real_logits).mean() * len(self.calls)


@pytest.mark.parametrize(
    ("name", "why"), [("Waiting", "waits for the value"), ("Counting", "differs from the step itself")]
)
def test_a_loss_of_the_users_own_that_a_recording_would_freeze_is_found_out(
    compose: Compose, tmp_path: Path, name: str, why: str
) -> None:
    run = trained(compose(*TINY), tmp_path, 0, "graph")
    vars(run.game)["loss"] = {"Waiting": Waiting, "Counting": Counting}[name]()
    for _ in range(6):
        run.advance()
    assert why in str(replayed(run).refused)


def test_unasked_only_small_networks_of_this_project_are_replayed(compose: Compose, tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path)
    small = build(compose(*TINY), directory)
    assert replayed(small)
    large = build(compose("data.limit=256", "model.generator.widths=[2048,2048]"), directory)
    assert large.play == large.game.play
    config = compose(*TINY, "loss=wgan", "model.discriminator.norm=spectral")
    config.loss.clear()
    config.loss["_target_"] = "test_replay.Waiting"
    foreign = build(config, directory)
    assert foreign.play == foreign.game.play
    never = build(compose(*TINY, "device.compile=none"), directory)
    assert never.play == never.game.play


def test_a_replayed_run_is_resumed_bit_for_bit(compose: Compose, tmp_path: Path) -> None:
    config = compose(*TINY, "penalty=r1", "penalty.every=3", "optim.schedule.shape=cosine")
    whole = trained(config, tmp_path, 30, "graph")
    part = trained(config, tmp_path, 17, "graph")
    resumed = build(config, RunDirectory(tmp_path), part.state())
    for _ in range(13):
        resumed.advance()
    assert whole.meter.means() == resumed.meter.means()
    expected, found = whole.state().tensors, resumed.state().tensors
    assert not [name for name in expected if not torch.equal(expected[name], found[name])]


def test_statistics_that_were_told_stay_as_they_were(compose: Compose, tmp_path: Path) -> None:
    run = trained(compose(*TINY), tmp_path, 10, "graph")
    assert run.play is not None
    first = run.play(10)
    before = {name: value.clone() for name, value in first.items()}
    run.play(11)
    assert all(torch.equal(first[name], before[name]) for name in before)


# The list of operations by itself.


def test_operations_are_replayed_on_what_their_inputs_hold_now() -> None:
    x, layer = torch.randn(4, 3), nn.Linear(3, 2)
    optimizer = torch.optim.SGD(layer.parameters(), 0.1)
    told: list[Tensor] = []

    def work() -> None:
        optimizer.zero_grad()
        loss = layer(x).square().sum()
        loss.backward()
        optimizer.step()
        told.append(loss.detach())

    recording = OperationList.record(work, 2**20)
    copy = nn.Linear(3, 2)
    copy.load_state_dict(layer.state_dict())
    x.copy_(torch.randn(4, 3))
    expected = copy(x).square().sum()
    gradient = torch.autograd.grad(expected, copy.weight)[0]
    recording.replay()
    assert torch.equal(told[0], expected)
    torch.testing.assert_close(layer.weight, copy.weight - 0.1 * gradient)


@pytest.mark.parametrize(
    ("work", "why"),
    [
        (lambda: torch.ones(3).sum().item(), "waits for the value"),
        (lambda: torch.ones(3).nonzero(), "waits for the value"),
        (lambda: torch.ones(3)[torch.tensor([True, False, True])], "waits for the value"),
        (lambda: torch.ones(3).unsqueeze_(0), "changes the shape"),
        (lambda: torch.ones(2**20), "more than 1 MB"),
    ],
)
def test_what_a_list_of_operations_cannot_hold_is_refused(work: Callable[[], Any], why: str) -> None:
    with pytest.raises(NotReplayable, match=why):
        OperationList.record(work, 2**20)


def test_requests_that_are_not_those_that_were_heard_are_refused() -> None:
    tape = Tape()
    draws = [Request(("normal", "z"), 3, lambda index: torch.full((2,), float(index)))]
    with tape.answering(draws, [torch.zeros(2)]), pytest.raises(NotReplayable):
        tape.get(("normal", "other"), 3, lambda index: torch.zeros(2))
    with tape.answering(draws, [torch.zeros(2)]):
        assert torch.equal(tape.get(("normal", "z"), 3, lambda index: torch.ones(2)), torch.zeros(2))
    assert torch.equal(draws[0].at(step=10, origin=4, slope=2).answered(), torch.full((2,), 15.0))


def test_the_log_says_what_was_recorded_and_how_long_it_took(cli: Callable[..., Result]) -> None:
    result = cli(*TINY, "device.threads=1")
    assert result.code == 0
    (log,) = Path().glob("outputs/*/*/train.log")
    assert "step recorded in" in log.read_text()


@pytest.mark.exhaustive(2)
@pytest.mark.parametrize("way", ["an average", "images", "ada", "labels", "rates that change", "a ragged batch"])
def test_nothing_around_a_step_waits_for_the_device_either(compose: Compose, tmp_path: Path, way: str) -> None:
    overrides = WAYS[way] if "data=mnist" in WAYS[way] else (*TINY, *WAYS[way])
    run = trained(compose(*overrides), tmp_path, 2, "none")
    OperationList.record(run.advance, 2**30)


@pytest.mark.slow
@pytest.mark.parametrize(
    "overrides", [("loss=hinge", "penalty=r1r2"), ("loss=rasgan", "penalty=gp", "train.d_steps=2")]
)
def test_compiled_networks_train_as_written_ones_to_rounding(tmp_path: Path, overrides: tuple[str, ...]) -> None:
    losses = {}
    for how in ("none", "inductor"):
        words = (*TINY, *overrides, "optim=sgd", "optim.lr=0.05", f"device.compile={how}", f"hydra.run.dir={how}")
        process = subprocess.run(
            [sys.executable, "-c", "from gan_cli.commands.train import train; train()", *words],
            capture_output=True,
            text=True,
            cwd=tmp_path,
        )
        assert process.returncode == 0, process.stderr
        lines = map(json.loads, (tmp_path / how / "metrics.jsonl").read_text().splitlines())
        losses[how] = [line[name] for line in lines for name in ("loss/D", "loss/G", "penalty/D") if name in line]
    assert losses["none"]
    assert losses["inductor"] == pytest.approx(losses["none"], rel=1e-4)
    assert "compiled; the first step took" in (tmp_path / "inductor/train.log").read_text()
