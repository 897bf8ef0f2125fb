"""gan-verify as it is typed: trains, compares, goes on, and refuses without leaving anything."""

import json
import signal
from collections.abc import Callable
from math import log
from pathlib import Path
from typing import Any

import pytest
from conftest import Result

from gan_cli.commands.sample import sample
from gan_cli.commands.verify import verify
from gan_cli.data.dataset import Dataset
from gan_cli.run import Run

Cli = Callable[..., Result]

PRESET = """
# @package _global_
defaults:
  - override /data: gaussian2d
model: {generator: {widths: []}, discriminator: {widths: [3]}}
data: {num_samples: 64}
train: {steps: 6, batch_size: 16, log_every: 1, sample_every: 3, evaluate_every: epoch}
"""
TABLE = """
source = "A text of four pages"
[full]
says = "six steps"
seeds = [3, 4]
[quick]
says = "two steps"
seeds = [5]
overrides = ["train.steps=2"]
[[full.figures]]
name = "loss/D"
steps = [4, 6]
expected = 1.4
tolerance = 2.0
why = "anything will do"
[[full.figures]]
name = "final/w2"
why = "told for information"
[[figures]]
name = "parameters/generator"
expected = 194
tolerance = 0
why = "2·96 + 2"
[[figures]]
name = "blind/loss/D"
expected = 1.3862943611198906
tolerance = 1e-12
why = "2 ln 2"
[[figures]]
name = "blind/loss/G"
expected = 0.6931471805599453
tolerance = 1e-12
why = "ln 2"
"""


@pytest.fixture
def own(cli: Cli) -> Callable[..., Result]:
    """gan-verify on a preset of the user's own."""
    folder = Path("mine/experiment")
    folder.mkdir(parents=True)
    (folder / "small.yaml").write_text(PRESET)
    (folder / "small.toml").write_text(TABLE)

    def run(*arguments: str) -> Result:
        return cli("--config-dir", "mine", "experiment=small", *arguments, command=verify)

    return run


def told(out: str = "outputs/verify/small") -> dict[str, Any]:
    content: dict[str, Any] = json.loads(Path(out, "verify.json").read_text())
    return content


def test_full_form_trains_every_seed_and_tells_every_figure(own: Callable[..., Result]) -> None:
    result = own()
    assert (result.code, result.err) == (0, "")
    content = told()
    assert content["seeds"] == [3, 4]
    figures = {figure["name"]: figure for figure in content["figures"]}
    assert list(figures) == ["parameters/generator", "blind/loss/D", "blind/loss/G", "loss/D", "final/w2"]
    assert figures["parameters/generator"]["values"] == [194, 194]
    assert figures["blind/loss/D"]["values"] == [2 * log(2)] * 2
    assert figures["blind/loss/G"]["values"] == [log(2)] * 2
    for place, seed in enumerate((3, 4)):
        run = Path(f"outputs/verify/small/seed_{seed}")
        lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
        losses = [line["loss/D"] for line in lines if "loss/D" in line and 4 <= line["step"] <= 6]
        assert len(losses) == 3
        assert figures["loss/D"]["values"][place] == pytest.approx(sum(losses) / 3)
        assert figures["final/w2"]["values"][place] == lines[-2]["final/w2"]
        assert json.loads((run / "summary.json").read_text())["steps"] == 6
    assert figures["loss/D"]["values"][0] != figures["loss/D"]["values"][1]
    page = Path("outputs/verify/small/verify.md").read_text()
    assert page.startswith("`gan-verify experiment=small`: six steps; seeds 3, 4.")
    assert "| parameters/generator |  |  | 194 | 194 |  | 2 of 2 | met |" in page
    assert "all 4 figures were met" in result.out
    assert {path.name for path in Path("outputs/verify/small").iterdir()} == {
        *("seed_3", "seed_4", "verify.json", "verify.md")
    }


def test_quick_form_is_shortened_and_what_is_typed_wins_over_it(own: Callable[..., Result], cli: Cli) -> None:
    assert own("quick=true").code == 0
    assert told("outputs/verify/small_quick")["overrides"] == ["train.steps=2", "experiment=small", "quick=true"]
    run = Path("outputs/verify/small_quick/seed_5")
    assert json.loads((run / "summary.json").read_text())["steps"] == 2
    assert own("quick=true", "train.steps=3", "seeds=[1]", "out=there").code == 0
    assert json.loads(Path("there/seed_1/summary.json").read_text())["steps"] == 3
    assert cli(f"checkpoint={run}", "num_images=3", "out=drawn", command=sample).code == 0  # a run like any other


def test_a_missed_figure_ends_with_1_and_names_it(own: Callable[..., Result]) -> None:
    result = own("quick=true", "model.generator.widths=[4]")
    assert result.code == 1
    assert "1 of 3 figures were missed: parameters/generator" in result.err
    assert "missed parameters/generator: 2·96 + 2\n" in result.out
    verdicts = {figure["name"]: figure["verdict"] for figure in told("outputs/verify/small_quick")["figures"]}
    assert verdicts == {"parameters/generator": "missed", "blind/loss/D": "met", "blind/loss/G": "met"}
    assert own("quick=true", "loss=lsgan", "out=other").code == 1


def test_finished_runs_are_used_again_and_interrupted_ones_go_on(
    own: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    advance = Run.advance

    def interrupted(run: Run) -> None:
        advance(run)
        if run.step == 4:
            signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patched:
        patched.setattr(Run, "advance", interrupted)
        result = own("seeds=[7]")
    assert result.code == 130
    assert "stopped at step 4; the same command goes on" in result.out
    assert not Path("outputs/verify/small/verify.json").exists()
    result = own("seeds=[7]")
    assert result.code == 0
    assert "going on with outputs/verify/small/seed_7 at step 4" in result.out
    log_file = Path("outputs/verify/small/seed_7/metrics.jsonl")
    first = log_file.read_text()
    result = own("seeds=[7]")
    assert "outputs/verify/small/seed_7 has finished earlier and is used again" in result.out
    assert log_file.read_text() == first
    assert own("seeds=[7]", "out=afresh").code == 0
    assert told()["figures"] == told("afresh")["figures"]


def test_a_directory_with_other_runs_is_refused_and_stays_as_it_is(own: Callable[..., Result]) -> None:
    assert own("quick=true").code == 0
    before = {path: path.read_bytes() for path in Path("outputs").rglob("*") if path.is_file()}
    result = own("quick=true", "optim.lr=0.5")
    assert result.code == 2
    assert "outputs/verify/small_quick/seed_5 holds another run: name another directory" in result.err
    assert "0.001 -> 0.5" in result.err
    assert before == {path: path.read_bytes() for path in Path("outputs").rglob("*") if path.is_file()}


def test_a_run_of_other_data_is_refused_although_its_configuration_is_the_same(
    own: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert own("quick=true").code == 0
    monkeypatch.setattr(Dataset, "digest", lambda self: "0" * 16)
    result = own("quick=true")
    assert result.code == 2
    assert "seed_5 holds another run: name another directory\n  Its data are not these" in result.err


def test_a_seed_that_diverges_is_a_missed_figure(own: Callable[..., Result]) -> None:
    result = own("quick=true", "optim=sgd", "optim.lr=1e38", "train.steps=4", "train.checkpoint_every=0")
    assert result.code == 1
    figures = told("outputs/verify/small_quick")["figures"]
    assert {figure["verdict"] for figure in figures} == {"missed"}
    assert figures[0]["values"] == [None]


@pytest.mark.exhaustive(3)
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "experiment must be given"),
        (("experiment=grid25",), "experiment=grid25: no table of figures"),
        (("experiment=cs231n_gam",), "cs231n_gan"),
        (("experiment=cs231n_gan", "-m"), "one preset at a time: leave out -m"),
        (("experiment=cs231n_gan", "resume=x"), "leave out resume, init_from and dry_run"),
        (("experiment=cs231n_gan", "dry_run=true"), "leave out resume, init_from and dry_run"),
        (("experiment=cs231n_gan", "seeds=[-1]"), "seeds must be at least 0"),
        (("experiment=cs231n_gan", "seeds=1"), "seeds must be a list"),
        (("experiment=cs231n_gan", "quack=true"), "quack"),
        (("experiment=cs231n_gan", "train.steps=0"), "train.steps must be at least 1"),
        (("experiment=d2l_pokemon", "data.root=nowhere"), "there is no nowhere"),
    ],
)
def test_a_wrong_command_is_refused_and_leaves_nothing(arguments: tuple[str, ...], words: str, cli: Cli) -> None:
    result = cli(*arguments, command=verify)
    assert (result.code, words in result.err) == (2, True), result.err
    assert len(result.err.splitlines()) <= 4
    assert list(Path().iterdir()) == []
