"""Metrics measured while a run trains, and at its end: what metrics.jsonl, summary.json and TensorBoard say of them,
however the run is interrupted."""

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

from gan_cli import checkpoint, plots
from gan_cli.commands.sample import sample
from gan_cli.data.mixtures import ring
from gan_cli.metrics.modes import MODE_SAMPLES, ModeCoverage, mode_coverage
from gan_cli.networks import restore_generator, sampler_of
from gan_cli.run import Run
from gan_cli.sampling import CHUNK
from gan_cli.streams import Streams

Cli = Callable[..., Result]
During = Callable[[int, Callable[[], None]], None]
Line = dict[str, Any]

# So small and wide a ring that an untrained generator finds some of its modes, and every evaluation others. Means are
# told at steps 1, 4, 8, ... and at the end, metrics at 6, 12, ..., checkpoints where metrics are.
RADIUS, STD = 0.4, 0.1
RING = (
    *("data=ring8", *TINY[1:], f"data.radius={RADIUS}", f"data.std={STD}"),
    *("optim.lr=0.05", "device.threads=1", "train.evaluate_every=6"),
)
NAMES = ("modes", "high_quality", "mode_kl")
ABOUT = ("extractor", "count", "floor", "weights")
P = 1 - math.exp(-4.5)  # the share of a ring's own points within three standard deviations


@pytest.fixture(autouse=True)
def _fingerprints(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures that are nothing but a fingerprint of what they show: to draw them takes longer than all the rest."""

    def fingerprint(groups: Mapping[str, Tensor], title: str = "", framing: Tensor | None = None) -> Tensor:
        shown = title.encode() + b"".join(points.cpu().numpy().tobytes() for points in groups.values())
        return torch.tensor(list(hashlib.blake2b(shown, digest_size=48).digest()), dtype=torch.uint8).reshape(3, 4, 4)

    monkeypatch.setattr(plots, "scatter", fingerprint)


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


def metric_lines(run: str, group: str = "metrics") -> list[Line]:
    return [line for line in lines(run) if any(key.startswith(f"{group}/") for key in line)]


def told(run: str, group: str = "metrics") -> dict[tuple[str, int], float]:
    """The values by name and step, in the order in which they were told."""
    found = [(name, line["step"], line[name]) for line in metric_lines(run, group) for name in line if "/" in name]
    values = {(name, step): value for name, step, value in found}
    assert len(values) == len(found)
    return values


def keys(group: str, *steps: int) -> list[tuple[str, int]]:
    return [(f"{group}/{name}", step) for step in steps for name in NAMES]


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
    return {key: value for key, value in content.items() if key not in ("wall_s", "images_per_s", "peak_memory_mb")}


def assert_same_story(one: str, other: str) -> None:
    assert story(one) == story(other)
    assert curves(one) == curves(other)
    assert summary(one) == summary(other)


def test_each_metric_has_a_line_with_what_it_takes_to_read_it(cli: Cli) -> None:
    assert cli(*RING, "train.steps=14", "hydra.run.dir=run").code == 0
    assert list(told("run")) == keys("metrics", 6, 12)  # not at step 0, nor at an end out of turn
    assert list(told("run", "final")) == keys("final", 14)
    floors: dict[str, set[float]] = {}
    measured = metric_lines("run") + metric_lines("run", "final")
    for line in measured:
        name = next(key for key in line if "/" in key)
        assert tuple(line) == ("step", name, *ABOUT)
        assert (line["extractor"], line["count"], line["weights"]) == (None, 2500, "raw")
        floors.setdefault(name.split("/")[1], set()).add(line["floor"])
    assert [len(values) for values in floors.values()] == [1, 1, 1]  # whatever the generator is worth
    means = [line for line in lines("run") if line not in measured]
    assert [line["step"] for line in means] == [1, 4, 8, 12, 14]
    assert not any(key in line for line in means for key in ABOUT)
    assert lines("run")[-3:] == metric_lines("run", "final")


def test_floors_are_those_of_as_many_true_draws(straight: str) -> None:
    floors = {name: line["floor"] for line in metric_lines(straight) for name in line if "/" in name}
    assert floors["metrics/modes"] == 8
    assert 0 < abs(floors["metrics/high_quality"] - P) < 5 * math.sqrt(P * (1 - P) / MODE_SAMPLES)
    assert 0 < 2 * MODE_SAMPLES * floors["metrics/mode_kl"] < 29.9  # chi squared with 7 degrees of freedom: 1 in 10,000


def covered(points: Tensor) -> ModeCoverage:
    mixture = ring(radius=RADIUS, std=STD, num_samples=1).mixture
    assert mixture is not None
    return mode_coverage(points, mixture.means, mixture.std)


def drawn(cli: Cli, *arguments: str) -> ModeCoverage:
    """What 2,500 samples cover that gan-sample writes."""
    assert cli(*arguments, "num_images=2500", "out=drawn", command=sample).code == 0
    with open("drawn/samples.csv") as file:
        points = torch.tensor([[float(row["x0"]), float(row["x1"])] for row in csv.DictReader(file)])
    return covered(points)


def of(values: Mapping[tuple[str, int], float], group: str, step: int) -> ModeCoverage:
    modes, high_quality, kl = (values[key] for key in keys(group, step))
    return ModeCoverage(int(modes), high_quality, kl)


def test_final_metrics_are_those_of_what_gan_sample_draws_with_the_seed_of_the_run(cli: Cli) -> None:
    assert cli(*RING, "seed=5", "hydra.run.dir=run").code == 0
    final = of(told("run", "final"), "final", 12)
    assert 0 < final.high_quality < 1
    assert final == drawn(cli, "checkpoint=run", "seed=5")
    assert final != drawn(cli, "checkpoint=run", "seed=6")


def test_metrics_that_choose_are_of_samples_of_their_own(cli: Cli) -> None:
    assert cli(*RING, "seed=5", "hydra.run.dir=run").code == 0
    values = told("run")
    found = []
    for step in (6, 12):
        stored = checkpoint.load(Path(f"run/checkpoints/step_{step:08d}.safetensors"))
        config, generator = restore_generator(stored, ())
        sampler = sampler_of(stored, config, generator, Streams(5, torch.device("cpu")))
        own = sampler.of_stream("evaluation/selection")
        latents = [
            torch.cat([of.latents("sample", n, CHUNK) for n in range(40)]).unique(dim=0) for of in (sampler, own)
        ]
        assert len(torch.cat(latents).unique(dim=0)) == 2 * 40 * CHUNK  # no latent is drawn for both
        points = own(range(MODE_SAMPLES))
        found.append(covered(points))
        assert found[-1] == of(values, "metrics", step)
    assert found[0] != found[1]  # training moves it
    assert of(values, "metrics", 12) != of(told("run", "final"), "final", 12)


def test_average_is_measured_while_the_run_goes_on_and_both_are_at_its_end(cli: Cli) -> None:
    assert cli(*RING, "ema.half_life=100", "hydra.run.dir=run").code == 0
    assert {line["weights"] for line in metric_lines("run")} == {"ema"}
    final = metric_lines("run", "final")
    assert [line["weights"] for line in final] == ["ema"] * 3 + ["raw"] * 3
    ema, raw = (
        {name: line[name] for line in final if line["weights"] == weights for name in line if "/" in name}
        for weights in ("ema", "raw")
    )
    assert ema != raw
    assert {name: summary("run")[name] for name in ema} == ema
    shown = {tag: [value for _, value in points] for tag, points in curves("run").items() if tag.startswith("final/")}
    expected = {f"{name}_ema": value for name, value in ema.items()} | {f"{name}_raw": v for name, v in raw.items()}
    assert shown == {tag: [pytest.approx(value, rel=1e-7)] for tag, value in expected.items()}


def test_summary_has_the_last_metrics_and_tensorboard_a_curve_of_each_and_of_nothing_about_them(straight: str) -> None:
    values, final, shown = told(straight), told(straight, "final"), curves(straight)
    for name in NAMES:
        assert summary(straight)[f"metrics/{name}"] == values[f"metrics/{name}", 24]
        assert summary(straight)[f"final/{name}"] == final[f"final/{name}", 24]
        curve = [(step, values[f"metrics/{name}", step]) for step in (6, 12, 18, 24)]
        assert shown[f"metrics/{name}"] == [(step, pytest.approx(value, rel=1e-7)) for step, value in curve]  # float32
        assert shown[f"final/{name}_raw"] == [(24, pytest.approx(final[f"final/{name}", 24], rel=1e-7))]
    measured = {tag for tag in shown if tag.startswith(("metrics/", "final/"))}
    assert measured == {f"metrics/{name}" for name in NAMES} | {f"final/{name}_raw" for name in NAMES}
    assert not any(word in tag.split("/") for tag in shown for word in ABOUT)


# At step 4 means are told but no metrics, at 6 metrics but no means, at 12 both, at 7 neither.
@pytest.mark.exhaustive(1)
@pytest.mark.parametrize("stops", [(1, 4, 6, 7), (12,), pytest.param((13, 23), marks=pytest.mark.slow)], ids=str)
def test_run_that_ended_and_is_extended_tells_the_story_of_an_uninterrupted_one(
    stops: Sequence[int], straight: str, cli: Cli
) -> None:
    run: tuple[str, ...] = (*RING, "hydra.run.dir=parts")
    for stop in stops:
        assert cli(*run, f"train.steps={stop}").code == 0
        last = stop // 6 * 6
        assert list(told("parts")) == keys("metrics", *range(6, stop + 1, 6))
        assert list(told("parts", "final")) == (keys("final", stop) if stop >= 6 else [])
        measured = {name: value for (name, step), value in told("parts").items() if step == last}
        measured |= {name: value for (name, _), value in told("parts", "final").items()}
        assert {name: value for name, value in summary("parts").items() if "metrics" in name or "final" in name} == (
            measured
        )
        run = ("resume=parts",)
    assert cli("resume=parts", "train.steps=24").code == 0
    assert_same_story(straight, "parts")


@pytest.mark.slow
def test_run_that_is_asked_to_stop_tells_the_story_of_an_uninterrupted_one(
    straight: str, cli: Cli, during: During
) -> None:
    run: tuple[str, ...] = (*RING, "train.steps=24", "hydra.run.dir=parts")
    for stop in (4, 6, 7, 12):
        during(stop, asked_to_stop)
        assert cli(*run).code == 128 + signal.SIGTERM
        assert checkpoint.load(Path("parts/checkpoints/last.safetensors")).step == stop
        assert told("parts", "final") == {}  # it has not come to its end
        run = ("resume=parts",)
    assert cli("resume=parts").code == 0
    assert_same_story(straight, "parts")


# Killed before step 7 a run is left with the checkpoint of step 0, later with one behind which lie lines of both kinds.
@pytest.mark.exhaustive(1)
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
    assert list(told("parts")) == keys("metrics", 6, 12, 18, 24)
    assert_same_story(straight, "parts")


def test_run_that_is_killed_in_its_final_evaluation_is_evaluated_when_it_is_resumed(
    straight: str, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Run, "evaluate", lambda self: killed())
        assert cli(*RING, "train.steps=24", "hydra.run.dir=parts").code == 130
    assert cli("resume=parts/checkpoints/step_00000018.safetensors").code == 0
    assert_same_story(straight, "parts")


def test_evaluation_does_not_change_training(cli: Cli) -> None:
    dropout = (*RING, "model.generator.dropout=0.5", "ema.half_life=100")
    assert cli(*dropout, "train.evaluate_every=1", "hydra.run.dir=often").code == 0
    assert cli(*dropout, "train.evaluate_every=0", "hydra.run.dir=never").code == 0
    often, never = (checkpoint.load(Path(run, "checkpoints/last.safetensors")) for run in ("often", "never"))
    assert len(told("often")) == 3 * 12
    assert any(name.startswith("network/ema/") for name in often.tensors)
    assert often.tensors.keys() == never.tensors.keys()
    for name, tensor in often.tensors.items():
        assert torch.equal(tensor, never.tensors[name]), name


@pytest.mark.exhaustive(2)
@pytest.mark.parametrize(
    ("run", "measured", "final"),
    [
        ((*RING, "train.evaluate_every=0"), (), ()),
        ((*RING, "train.evaluate_every=13"), (), ()),
        ((*RING, "train.evaluate_every=12"), (12,), (12,)),
        ((*RING, "evaluate.final_images=0"), (6, 12), ()),
        (TINY, (), ()),  # by default every 1,000 steps
    ],
    ids=["never", "shorter", "just-so-long", "no-final", "default"],
)
def test_run_is_evaluated_as_often_as_it_is_asked_to_and_at_its_end_if_it_came_so_far(
    run: Sequence[str], measured: Sequence[int], final: Sequence[int], cli: Cli
) -> None:
    assert cli(*run, "hydra.run.dir=run").code == 0
    assert list(told("run")) == keys("metrics", *measured)
    assert list(told("run", "final")) == keys("final", *final)
    shown = {name for name in summary("run") if name.startswith(("metrics/", "final/"))}
    assert shown == {f"metrics/{name}" for name in NAMES if measured} | {f"final/{name}" for name in NAMES if final}
    assert Path("run/checkpoints/best.safetensors").exists() == bool(measured)
    assert [
        line["step"] for line in lines("run") if not any("/modes" in n or "quality" in n or "_kl" in n for n in line)
    ]


def test_evaluation_out_of_turn_may_be_asked_for_when_a_run_is_resumed(cli: Cli) -> None:
    assert cli(*RING, "train.steps=14", "train.evaluate_every=0", "hydra.run.dir=run").code == 0
    assert cli("resume=run", "train.steps=20", "train.evaluate_every=5").code == 0
    assert list(told("run")) == keys("metrics", 15, 20)
    assert list(told("run", "final")) == keys("final", 20)


def test_summary_of_a_run_that_was_resumed_after_its_last_evaluation_still_tells_it(cli: Cli) -> None:
    assert cli(*RING, "train.steps=14", "hydra.run.dir=run").code == 0
    assert cli("resume=run", "train.steps=16").code == 0
    assert list(told("run")) == keys("metrics", 6, 12)
    assert f'"metrics/modes": {told("run")["metrics/modes", 12]},' in Path("run/summary.json").read_text()
    for name in NAMES:
        assert summary("run")[f"metrics/{name}"] == told("run")[f"metrics/{name}", 12]
        assert summary("run")[f"final/{name}"] == told("run", "final")[f"final/{name}", 16]


# An affine generator of a single latent makes a line, which is infinitely far from any Gaussian of the plane.
LINE = (*TINY, "model.generator.widths=[]", "latent.dim=1", "train.evaluate_every=6")


def test_infinite_value_is_null_in_every_file_and_the_story_is_the_same(cli: Cli) -> None:
    assert cli(*LINE, "train.steps=14", "hydra.run.dir=straight").code == 0
    assert cli(*LINE, "train.steps=13", "hydra.run.dir=parts").code == 0
    assert cli("resume=parts", "train.steps=14").code == 0

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    for run in ("straight", "parts"):
        for text in (*Path(run, "metrics.jsonl").read_text().splitlines(), Path(run, "summary.json").read_text()):
            json.loads(text, parse_constant=refuse)
        assert [value for (name, _), value in told(run).items() if name == "metrics/kl"] == [None, None]
        assert told(run, "final")["final/kl", 14] is None
        assert summary(run)["metrics/kl"] is summary(run)["final/kl"] is None
        assert math.isfinite(summary(run)["metrics/w2"])
        assert not Path(run, "checkpoints/best.safetensors").exists()  # none is better than another
        assert "metrics/kl" not in curves(run)
    assert_same_story("straight", "parts")


def test_samples_of_a_diverged_generator_cover_nothing(cli: Cli) -> None:
    blind = ("optim.lr=1e30", "train.log_every=0", "train.checkpoint_every=0")
    assert cli(*RING, *blind, "hydra.run.dir=run").code == 1
    values = told("run")
    assert [of(values, "metrics", step) for step in (6, 12)] == 2 * [ModeCoverage(0, 0.0, math.log(8))]
    assert told("run", "final") == {}


DIGITS = (
    *("data=mnist", "data.limit=400", "model.generator.widths=[16]", "model.discriminator.widths=[16]"),
    *("train.batch_size=50", "train.steps=8", "train.sample_every=4", "train.evaluate_every=4", "device.threads=1"),
    *("train.checkpoint_every=3", "evaluate.num_images=100", "evaluate.final_images=150", "ema.half_life=200"),
)


@pytest.mark.slow
def test_run_on_images_that_is_extended_and_killed_tells_the_story_of_an_uninterrupted_one(
    cli: Cli, during: During
) -> None:
    assert cli(*DIGITS, "hydra.run.dir=straight").code == 0
    assert cli(*DIGITS, "train.steps=4", "hydra.run.dir=parts").code == 0
    pictures = {path.name: path.read_bytes() for path in Path("parts/evaluation").iterdir()}
    during(8, killed)
    assert cli("resume=parts", "train.steps=8").code == 130
    assert list(Path("parts/evaluation").iterdir()) == []  # they were of an end that is none any more
    assert cli("resume=parts", "train.steps=8").code == 0
    assert_same_story("straight", "parts")
    shown = [
        {path.name: path.read_bytes() for path in Path(run, "evaluation").iterdir()} for run in ("straight", "parts")
    ]
    assert shown[0] == shown[1]
    assert shown[0].keys() == pictures.keys()
    assert shown[0] != pictures
    judges = {
        (name.split("/")[0], line["extractor"]) for line in lines("straight") for name in line if "extractor" in line
    }
    assert {of for of in judges if of[0] in ("metrics", "final")} == {
        ("metrics", "mnist_v1"),
        ("final", "mnist_report_v1"),
    }
    measured = metric_lines("straight") + metric_lines("straight", "final")
    assert {line["count"] for line in measured} == {100, 150}
    assert all(math.isfinite(line["floor"]) for line in measured)
