"""gan-compare from end to end, on runs that gan-train left."""

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from conftest import TINY, Result

from gan_cli import images
from gan_cli.commands.compare import compare
from gan_cli.commands.sample import sample
from gan_cli.comparison.records import read
from gan_cli.comparison.strips import strip

FEW = (*TINY, "train.evaluate_every=6", "train.sample_every=12", "evaluate.final_images=0")
DIGITS = ("data=mnist", "data.limit=128", "train.steps=2", "train.evaluate_every=0", "train.batch_size=16")
DIGITS = (*DIGITS, "model.generator.widths=[8]", "model.discriminator.widths=[8]", "latent.dim=4")


def written(directory: Path | str) -> set[str]:
    return {path.name for path in Path(directory).glob("comparison.*")}


SWEEP = Path("outputs/multirun/losses")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the sweep is kept that the first test trains."""
    return tmp_path_factory.mktemp("trained") / "losses"


@pytest.fixture
def two(cli: Callable[..., Result], trained: Path) -> Callable[..., Result]:
    """A command, beside a sweep of two losses and two seeds."""
    if not trained.exists():
        result = cli("-m", *FEW, "loss=bce,lsgan", "seed=1,2", "sweep.name=losses")
        assert result.code == 0, result.err
        shutil.copytree(SWEEP, trained)
    else:
        shutil.copytree(trained, SWEEP)
    return cli


def test_a_sweep_is_compared(two: Callable[..., Result]) -> None:
    result = two(f"runs={SWEEP}", command=compare)
    assert result.code == 0, result.err
    assert "loss=bce" in result.out
    assert "loss=lsgan" in result.out
    assert "kl: best while training, lower is better" in result.out
    assert max(map(len, result.out.splitlines()[:-1])) <= 100
    assert written(SWEEP) == {"comparison.csv", "comparison.html", "comparison.png"}
    with open(SWEEP / "comparison.csv") as file:
        rows = list(csv.DictReader(file))
    assert {(row["loss"], row["seed"]) for row in rows} == {("bce", "1"), ("bce", "2"), ("lsgan", "1"), ("lsgan", "2")}
    for row in rows:
        lines = [json.loads(line) for line in Path(row["run"], "metrics.jsonl").read_text().splitlines()]
        assert float(row["value"]) == min(line["metrics/kl"] for line in lines if line.get("metrics/kl") is not None)
    page = (SWEEP / "comparison.html").read_text()
    assert page.count("data:image/png;base64,") == 4
    # Once more, with its own files there, and into another place.
    result = two(f"runs={SWEEP}/0,{SWEEP}/3", "out=there/deep", "samples=0", "metric=loss/G", command=compare)
    assert result.code == 0, result.err
    assert "loss/G: last, lower is better" in result.out
    assert written("there/deep") == {"comparison.csv", "comparison.html"}
    assert "data:image" not in Path("there/deep/comparison.html").read_text()


def test_damaged_unfinished_and_foreign_runs_do_not_keep_the_others_from_being_compared(
    two: Callable[..., Result],
) -> None:
    assert two(*DIGITS, "hydra.run.dir=runs/digits").code == 0
    for number, name in enumerate(("killed", "cut", "diverged", "bare")):
        shutil.copytree(SWEEP / str(number), f"runs/{name}")
    Path("runs/killed/status.json").write_text('{"state": "running", "step": 6, "reason": null}')
    for checkpoint in Path("runs/cut/checkpoints").iterdir():
        content = checkpoint.read_bytes()
        checkpoint.unlink()
        checkpoint.write_bytes(content[:-9])
    Path("runs/diverged/status.json").write_text('{"state": "diverged", "step": 7, "reason": "loss/G is nan"}')
    shutil.rmtree("runs/bare")
    Path("runs/bare").mkdir()
    Path("runs/bare/status.json").write_text("{")
    result = two("runs=runs", command=compare)
    assert result.code == 0, result.err
    told = " ".join(result.out.split())
    for words in ("killed: its process is gone", "diverged: loss/G is nan", "bare unreadable: status.json is damaged"):
        assert words in told
    page = Path("runs/comparison.html").read_text()
    assert "drawn by the run itself" in page
    assert "nothing to show" in page
    assert written("runs") == {"comparison.csv", "comparison.html", "comparison.png"}


def test_samples_are_those_of_gan_sample(cli: Callable[..., Result]) -> None:
    assert cli(*DIGITS, "hydra.run.dir=run").code == 0
    assert cli("checkpoint=run", "num_images=7", "seed=0", "out=drawn", command=sample).code == 0
    drawn = [images.read_png(path) for path in sorted(Path("drawn/images").glob("*.png"))]
    shown = strip(read(Path("run")), 7)
    assert shown.source == "last.safetensors, step 2"
    assert shown.picture is not None
    assert torch.equal(shown.picture, images.grid_of_bytes(torch.stack(drawn), 7))  # type: ignore[arg-type]


def test_the_best_checkpoint_comes_first(two: Callable[..., Result]) -> None:
    assert strip(read(SWEEP / "0"), 3).source.startswith("best.safetensors")
    (SWEEP / "0/checkpoints/best.safetensors").write_bytes(b"")
    assert strip(read(SWEEP / "0"), 3).source == "last.safetensors, step 12"


def test_a_foreign_class_is_drawn_from_only_where_it_is_trusted(
    cli: Callable[..., Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "strange_nets.py").write_text(
        "from gan_cli.models.mlp import MLPDiscriminator, MLPGenerator\n"
        "class G(MLPGenerator):\n    def __init__(self, **about):\n        super().__init__(**about)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    own = ("model.generator._target_=strange_nets.G", "hydra.run.dir=run")
    result = cli(*TINY, *own)
    assert result.code == 0, result.err
    refused = strip(read(Path("run")), 3)
    assert "drawn by the run itself" in refused.source
    assert "strange_nets" in refused.source
    assert "Refused" not in refused.source  # it is told in words
    assert strip(read(Path("run")), 3, ("strange_nets",)).source == "last.safetensors, step 12"


@pytest.mark.exhaustive(4)
@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ((), "runs must be given"),
        (("runs=",), "runs is empty"),
        (("runs=,",), "runs names no directory"),
        (("runs=nowhere",), "runs=nowhere: there is no such directory"),
        (("runs=empty",), "runs=empty: no run lies at or below it"),
        (("runs=run,nowhere",), "runs=nowhere"),
        (("runs=run", "metric=kidd"), "metric=kidd: no run has logged it"),
        (("runs=run", "metric=losss/G"), "did you mean loss/G"),
        (("runs=run", "samples=-1"), "samples must be at least 0"),
        (("runs=run", "samples=1000"), "samples must be at most 64"),
        (("runs=run", "sample=3"), "sample"),
        (("runs=run", "out=file/below"), "cannot write to out=file/below"),
        (("-m", "runs=run"), "leave out -m"),
    ],
    ids=" ".join,
)
def test_what_cannot_be_compared_is_refused(typed: tuple[str, ...], words: str, cli: Callable[..., Result]) -> None:
    Path("empty").mkdir()
    Path("file").write_text("")
    Path("run").mkdir()
    Path("run/status.json").write_text('{"state": "failed", "step": 0, "reason": "x"}')
    Path("run/metrics.jsonl").write_text('{"step": 1, "loss/G": 0.5}\n')
    result = cli(*typed, command=compare)
    assert (result.code, words in result.err) == (2, True), result.err
    assert written("run") == set()


def test_paths_may_hold_whatever_a_path_may(cli: Callable[..., Result], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a b, c=d", "~x"):
        Path(name).mkdir()
        Path(name, "status.json").write_text('{"state": "failed", "step": 0, "reason": "x"}')
    assert cli("runs=a b, c=d", "samples=0", command=compare).code == 0
    assert cli("runs='a b, c=d'", "samples=0", command=compare).code == 0
    assert written("a b, c=d") == {"comparison.csv", "comparison.html"}
    monkeypatch.setenv("HOME", str(Path("a b, c=d").absolute()))
    assert cli("runs=~", "out=o", "samples=0", command=compare).code == 0
    assert written("o") == {"comparison.csv", "comparison.html"}
