"""The average of a generator: its closed form, its half-life in images, and that training does not notice it."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from conftest import TINY, Result
from torch import nn
from torch.testing import assert_close

from gan_cli import checkpoint
from gan_cli.build import build
from gan_cli.commands.sample import sample
from gan_cli.ema import EMA
from gan_cli.run_directory import RunDirectory
from gan_cli.schema import Config

Compose = Callable[..., Config]
Cli = Callable[..., Result]
ALWAYS = 1e9  # a ramp so steep that the half-life holds from the start
DCGAN = (
    *("model=dcgan", "data.limit=64", "train.batch_size=16", "latent.dim=4", "train.steps=6"),
    *("model.generator.hidden=8", "model.generator.widths=[4,4]"),
    *("model.discriminator.hidden=8", "model.discriminator.widths=[2,4]"),
)


def at(value: float) -> nn.Module:
    network = nn.Linear(1, 1, bias=False).double()
    nn.init.constant_(network.weight, value)
    return network


def weight(ema: EMA) -> float:
    (parameter,) = ema.network.parameters()
    return float(parameter.detach())


@pytest.mark.parametrize("steps", [(100,), (50, 50), (1,) * 100])
def test_after_a_half_life_of_images_half_of_the_old_weight_is_left_whatever_the_batch(steps: tuple[int, ...]) -> None:
    ema, network = EMA(at(1.0), half_life=100, ramp_up=ALWAYS), at(3.0)
    for seen, images in enumerate(steps):
        ema.update(network, images, seen + 1)
    assert weight(ema) == pytest.approx(2.0, rel=1e-12)


def test_average_is_the_weighted_sum_of_the_past() -> None:
    values, images, half_life = [0.3, -2.0, 5.0, 1.0], [16, 32, 8, 64], 40.0
    ema = EMA(at(values[0]), half_life, ALWAYS)
    expected = values[0]
    for value, shown in zip(values[1:], images[1:], strict=True):
        ema.update(at(value), shown, 10**6)
        share = 2 ** (-shown / half_life)
        expected = share * expected + (1 - share) * value
    assert weight(ema) == pytest.approx(expected, rel=1e-12)


def test_half_life_ramps_up_with_the_images_seen() -> None:
    early, late = (EMA(at(0.0), half_life=1000, ramp_up=0.05) for _ in range(2))
    early.update(at(1.0), 16, images_seen=160)  # a half-life of 0.05 · 160 = 8 images: two of them
    late.update(at(1.0), 1000, images_seen=10**6)
    assert weight(early) == pytest.approx(0.75, rel=1e-12)
    assert weight(late) == pytest.approx(0.5, rel=1e-12)


def test_buffers_are_copied_and_the_average_is_frozen_and_in_evaluation_mode() -> None:
    network = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.5))
    ema = EMA(network, half_life=1e9, ramp_up=ALWAYS)
    network(torch.randn(16, 3) + 5)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    ema.update(network, 16, 16)
    for name, buffer in network.named_buffers():
        assert torch.equal(ema.network.get_buffer(name), buffer)
    assert not any(module.training for module in ema.network.modules())
    assert not any(parameter.requires_grad for parameter in ema.network.parameters())
    assert network.training
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())


def test_training_does_not_notice_the_average(compose: Compose, tmp_path: Path) -> None:
    runs = [build(compose(*DCGAN, f"ema.half_life={h}"), RunDirectory(tmp_path)) for h in ("null", 50)]
    for run in runs:
        for _ in range(4):
            run.advance()
    plain, averaged = (run.state().tensors for run in runs)
    assert all(torch.equal(averaged[name], tensor) for name, tensor in plain.items())
    assert {name.split("/")[1] for name in averaged.keys() - plain.keys()} == {"ema"}


def test_average_counts_the_images_of_all_turns(compose: Compose, tmp_path: Path) -> None:
    run = build(compose(*TINY, "ema.half_life=96", f"ema.ramp_up={ALWAYS}", "train.d_steps=3"), RunDirectory(tmp_path))
    before = [p.detach().clone() for p in run.game.networks["generator"].parameters()]
    run.advance()  # three turns of 16
    assert run.ema is not None
    share = 2**-0.5
    for start, now, average in zip(
        before, run.game.networks["generator"].parameters(), run.ema.network.parameters(), strict=True
    ):
        assert_close(average, share * start + (1 - share) * now.detach())


def draw(cli: Cli, out: str, *more: str) -> bytes:
    result = cli("checkpoint=run", "num_images=64", f"out={out}", *more, command=sample)
    assert result.code == 0, result.err
    return Path(out, "grid.png").read_bytes()


def test_samples_and_grids_are_the_averages_unless_raw_weights_are_asked_for(cli: Cli) -> None:
    averaged = (*DCGAN, "ema.half_life=1000", "ema.ramp_up=10")
    assert cli(*averaged, "train.sample_every=6", "hydra.run.dir=run").code == 0
    mean, named, raw = draw(cli, "a"), draw(cli, "b", "weights=ema"), draw(cli, "c", "weights=raw")
    assert mean == named != raw
    assert mean == Path("run/samples/step_00000006.png").read_bytes()


def test_an_average_that_was_not_kept_cannot_be_asked_for(cli: Cli) -> None:
    assert cli(*TINY, "train.steps=2", "hydra.run.dir=run").code == 0
    result = cli("checkpoint=run", "weights=ema", "out=o", command=sample)
    assert result.code == 2
    assert "kept no average" in result.err
    assert not Path("o").exists()


def test_metrics_say_that_they_are_of_the_average(cli: Cli) -> None:
    small = ("data=ring8", *TINY[1:], "train.steps=2", "train.evaluate_every=2", "ema.half_life=100")
    assert cli(*small, "hydra.run.dir=run").code == 0
    metrics = [json.loads(line) for line in Path("run/metrics.jsonl").read_text().splitlines() if "metrics/" in line]
    assert {line["weights"] for line in metrics} == {"ema"}


def test_a_run_that_begins_from_weights_averages_from_them(cli: Cli) -> None:
    assert cli(*TINY, "train.steps=6", "hydra.run.dir=old").code == 0
    old = checkpoint.load(Path("old/checkpoints/last.safetensors")).part("network/generator")
    # Without a learning rate to speak of, what it began with is what it has.
    still = ("train.steps=1", "optim.lr=1e-30", "ema.half_life=1e9", "ema.ramp_up=1e9")
    assert cli(*TINY, *still, "init_from=old", "hydra.run.dir=new").code == 0
    began = checkpoint.load(Path("new/checkpoints/last.safetensors")).part("network/ema")
    for name, tensor in old.items():
        assert_close(began[name], tensor)
