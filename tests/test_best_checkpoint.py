"""The checkpoint with the best evaluation: which it is, that it can be used, and that it is the same after any stop."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest
import torch
from conftest import TINY, Result

from gan_cli import checkpoint
from gan_cli.best import Best, evaluations
from gan_cli.checkpoint import Checkpoint
from gan_cli.commands.evaluate import evaluate
from gan_cli.commands.sample import sample
from gan_cli.evaluation.evaluator import Guide
from gan_cli.run import Run

Cli = Callable[..., Result]

# Every evaluated state is kept beside the best one.
KEPT = ("train.steps=24", "train.evaluate_every=3", "train.checkpoint_every=3", "train.keep=20", "train.sample_every=0")
GAUSSIAN = (*TINY, *KEPT, "optim.lr=0.1", "evaluate.num_images=500", "evaluate.final_images=0")
RING = (
    *("data=ring8", *TINY[1:], *KEPT, "data.radius=0.4", "data.std=0.1"),
    *("optim.lr=0.02", "seed=1", "evaluate.final_images=0"),
)


def best(run: str) -> Checkpoint:
    return checkpoint.load(Path(run, "checkpoints/best.safetensors"))


def assert_same(one: Checkpoint, other: Checkpoint) -> None:
    assert one.step == other.step
    assert one.config == other.config
    assert one.tensors.keys() == other.tensors.keys()
    for name, tensor in one.tensors.items():
        assert torch.equal(tensor, other.tensors[name]), name


def told(run: str) -> dict[int, dict[str, float]]:
    """The metrics that were written at each step."""
    values: dict[int, dict[str, float]] = {}
    for line in map(json.loads, Path(run, "metrics.jsonl").read_text().splitlines()):
        for name, value in line.items():
            if name.startswith("metrics/"):
                values.setdefault(line["step"], {})[name] = value
    return values


def expected(values: Mapping[int, Mapping[str, float]], metric: str, guard: str | None = None) -> int:
    """The step with the lowest metric of those at which the guard was at least 80 % of its highest until then."""

    def guarded(step: int) -> bool:
        return guard is None or all(values[step][guard] >= 0.8 * values[before][guard] for before in range(3, step, 3))

    return min(filter(guarded, values), key=lambda step: values[step][metric])


@pytest.mark.exhaustive(1)
@pytest.mark.parametrize(
    ("run", "metric", "guard"),
    [(GAUSSIAN, "metrics/kl", None), (RING, "metrics/mode_kl", "metrics/high_quality")],
    ids=["gaussian2d", "ring8"],
)
def test_best_is_the_state_of_the_step_with_the_lowest_guide(
    run: Sequence[str], metric: str, guard: str | None, cli: Cli
) -> None:
    assert cli(*run, "hydra.run.dir=run").code == 0
    values = told("run")
    assert sorted(values) == list(range(3, 25, 3))
    step = expected(values, metric, guard)
    assert best("run").step == step
    assert 3 < step < 24  # neither the first nor the last: it was chosen
    assert (step == expected(values, metric)) == (guard is None)  # and not without the guard
    assert_same(best("run"), checkpoint.load(Path(f"run/checkpoints/step_{step:08d}.safetensors")))


def test_best_of_images_follows_kid_and_coverage(cli: Cli) -> None:
    small = ("model.generator.widths=[16]", "model.discriminator.widths=[16]", "evaluate.num_images=100")
    images = ("data=mnist", "data.limit=400", *TINY[4:], *small, *KEPT, "evaluate.final_images=0", "optim.lr=0.02")
    assert cli(*images, "hydra.run.dir=run").code == 0
    assert best("run").step == expected(told("run"), "metrics/kid", "metrics/coverage")


# Guard: 0.8 times the highest so far.
@pytest.mark.parametrize(
    ("course", "improves"),
    [
        ([(3, 0.5), (2, 0.5), (2, 0.5), (1, 0.5)], [True, True, False, True]),
        ([(3, 0.5), (2, 0.39), (1, 0.4)], [True, False, True]),  # 0.4 is 80 % of 0.5, as near as it comes
        ([(3, 0.3), (4, 0.9), (2, 0.7), (2.5, 0.8)], [True, False, False, True]),  # the guard rises without a best
        ([(math.nan, 0.5), (math.inf, 0.5), (5, 0.5), (math.nan, 0.5), (4, 0.5)], [False, False, True, False, True]),
        ([(3, math.nan), (2, 0.5), (1, math.nan), (1, 0.1)], [False, True, False, False]),
        ([(-1, 0.0), (-2, 0.0)], [True, True]),  # an unbiased estimate may be negative; nothing covered yet
    ],
    ids=["ties", "guarded", "guard-rises", "not-finite", "guard-not-finite", "negative"],
)
def test_better_is_lower_with_a_guard_that_has_not_fallen(
    course: Sequence[tuple[float, float]], improves: Sequence[bool]
) -> None:
    judge = Best(Guide("kid", guard="coverage"))
    assert [judge.improved_by({"kid": kid, "coverage": coverage}) for kid, coverage in course] == list(improves)
    unguarded = Best(Guide("kid"))
    lowest = math.inf
    for kid, coverage in course:
        assert unguarded.improved_by({"kid": kid, "coverage": coverage}) == (kid < lowest)
        lowest = min(lowest, kid) if kid == kid else lowest
    assert not Best(Guide("kid", guard="coverage")).improved_by({"fid": 1.0})


def test_evaluations_are_read_from_a_log_in_the_order_of_their_steps() -> None:
    lines = [
        '{"step": 1, "loss/G": 0.5}',
        '{"step": 6, "metrics/kl": 2.0, "extractor": null, "count": 9, "floor": 0.0, "weights": "raw"}',
        '{"step": 3, "metrics/kl": null, "extractor": null, "count": 9, "floor": 0.0, "weights": "raw"}',
        '{"step": 6, "metrics/w2": 3.0, "extractor": null, "count": 9, "floor": 0.0, "weights": "raw"}',
        '{"step": 6, "final/kl": 1.0, "extractor": null, "count": 9, "floor": 0.0, "weights": "raw"}',
    ]
    first, second = evaluations(lines)
    assert first.keys() == {"kl"}
    assert math.isnan(first["kl"])
    assert second == {"kl": 2.0, "w2": 3.0}


@pytest.mark.exhaustive(2)
@pytest.mark.parametrize("value", ['"a word"', "[1]", "{}", "true", "1e999", "-Infinity", "9" * 400])
def test_a_log_that_somebody_else_wrote_into_stops_no_run(value: str, cli: Cli) -> None:
    assert cli(*GAUSSIAN, "train.steps=6", "hydra.run.dir=run").code == 0
    with open("run/metrics.jsonl", "a") as file:
        file.write(f'{{"step": 5, "metrics/kl": {value}}}\n{{"step": 5, "metrics/other": {value}}}\n')
    resumed = cli("resume=run", "train.steps=9")
    assert resumed.code == 0, resumed.err
    assert json.loads(Path("run/summary.json").read_text())["metrics/kl"] == told("run")[9]["metrics/kl"]


@pytest.mark.slow
def test_best_can_be_sampled_evaluated_and_gone_on_with(cli: Cli) -> None:
    assert cli(*GAUSSIAN, "hydra.run.dir=run").code == 0
    end, story, path = checkpoint.load(Path("run/checkpoints/last.safetensors")), told("run"), best("run")
    name = "run/checkpoints/best.safetensors"
    assert cli(f"checkpoint={name}", "num_images=5", "out=drawn", command=sample).code == 0
    assert len(Path("drawn/samples.csv").read_text().splitlines()) == 6
    assert cli(f"checkpoint={name}", "num_images=500", "num_seeds=1", command=evaluate).code == 0
    assert {row["step"] for row in json.loads(Path("evaluation/evaluation.json").read_text())["results"]} == {path.step}
    assert cli(f"resume={name}").code == 0
    assert_same(checkpoint.load(Path("run/checkpoints/last.safetensors")), end)
    assert told("run") == story
    assert_same(best("run"), path)


@pytest.mark.exhaustive(1)
@pytest.mark.parametrize("kill", [5, 10, *(pytest.param(step, marks=pytest.mark.slow) for step in (17, 22))])
def test_run_that_is_killed_and_resumed_has_the_best_of_an_uninterrupted_one(
    kill: int, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    every = (*GAUSSIAN, "train.evaluate_every=2", "train.checkpoint_every=7")  # a best may lie behind the last
    advance = Run.advance

    def killed(run: Run) -> None:
        if run.step + 1 == kill:
            raise KeyboardInterrupt
        advance(run)

    assert cli(*every, "hydra.run.dir=straight").code == 0
    with monkeypatch.context() as patch:
        patch.setattr(Run, "advance", killed)
        assert cli(*every, "hydra.run.dir=parts").code == 130
    assert Path("parts/checkpoints/best.safetensors").exists()
    assert cli("resume=parts").code == 0
    assert_same(best("parts"), best("straight"))
    assert told("parts") == told("straight")


@pytest.mark.slow
def test_going_back_takes_a_best_of_the_future_away(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cli(*GAUSSIAN, "hydra.run.dir=run").code == 0
    before = best("run")

    def stopped(run: Run) -> None:
        raise KeyboardInterrupt

    for step, remains in ((before.step, True), (before.step - 3, False)):
        with monkeypatch.context() as patch:
            patch.setattr(Run, "advance", stopped)
            assert cli(f"resume=run/checkpoints/step_{step:08d}.safetensors").code == 130
        assert Path("run/checkpoints/best.safetensors").exists() == remains
        assert sorted(told("run")) == list(range(3, step + 1, 3))
    assert cli(f"resume=run/checkpoints/step_{before.step - 3:08d}.safetensors").code == 0
    assert_same(best("run"), before)


def test_best_is_remembered_when_a_run_goes_on_with_evaluations_at_other_steps(cli: Cli) -> None:
    assert cli(*GAUSSIAN, "hydra.run.dir=run").code == 0
    before = best("run")
    values = told("run")[before.step]
    path = f"run/checkpoints/step_{before.step:08d}.safetensors"
    assert cli(f"resume={path}", f"train.evaluate_every={before.step + 1}", "train.steps=24").code == 0
    after = told("run")
    assert after[before.step] == values
    assert sorted(after) == [*range(3, before.step + 1, 3), *range(before.step + 1, 25, before.step + 1)]
    assert best("run").step == expected(after, "metrics/kl")


def test_a_damaged_best_is_no_hindrance_and_goes(cli: Cli) -> None:
    assert cli(*GAUSSIAN, "train.steps=12", "hydra.run.dir=run").code == 0
    path = Path("run/checkpoints/best.safetensors")
    path.write_bytes(path.read_bytes()[:-50])
    assert cli("resume=run", "train.steps=13").code == 0
    assert not path.exists()


@pytest.mark.exhaustive(1)
@pytest.mark.parametrize("off", ["train.checkpoint_every=0", "train.evaluate_every=0"])
def test_without_checkpoints_or_evaluations_there_is_no_best(off: str, cli: Cli) -> None:
    assert cli(*GAUSSIAN, off, "hydra.run.dir=run").code == 0
    assert not Path("run/checkpoints/best.safetensors").exists()


def test_best_is_no_numbered_checkpoint_that_is_ever_removed(cli: Cli) -> None:
    assert cli(*GAUSSIAN, "train.keep=1", "hydra.run.dir=run").code == 0
    names = sorted(path.name for path in Path("run/checkpoints").iterdir())
    assert names == ["best.safetensors", "last.safetensors", "step_00000024.safetensors"]
    assert best("run").step < 24
