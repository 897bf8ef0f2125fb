"""Modes counted while a run trains: what metrics.jsonl, summary.json and TensorBoard say of them, however it is run."""

import csv
import hashlib
import json
import math
import re
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import TINY, Result
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import Tensor

from gan_cli import checkpoint, images
from gan_cli.commands.sample import sample
from gan_cli.data.mixtures import ring
from gan_cli.metrics.modes import ModeCoverage, mode_coverage
from gan_cli.run import Run

Cli = Callable[..., Result]
During = Callable[[int, Callable[[], None]], None]
Line = dict[str, Any]

# So small and wide a ring that an untrained generator finds some of its modes, and every sample step others. Means are
# told at steps 1, 4, 8, ... and at the end, metrics at 0, 6, 12, ... and at the end, checkpoints where metrics are.
RADIUS, STD = 0.4, 0.1
RING = ("data=ring8", *TINY[1:], f"data.radius={RADIUS}", f"data.std={STD}", "optim.lr=0.05", "device.threads=1")
MODES, HIGH_QUALITY = "metrics/modes", "metrics/high_quality"
FLOORS = {MODES: 8, HIGH_QUALITY: 1 - math.exp(-4.5)}
ABOUT = ("extractor", "count", "floor", "weights")


@pytest.fixture(autouse=True)
def _fingerprints(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures that are nothing but a fingerprint of what they show: to draw them takes longer than all the rest."""

    def fingerprint(groups: Mapping[str, Tensor], title: str = "") -> Tensor:
        shown = title.encode() + b"".join(points.cpu().numpy().tobytes() for points in groups.values())
        return torch.tensor(list(hashlib.blake2b(shown, digest_size=48).digest()), dtype=torch.uint8).reshape(3, 4, 4)

    monkeypatch.setattr(images, "scatter", fingerprint)


@pytest.fixture
def straight(cli: Cli, tmp_path_factory: pytest.TempPathFactory) -> str:
    """An uninterrupted run of 24 steps, made by the first test that asks for it."""
    path = tmp_path_factory.getbasetemp() / "straight"
    if not path.exists():
        assert cli(*RING, "train.steps=24", f"hydra.run.dir={path}").code == 0
    return str(path)


@pytest.fixture
def during(monkeypatch: pytest.MonkeyPatch) -> Iterator[During]:
    """Lets something happen, once, as the step with a given number begins."""
    advance = Run.advance
    due: dict[int, Callable[[], None]] = {}

    def advanced(run: Run) -> None:
        happens = due.pop(run.step + 1, None)
        if happens is not None:
            happens()
        advance(run)

    monkeypatch.setattr(Run, "advance", advanced)
    yield due.__setitem__
    assert due == {}


def killed() -> None:
    raise KeyboardInterrupt  # leaves at once: no checkpoint, no summary


def asked_to_stop() -> None:
    signal.raise_signal(signal.SIGTERM)  # leaves at the end of the step


def lines(run: str) -> list[Line]:
    return [json.loads(line) for line in Path(run, "metrics.jsonl").read_text().splitlines()]


def metric_lines(run: str) -> list[Line]:
    return [line for line in lines(run) if any(key.startswith("metrics/") for key in line)]


def values(run: str) -> dict[tuple[str, int], float]:
    return {(name, line["step"]): line[name] for line in metric_lines(run) for name in FLOORS if name in line}


def story(run: str) -> bytes:
    """metrics.jsonl, byte by byte, but for the speed."""
    return re.sub(rb'"speed/images_per_s": [^,}]+', b"", Path(run, "metrics.jsonl").read_bytes())


def curves(run: str) -> dict[str, list[tuple[int, float]]]:
    board = EventAccumulator(str(Path(run, "tensorboard")), size_guidance={"scalars": 0, "images": 0}).Reload()
    scalars = {tag: [(event.step, event.value) for event in board.Scalars(tag)] for tag in board.Tags()["scalars"]}
    pictures = [(event.step, float(hash(event.encoded_image_string))) for event in board.Images("samples")]
    return {tag: points for tag, points in scalars.items() if not tag.startswith("speed/")} | {"samples": pictures}


def summary(run: str) -> Line:
    content = json.loads(Path(run, "summary.json").read_text())
    return {key: value for key, value in content.items() if key not in ("wall_s", "images_per_s")}


def assert_same_story(one: str, other: str) -> None:
    assert story(one) == story(other)
    assert curves(one) == curves(other)
    assert summary(one) == summary(other)


def test_each_sample_step_has_one_line_a_metric_with_what_it_takes_to_read_it(cli: Cli) -> None:
    assert cli(*RING, "train.steps=14", "hydra.run.dir=run").code == 0
    metrics = metric_lines("run")
    told = [(line["step"], name) for line in metrics for name in line if name.startswith("metrics/")]
    assert told == [(step, name) for step in (0, 6, 12, 14) for name in FLOORS]  # 14 is the end
    for (_, name), line in zip(told, metrics, strict=True):
        assert tuple(line) == ("step", name, *ABOUT)
        assert line["floor"] == FLOORS[name]
        assert (line["extractor"], line["count"], line["weights"]) == (None, 2500, "raw")
    means = [line for line in lines("run") if line not in metrics]
    assert [line["step"] for line in means] == [1, 4, 8, 12, 14]
    assert not any(key in line for line in means for key in ABOUT)


def drawn(cli: Cli, *arguments: str) -> ModeCoverage:
    """What 2,500 samples cover that gan-sample writes."""
    assert cli(*arguments, "num_images=2500", "out=drawn", command=sample).code == 0
    with open("drawn/samples.csv") as file:
        points = torch.tensor([[float(row["x0"]), float(row["x1"])] for row in csv.DictReader(file)])
    mixture = ring(radius=RADIUS, std=STD, num_samples=1).mixture
    assert mixture is not None
    return mode_coverage(points, mixture.means, mixture.std)


def test_metrics_are_those_of_what_gan_sample_draws_with_the_seed_of_the_run(cli: Cli) -> None:
    assert cli(*RING, "seed=5", "hydra.run.dir=run").code == 0
    told = values("run")
    for step in (6, 12):
        found = drawn(cli, f"checkpoint=run/checkpoints/step_{step:08d}.safetensors", "seed=5")
        assert (told[MODES, step], told[HIGH_QUALITY, step]) == (found.modes, found.high_quality)
    assert drawn(cli, "checkpoint=run", "seed=6").high_quality != told[HIGH_QUALITY, 12]
    assert len({told[HIGH_QUALITY, step] for step in (0, 6, 12)}) == 3  # training moves it


def test_metrics_of_step_0_are_those_of_the_untrained_generator(cli: Cli, during: During) -> None:
    during(1, killed)
    assert cli(*RING, "seed=5", "hydra.run.dir=run").code == 130
    found = drawn(cli, "checkpoint=run", "seed=5")
    assert 0 < found.high_quality < 1
    assert values("run") == {(MODES, 0): found.modes, (HIGH_QUALITY, 0): found.high_quality}


def test_summary_has_the_last_metrics_and_tensorboard_a_curve_of_each_and_of_nothing_about_them(straight: str) -> None:
    told, shown = values(straight), curves(straight)
    for name in FLOORS:
        assert summary(straight)[name] == told[name, 24]
        curve = [(step, pytest.approx(value, rel=1e-7)) for (of, step), value in told.items() if of == name]  # float32
        assert shown[name] == curve
    assert {tag for tag in shown if tag.startswith("metrics/")} == set(FLOORS)
    assert not any(word in tag for tag in shown for word in ABOUT)


# At step 4 means are told but no metrics, at 6 metrics but no means, at 12 both, at 7 neither.
@pytest.mark.parametrize("stops", [(1, 4, 6, 7), (12,)], ids=str)
def test_run_that_ended_and_is_extended_tells_the_story_of_an_uninterrupted_one(
    stops: Sequence[int], straight: str, cli: Cli
) -> None:
    run: tuple[str, ...] = (*RING, "hydra.run.dir=parts")
    for stop in stops:
        assert cli(*run, f"train.steps={stop}").code == 0
        told = values("parts")
        assert max(step for _, step in told) == stop
        assert {name: summary("parts")[name] for name in FLOORS} == {name: told[name, stop] for name in FLOORS}
        run = ("resume=parts",)
    assert cli("resume=parts", "train.steps=24").code == 0
    assert_same_story(straight, "parts")


def test_run_that_is_asked_to_stop_tells_the_story_of_an_uninterrupted_one(
    straight: str, cli: Cli, during: During
) -> None:
    run: tuple[str, ...] = (*RING, "train.steps=24", "hydra.run.dir=parts")
    for stop in (4, 6, 7, 12):
        during(stop, asked_to_stop)
        assert cli(*run).code == 128 + signal.SIGTERM
        assert checkpoint.load(Path("parts/checkpoints/last.safetensors")).step == stop
        run = ("resume=parts",)
    assert cli("resume=parts").code == 0
    assert_same_story(straight, "parts")


# Killed before step 7 a run is left with the checkpoint of step 0, later with one behind which lie lines of both kinds.
@pytest.mark.parametrize("steps", [(1, 6), (9, 18)], ids=str)
def test_run_that_is_killed_tells_the_story_of_an_uninterrupted_one(
    steps: Sequence[int], straight: str, cli: Cli, during: During
) -> None:
    run: tuple[str, ...] = (*RING, "train.steps=24", "hydra.run.dir=parts")
    for step in steps:
        during(step, killed)
        assert cli(*run).code == 130
        run = ("resume=parts",)
    assert cli("resume=parts").code == 0
    told = [(line["step"], name) for line in metric_lines("parts") for name in line if name.startswith("metrics/")]
    assert told == [(step, name) for step in (0, 6, 12, 18, 24) for name in FLOORS]
    assert_same_story(straight, "parts")


def test_counting_modes_does_not_change_training(cli: Cli) -> None:
    dropout = (*RING, "model.generator.dropout=0.5")
    assert cli(*dropout, "train.sample_every=1", "hydra.run.dir=often").code == 0
    assert cli(*dropout, "train.sample_every=0", "hydra.run.dir=never").code == 0
    often, never = (checkpoint.load(Path(run, "checkpoints/last.safetensors")) for run in ("often", "never"))
    assert len(values("often")) == 26
    assert often.tensors.keys() == never.tensors.keys()
    for name, tensor in often.tensors.items():
        assert torch.equal(tensor, never.tensors[name]), name


@pytest.mark.parametrize("run", [(*RING, "train.sample_every=0"), TINY], ids=["no-sample-steps", "no-modes"])
def test_without_sample_steps_or_modes_there_are_no_metrics(run: Sequence[str], cli: Cli) -> None:
    assert cli(*run, "hydra.run.dir=run").code == 0
    assert [line["step"] for line in lines("run")] == [1, 4, 8, 12]
    assert metric_lines("run") == []
    assert not summary("run").keys() & FLOORS.keys()


def test_samples_of_a_diverged_generator_cover_nothing(cli: Cli) -> None:
    blind = ("optim.lr=1e30", "train.log_every=0", "train.checkpoint_every=0")
    assert cli(*RING, *blind, "hydra.run.dir=run").code == 1
    assert values("run").items() >= {(name, step): 0 for name in FLOORS for step in (6, 12)}.items()
