"""gan-export from end to end: the file, its card and its picture; what the card says runs as it stands."""

import errno
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml
from conftest import TINY, Result
from safetensors import safe_open

from gan_cli import checkpoint, files, images
from gan_cli.commands.evaluate import evaluate
from gan_cli.commands.export import export
from gan_cli.data.origin import UNKNOWN, Origin
from gan_cli.export.card import without_paths
from gan_cli.targets import locate

Cli = Callable[..., Result]

DIGITS = (
    *("model=dcgan", "model.generator.hidden=8", "model.generator.widths=[6,4]", "model.discriminator.hidden=8"),
    *("model.discriminator.widths=[2,2]", "data.limit=128", "latent.dim=4", "train.batch_size=16", "train.steps=4"),
    *("train.log_every=2", "evaluate.final_images=0", "train.evaluate_every=0", "hydra.run.dir=run"),
)
POINTS = (*TINY, "hydra.run.dir=run")


def exported(cli: Cli, *arguments: str) -> Result:
    return cli("checkpoint=run", *arguments, command=export)


def card(path: str) -> str:
    return Path(path).read_text(encoding="utf-8")


def run_snippet(text: str) -> None:
    """The Python of a card, in a process that has no more than what is installed, and this project."""
    code = re.search(r"```python\n(.*?)```", text, re.DOTALL)
    assert code is not None
    Path("snippet.py").write_text(code[1])
    finished = subprocess.run(
        [sys.executable, "-W", "error", "snippet.py"], capture_output=True, text=True, check=False
    )
    assert (finished.returncode, finished.stdout, finished.stderr) == (0, "", "")


def test_weights_and_card_of_images_by_class(cli: Cli) -> None:
    assert cli(*DIGITS, "model.conditional=projection", "ema.half_life=100").code == 0
    result = exported(cli, "out=new/digits.safetensors")
    assert result.code == 0, result.err
    assert sorted(path.name for path in Path("new").iterdir()) == ["digits.md", "digits.png", "digits.safetensors"]
    stored = checkpoint.load(Path("run/checkpoints/last.safetensors"))
    with safe_open("new/digits.safetensors", framework="pt") as file:
        facts, average = file.metadata(), stored.part("network/ema")
        assert set(file.keys()) == average.keys()
        assert all(torch.equal(file.get_tensor(name), tensor) for name, tensor in average.items())
    assert (facts["weights"], facts["step"], json.loads(facts["classes"])) == ("ema", "4", list("0123456789"))
    text = card("new/digits.md")
    for said in (
        *("# digits", "![Samples](digits.png)", "grey images of 28×28 pixels", "10 classes", "MNIST", "CC BY-SA 3.0"),
        *(
            "Yann LeCun",
            "4 steps of the generator, 64 images seen",
            "loss BCE",
            "Nothing was measured",
            "moving average",
        ),
        *("yours to name", facts["source_sha256"], "read back and compared bit for bit"),
    ):
        assert said in re.sub(r"\s+", " ", text), said
    head, config = text.split("---\n")[1], re.search(r"```yaml\n(.*?)```", text, re.DOTALL)
    assert yaml.safe_load(head)["tags"] == ["gan", "gan-cli"]
    assert config is not None
    assert yaml.safe_load(config[1]) == without_paths(stored.config)
    picture = images.read_png(Path("new/digits.png"))
    assert picture is not None
    assert picture.shape == (1, 10 * 58 + 2, 8 * 58 + 2)  # a row for each class


@pytest.mark.exhaustive(1)
@pytest.mark.parametrize(
    "data", [DIGITS, (*DIGITS, "model.conditional=concat"), POINTS], ids=["images", "classes", "points"]
)
def test_snippet_for_weights_runs_as_it_stands(data: tuple[str, ...], cli: Cli) -> None:
    assert cli(*data).code == 0
    assert exported(cli, "out=g.safetensors").code == 0
    run_snippet(card("g.md"))
    assert Path("g_drawn.csv" if data is POINTS else "g_drawn.png").exists()


@pytest.mark.parametrize("data", [(*DIGITS, "model.conditional=concat"), pytest.param(POINTS, marks=pytest.mark.slow)])
def test_onnx_file_is_tried_and_its_snippet_runs_as_it_stands(data: tuple[str, ...], cli: Cli) -> None:
    for needed in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(needed)
    assert cli(*data).code == 0
    result = exported(cli, "out=g.onnx", "format=onnx")
    assert result.code == 0, result.err
    assert "8 samples in onnxruntime" in result.out
    run_snippet(card("g.md"))
    drawn = Path("g_drawn.csv" if data is POINTS else "g_drawn.png")
    assert drawn.exists()
    if data is not POINTS:
        picture = images.read_png(drawn)
        assert picture is not None
        assert picture.shape == (1, 28, 16 * 28)


@pytest.mark.slow
def test_networks_of_ones_own_need_trust_and_are_run_by_their_class(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "mine_to_export.py").write_text(
        "from torch import nn\nclass G(nn.Sequential):\n    def __init__(self, latent_dim, sample_shape):\n"
        "        super().__init__(nn.Linear(latent_dim, sample_shape[0]))\n"
        "class D(nn.Sequential):\n    def __init__(self, sample_shape):\n"
        "        super().__init__(nn.Linear(sample_shape[0], 1), nn.Flatten(0))\n"
    )
    kept = [argument for argument in POINTS if not argument.startswith("model.")]
    networks = (
        "model.generator._target_=mine_to_export.G",
        "model.discriminator._target_=mine_to_export.D",
    )
    result = cli(*kept, "model=custom", *networks)
    assert result.code == 0, result.err
    refused = exported(cli, "out=g.safetensors")
    assert (refused.code, "trust=[mine_to_export]" in refused.err) == (2, True)
    assert exported(cli, "out=g.safetensors", "trust=[mine_to_export]").code == 0
    assert "the package `mine_to_export`" in re.sub(r"\s+", " ", card("g.md"))
    run_snippet(card("g.md"))
    sys.modules.pop("mine_to_export", None)


def test_batch_statistics_are_in_the_file_and_dropout_is_off_and_both_are_said(cli: Cli) -> None:
    assert cli(*DIGITS, "sampling.batch_norm=batch", "model.generator.dropout=0.5").code == 0
    result = exported(cli, "out=g.safetensors")
    assert result.code == 0
    text = re.sub(r"\s+", " ", card("g.md"))
    for said in ("in this file dropout is off", "statistics of one fixed batch"):
        assert said in text
        assert said in re.sub(r"\s+", " ", result.out)
    stored = checkpoint.load(Path("run/checkpoints/last.safetensors")).part("network/generator")
    with safe_open("g.safetensors", framework="pt") as file:
        for name, tensor in stored.items():
            of_batch = name.endswith(("running_mean", "running_var", "num_batches_tracked"))
            assert torch.equal(file.get_tensor(name), tensor) is not of_batch, name


def test_metrics_are_those_of_the_run_or_of_gan_evaluate_with_intervals(cli: Cli) -> None:
    ring = [argument for argument in POINTS if not argument.startswith("data")]
    assert cli(*ring, "data=ring8", "data.num_samples=400", "train.evaluate_every=6").code == 0
    assert exported(cli, "out=g.safetensors").code == 0
    row = next(line for line in card("g.md").splitlines() if line.startswith("| `modes`"))
    final = json.loads(Path("run/summary.json").read_text())["final/modes"]
    assert [cell.strip() for cell in row.split("|")[2:4]] == [f"{final:.4g}", ""]
    assert "at the end of the run" in card("g.md")
    typed = ("checkpoint=run", "num_images=100", "num_seeds=3", "out=evaluated")
    assert cli(*typed, command=evaluate).code == 0
    assert exported(cli, "out=g.safetensors", "evaluation=evaluated").code == 0
    rows = json.loads(Path("evaluated/evaluation.json").read_text())["results"]
    found = next(row for row in rows if row["metric"] == "high_quality")
    cells = next(line for line in card("g.md").splitlines() if line.startswith("| `high_quality`")).split("|")
    assert [float(cell) for cell in cells[2:5]] == [
        pytest.approx(found[name], rel=1e-3) for name in ("value", "half_interval", "floor")
    ]
    assert "means over 3 sampling seeds" in re.sub(r"\s+", " ", card("g.md"))
    other = exported(
        cli, "out=h.safetensors", "evaluation=evaluated", "checkpoint=run/checkpoints/step_00000006.safetensors"
    )
    assert (other.code, "tells nothing of this checkpoint" in other.err) == (2, True)


MISTAKES = [
    (("out=g.pt",), "g.pt.onnx or g.pt.safetensors"),
    (("out=g",), "g.onnx or g.safetensors"),
    (("out=g.onnx", "format=safetensors"), "must end as its format does: g.safetensors"),
    (("out=g.safetensors", "format=torch"), "format"),
    (("out=g.safetensors", "weights=ema"), "the run kept no average"),
    (("out=g.safetensors", "checkpoint=nowhere"), "there is no checkpoint"),
    (("out=run/checkpoints/last.safetensors",), "is a checkpoint, from which a run goes on"),
    (("out=a_file/g.safetensors",), "cannot write to out=a_file"),
    (("out=taken.safetensors",), "it is a directory"),
    (("out=notes.safetensors",), "notes.md is in the place of the model card"),
    ((), "out must be given"),
]


@pytest.mark.slow
def test_mistakes_are_told_and_nothing_is_written(cli: Cli) -> None:
    assert cli(*POINTS).code == 0
    Path("a_file").write_text("")
    Path("taken.safetensors").mkdir()
    Path("notes.md").write_text("mine")
    before = {path: path.stat().st_mtime_ns for path in Path().rglob("*") if path.is_file()}
    for typed, words in MISTAKES:
        result = exported(cli, *typed)
        assert (result.code, words in result.err) == (2, True), (typed, result.err)
        assert {path: path.stat().st_mtime_ns for path in Path().rglob("*") if path.is_file()} == before, typed
    assert cli("-m", "checkpoint=run", "out=g.safetensors", command=export).code == 2


def test_full_disk_is_told_in_one_line_and_what_was_there_stays(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cli(*POINTS).code == 0
    Path("g.safetensors").write_bytes(b"before")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    result = exported(cli, "out=g.safetensors")
    assert result.code == 1
    assert result.err == "gan-export: cannot write g.safetensors: No space left on device\n"
    assert Path("g.safetensors").read_bytes() == b"before"
    assert not list(Path().glob(".*.tmp"))


def test_a_second_export_replaces_the_first(cli: Cli) -> None:
    assert cli(*POINTS).code == 0
    assert exported(cli, "out=g.safetensors").code == 0
    before = {name: Path(name).read_bytes() for name in ("g.md", "g.png")}
    Path("g.safetensors").write_bytes(b"")
    assert exported(cli, "out=g.safetensors").code == 0
    assert {name: Path(name).read_bytes() for name in before} == before
    with safe_open("g.safetensors", framework="pt") as file:
        assert file.metadata()["step"] == "12"


def test_paths_of_the_machine_are_left_out_of_a_card() -> None:
    config = {"data": {"root": "alice", "split": "train", "more": ["a/b", 1]}, "inception_weights": "C:\\w", "seed": 1}
    gone = "(a path, left out)"
    expected = {"data": {"root": gone, "split": "train", "more": [gone, 1]}, "inception_weights": gone, "seed": 1}
    assert without_paths(config) == expected
    assert without_paths({"root": None}) == {"root": None}


@pytest.mark.parametrize("option", sorted(path.stem for path in Path(__file__).parents[1].glob("conf/data/*.yaml")))
def test_every_data_set_says_where_it_comes_from(option: str) -> None:
    file = Path(__file__).parents[1] / f"conf/data/{option}.yaml"
    load = locate(yaml.safe_load(file.read_text())["_target_"], "data", None)
    origin = sys.modules[load.__module__].ORIGIN
    assert isinstance(origin, Origin)
    assert origin.name
    assert origin.licence
    assert (origin.licence == UNKNOWN.licence) == (option in ("folder", "unpaired_folders"))
