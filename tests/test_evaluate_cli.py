"""gan-evaluate as its user meets it: the table, the file, the numbers of the run again, and what it refuses."""

import csv
import hashlib
import json
import math
import socket
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import TINY, Result

import gan_cli
from gan_cli import checkpoint, images
from gan_cli.commands.evaluate import evaluate
from gan_cli.commands.sample import sample

Cli = Callable[..., Result]
Line = dict[str, Any]

GAUSSIAN = (*TINY, "ema.half_life=100", "train.evaluate_every=6", "evaluate.final_images=500")
SMALL = ("model.generator.widths=[16]", "model.discriminator.widths=[16]", "latent.dim=4")
IMAGES = (
    *("train.batch_size=50", "train.steps=8", "train.evaluate_every=4", "train.sample_every=0"),
    *("train.checkpoint_every=4", "evaluate.num_images=100", "evaluate.final_images=150"),
)
DIGITS = ("data=mnist", "data.limit=400", *SMALL, *IMAGES)
DCGAN = (
    *("data=mnist", "data.limit=400", "model=dcgan", "model.generator.hidden=8", "model.generator.widths=[4,4]"),
    *("model.discriminator.hidden=8", "model.discriminator.widths=[2,4]", *IMAGES),
)
ROW = {
    *("checkpoint", "step", "weights", "metric", "extractor", "count"),
    *("value", "half_interval", "values", "floor", "excess"),
}
OF_IMAGES = (
    *("kid", "precision", "recall", "density", "coverage", "class_kl", "score"),
    *("nn_distance", "copied"),
)


def done(result: Result) -> Result:
    assert result.code == 0, result.err
    return result


def refused(result: Result, *words: str) -> None:
    assert result.code == 2, result.out
    assert "Traceback" not in result.err
    assert len(result.err.splitlines()) <= 4
    for word in words:
        assert word in result.err


def made(cli: Cli, path: Path, *overrides: str) -> str:
    """A run that several tests look at, made by the first of them."""
    if not path.exists():
        done(cli(*overrides, f"hydra.run.dir={path}"))
    return str(path)


@pytest.fixture
def gaussian(cli: Cli, tmp_path_factory: pytest.TempPathFactory) -> str:
    return made(cli, tmp_path_factory.getbasetemp() / "evaluated_gaussian", *GAUSSIAN)


@pytest.fixture
def digits(cli: Cli, tmp_path_factory: pytest.TempPathFactory) -> str:
    return made(cli, tmp_path_factory.getbasetemp() / "evaluated_digits", *DIGITS, "ema.half_life=100", "seed=3")


def write_pictures(folder: Path, count: int, seed: int = 0) -> str:
    folder.mkdir()
    generator = torch.Generator().manual_seed(seed)
    for number in range(count):
        picture = torch.randint(0, 256, (3, 8, 8), dtype=torch.uint8, generator=generator)
        images.save_png(folder / f"{number:03}.png", picture)
    return str(folder)


def folder_run(root: str, *overrides: str) -> tuple[str, ...]:
    return ("data=folder", f"data.root={root}", "data.resolution=8", *SMALL, *IMAGES, *overrides)


def strict(path: str = "evaluation/evaluation.json") -> Line:
    """A file as JSON's grammar knows it, which has no Infinity and no NaN."""

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    content: Line = json.loads(Path(path).read_text(), parse_constant=refuse)
    return content


def results(path: str = "evaluation/evaluation.json") -> list[Line]:
    rows: list[Line] = strict(path)["results"]
    return rows


def values(rows: Sequence[Line]) -> dict[tuple[str, str], float]:
    found = {(row["weights"], row["metric"]): row["value"] for row in rows}
    assert len(found) == len(rows)
    return found


def final(run: str) -> list[Line]:
    lines = [json.loads(line) for line in Path(run, "metrics.jsonl").read_text().splitlines()]
    return [line for line in lines if any(name.startswith("final/") for name in line)]


# What it says.


def test_table_and_file_tell_every_metric_of_both_weights(gaussian: str, cli: Cli) -> None:
    out = done(cli(f"checkpoint={gaussian}", "num_images=300", command=evaluate)).out
    rows = results()
    assert [(row["weights"], row["metric"]) for row in rows] == [
        (weights, metric) for weights in ("ema", "raw") for metric in ("w2", "kl")
    ]
    table = [line.split() for line in out.splitlines()]
    assert next(line for line in table if "metric" in line) == [
        *("weights", "metric", "value", "±", "95", "%", "floor", "excess", "samples", "extractor")
    ]
    for row in rows:
        assert row.keys() == ROW
        assert (row["step"], row["count"], row["extractor"]) == (12, 300, None)
        assert Path(row["checkpoint"]) == Path(gaussian, "checkpoints/last.safetensors")
        assert len(set(row["values"])) == 3
        assert row["value"] == pytest.approx(statistics.fmean(row["values"]), rel=1e-12)
        student = 4.302652729911275 * statistics.stdev(row["values"]) / math.sqrt(3)  # two degrees of freedom
        assert row["half_interval"] == pytest.approx(student, rel=2e-4)  # from a table of three decimals
        assert row["excess"] == row["value"] - row["floor"]
        numbers = [f"{row[name]:.4g}" for name in ("value", "half_interval", "floor", "excess")]
        assert [row["weights"], row["metric"], *numbers, "300"] in table


def test_each_seed_is_that_of_an_evaluation_of_its_own(gaussian: str, cli: Cli) -> None:
    ask = (f"checkpoint={gaussian}", "num_images=300", "weights=raw")
    done(cli(*ask, "seed=4", "num_seeds=2", command=evaluate))
    both = [row["values"] for row in results()]
    for number in range(2):
        done(cli(*ask, f"seed={4 + number}", "num_seeds=1", "out=one", command=evaluate))
        rows = results("one/evaluation.json")
        assert [row["values"] for row in rows] == [[values[number]] for values in both]
        assert [row["half_interval"] for row in rows] == [None, None]


def test_provenance_names_the_file_the_data_and_the_versions(digits: str, cli: Cli) -> None:
    path = Path(digits, "checkpoints/last.safetensors")
    done(cli(f"checkpoint={digits}", "num_images=100", "num_seeds=2", "seed=8", command=evaluate))
    told = strict()["provenance"]
    assert told["checkpoints"] == {str(path): hashlib.sha256(path.read_bytes()).hexdigest()}
    assert told["seeds"] == [8, 9]
    assert (told["gan_cli"], told["torch"]) == (gan_cli.__version__, torch.__version__)
    (reference,) = told["references"]
    assert reference["data"] == checkpoint.load(path).facts["data_digest"]
    assert reference["extractor"] == "mnist_report_v1"  # the judge that has chosen nothing
    assert (reference["held_out"], reference["compared"]) == (100, 300)
    assert told["asked"]["num_images"] == 100
    assert {row["extractor"] for row in results()} == {"mnist_report_v1"}


def test_asked_twice_with_or_without_a_cache_it_writes_the_same_bytes(
    digits: str, cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask = (f"checkpoint={digits}", "num_images=100", "num_seeds=1", "weights=raw")
    files = []
    for cache in ("one", "one", "other"):
        monkeypatch.setenv("GAN_CLI_CACHE", str(tmp_path / cache))
        done(cli(*ask, command=evaluate))
        files.append({path.name: path.read_bytes() for path in Path("evaluation").iterdir()})
    assert files[0] == files[1] == files[2]
    assert files[0].keys() >= {"evaluation.json", "raw_neighbors.png", "raw_classes.png"}


# The numbers of the run.


def assert_final(run: str, seed: int, count: int, cli: Cli) -> list[Line]:
    asked = (f"checkpoint={run}", f"seed={seed}", "num_seeds=1", f"num_images={count}")
    done(cli(*asked, command=evaluate))
    lines, rows = final(run), results()
    assert {line["weights"] for line in lines} == {"ema", "raw"}
    told = [
        (line["weights"], name.removeprefix("final/"), line[name], line["floor"], line["count"], line["extractor"])
        for line in lines
        for name in line
        if name.startswith("final/")
    ]
    columns = ("weights", "metric", "value", "floor", "count", "extractor")
    assert told == [tuple(row[column] for column in columns) for row in rows]
    return rows


def test_final_metrics_of_a_run_are_those_of_gan_evaluate_with_its_seed(gaussian: str, cli: Cli) -> None:
    rows = assert_final(gaussian, 0, 500, cli)
    assert {row["count"] for row in rows} == {500}


def test_final_metrics_of_images_are_those_of_gan_evaluate_and_so_are_the_pictures(digits: str, cli: Cli) -> None:
    rows = assert_final(digits, 3, 150, cli)
    assert [row["metric"] for row in rows if row["weights"] == "raw"] == list(OF_IMAGES)
    names = {f"{weights}_{of}.png" for weights in ("ema", "raw") for of in PICTURES}
    assert {path.name for path in Path(digits, "evaluation").iterdir()} == names
    for name in names:
        assert Path(digits, "evaluation", name).read_bytes() == Path("evaluation", name).read_bytes()


PICTURES = ("neighbors", "closest_pairs", "manifold", "classes")


@pytest.mark.parametrize(
    "run",
    [
        (*DIGITS, "model.generator.dropout=0.5", "ema.half_life=100"),
        pytest.param((*DCGAN, "ema.half_life=100", "sampling.batch_norm=batch"), marks=pytest.mark.slow),
    ],
    ids=["dropout", "batch-norm"],
)
def test_evaluation_changes_neither_weights_nor_global_streams(
    run: Sequence[str], cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    states = []
    for every in ("1", "0"):
        torch.manual_seed(11)
        done(cli(*run, f"train.evaluate_every={every}", "train.steps=3", f"hydra.run.dir=every{every}"))
        states.append(torch.get_rng_state())
    assert torch.equal(*states)
    often, never = (checkpoint.load(Path(f"every{every}/checkpoints/last.safetensors")) for every in "10")
    assert final("every1")
    assert not final("every0")
    assert often.tensors.keys() == never.tensors.keys()
    for name, tensor in often.tensors.items():
        assert torch.equal(tensor, never.tensors[name]), name


# Several checkpoints.


def test_all_checkpoints_of_a_run_give_a_table_and_a_picture(gaussian: str, cli: Cli) -> None:
    out = done(cli(f"checkpoint={gaussian}/checkpoints", "num_images=100", "num_seeds=2", command=evaluate)).out
    steps = [int(path.stem.removeprefix("step_")) for path in sorted(Path(gaussian, "checkpoints").glob("step_*"))]
    assert len(steps) > 1
    assert sorted({row["step"] for row in results()}) == steps
    assert len(strict()["provenance"]["checkpoints"]) == len(steps)
    assert len(results()) == len(steps) * 4
    shown = images.read_png(Path("evaluation/evaluation.png"))
    assert shown is not None
    assert shown.float().std() > 0
    assert "checkpoint" in out


def test_two_runs_that_are_named_are_compared(gaussian: str, cli: Cli) -> None:
    ring = ("data=ring8", *TINY[1:], "hydra.run.dir=ring")
    done(cli(*ring))
    done(cli(f"checkpoint={gaussian}, ring", "num_images=100", "num_seeds=1", "weights=raw", command=evaluate))
    assert [row["metric"] for row in results()] == ["w2", "kl", "modes", "high_quality", "mode_kl"]
    assert Path("evaluation/evaluation.png").exists()
    refused(cli("checkpoint=ring", "weights=ema", command=evaluate), "weights", "raw")


def test_commas_equals_signs_and_spaces_may_stand_in_a_path(cli: Cli) -> None:
    name = "a=1, b=[2]"
    done(cli(*TINY, f"hydra.run.dir={name}"))
    done(cli(f"checkpoint={name}", "num_images=100", "num_seeds=1", f"out={name} out", command=evaluate))
    (path,) = strict(f"{name} out/evaluation.json")["provenance"]["checkpoints"]
    assert path == f"{name}/checkpoints/last.safetensors"


# What it refuses.


@pytest.mark.exhaustive(5)
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("checkpoint=nowhere",), ("nowhere",)),
        (("checkpoint=nowhere,elsewhere",), ("nowhere",)),
        ((), ("checkpoint",)),
        (("extractor=resnet", "RUN"), ("extractor", "inception")),
        (("extractor=inception", "DIGITS"), ("inception_weights=FILE", "never downloads")),
        (("extractor=inception", "inception_weights=none.pth", "DIGITS"), ("none.pth",)),
        (("inception_weights=none.pth", "DIGITS"), ("inception_weights", "extractor")),
        (("weights=best", "RUN"), ("weights", "ema")),
        (("num_image=3", "RUN"), ("num_images",)),
        (("data.split=test", "RUN"), ("data.split", "leave it out")),
        (("extractor=random_v1", "RUN"), ("looks at images", "evaluate.extractor=auto")),
        (("data.root=here", "DIGITS"), ("data.root", "leave it out")),
        (("data.split=tset", "DIGITS"), ("tset",)),
        (("-m", "num_seeds=1,2", "RUN"), ("checkpoint=A,B", "leave out -m")),
        (("out=file", "RUN"), ("out=file",)),
        (("checkpoint=file",), ("file",)),
    ],
    ids=" ".join,
)
def test_what_cannot_be_done_is_said_in_a_line_that_helps(
    arguments: Sequence[str], words: Sequence[str], gaussian: str, digits: str, cli: Cli
) -> None:
    Path("file").write_text("not a directory")
    named = {"RUN": f"checkpoint={gaussian}", "DIGITS": f"checkpoint={digits}"}
    result = cli(*(named.get(argument, argument) for argument in arguments), "num_images=100", command=evaluate)
    refused(result, *words)
    assert {path.name for path in Path().iterdir()} <= {"file", "evaluation"}
    assert not Path("evaluation/evaluation.json").exists()


def test_extractor_without_its_file_is_refused_before_a_run_is_trained(cli: Cli, tmp_path: Path) -> None:
    refused(cli(*DIGITS, "evaluate.extractor=inception"), "evaluate.inception_weights=FILE", "never downloads")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_data_that_moved_are_refused_and_found_where_they_are_named(cli: Cli, tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there, now"
    done(cli(*folder_run(write_pictures(here, 120)), "hydra.run.dir=run"))
    ask = ("checkpoint=run", "num_images=50", "num_seeds=1")
    done(cli(*ask, command=evaluate))
    before = results()
    here.rename(there)
    refused(cli(*ask, command=evaluate), str(here), "data.root")
    healed = done(cli(*ask, f"data.root={there}", command=evaluate))
    assert "other data" not in healed.out
    assert results() == before
    (there / "000.png").unlink()
    there.rename(here)
    refused(cli(*ask, command=evaluate), "the data are not those", "data.root=PATH")
    other = done(cli(*ask, f"data.root={write_pictures(tmp_path / 'others', 130, seed=1)}", command=evaluate))
    assert "compared with other data than those" in other.out
    assert values(results()) != values(before)


def test_digits_of_the_other_split_are_compared_with_on_request(digits: str, cli: Cli) -> None:
    ask = (f"checkpoint={digits}", "num_images=100", "num_seeds=1", "weights=raw")
    assert "compared with other data" not in done(cli(*ask, command=evaluate)).out
    train = strict()
    assert "compared with other data" in done(cli(*ask, "data.split=test", command=evaluate)).out
    test = strict()
    assert test["provenance"]["references"] != train["provenance"]["references"]
    assert values(test["results"]) != values(train["results"])


def test_so_few_pictures_that_nothing_can_be_told_are_refused(cli: Cli, tmp_path: Path) -> None:
    few = folder_run(write_pictures(tmp_path / "few", 60), "train.steps=4")
    done(cli(*few, "hydra.run.dir=run"))
    assert not final("run")
    refused(cli("checkpoint=run", command=evaluate), "nothing can be measured")


def test_fewer_samples_than_asked_for_are_told(digits: str, cli: Cli) -> None:
    out = done(cli(f"checkpoint={digits}", "num_seeds=1", "weights=raw", command=evaluate)).out
    said = " ".join(out.split())
    assert "200 samples instead of 10,000: half of the data" in said
    assert "fewer than 2,048 samples" in said
    assert "no fid" in said
    assert "fid" not in {row["metric"] for row in results()}


# Choices.


@pytest.mark.slow
def test_extractor_that_is_asked_for_is_used(digits: str, cli: Cli) -> None:
    ask = (f"checkpoint={digits}", "num_images=100", "num_seeds=1", "weights=raw")
    done(cli(*ask, "extractor=random_v1", command=evaluate))
    assert {row["extractor"] for row in results()} == {"random_v1"}
    done(cli(*ask, "extractor=mnist_v1", command=evaluate))
    assert {row["extractor"] for row in results()} == {"mnist_v1"}


def test_labels_that_were_asked_for_are_recognized(cli: Cli) -> None:
    labelled = (*DIGITS, "model.conditional=concat", "hydra.run.dir=run")
    done(cli(*labelled))
    done(cli("checkpoint=run", "num_images=150", "num_seeds=1", command=evaluate))
    (row,) = (row for row in results() if row["metric"] == "accuracy")
    assert 0 <= row["value"] < 0.5  # hardly trained
    assert 0.9 < row["floor"] <= 1  # real digits are
    assert "accuracy" in {name.removeprefix("final/") for line in final("run") for name in line}


@pytest.mark.slow
def test_statistics_of_the_batch_change_a_generator_with_batch_normalization(cli: Cli) -> None:
    done(cli(*DCGAN, "train.evaluate_every=0", "train.steps=4", "hydra.run.dir=run"))
    ask = ("checkpoint=run", "num_images=100", "num_seeds=1")
    found = []
    for mode in ("null", "eval", "batch"):
        done(cli(*ask, f"batch_norm={mode}", command=evaluate))
        found.append(values(results()))
    assert found[0] == found[1] != found[2]


# No network.


KINDS = {
    "gaussian2d": (GAUSSIAN, None),
    "ring8": (("data=ring8", *GAUSSIAN[1:]), None),
    "mnist": (DIGITS, "mnist_report_v1"),
    "stacked_mnist": (("data=stacked_mnist", "data.num_samples=300", *SMALL, *IMAGES), "mnist_report_v1"),
    "folder": (folder_run("pictures"), "random_v1"),
}


@pytest.mark.exhaustive(2)
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_data_trains_and_is_evaluated_without_a_network(
    kind: str, cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def blocked(*_: object, **__: object) -> None:
        raise AssertionError("something asks for a network")

    for name in ("socket", "create_connection", "getaddrinfo"):
        monkeypatch.setattr(socket, name, blocked)
    write_pictures(tmp_path / "pictures", 120)
    run, judge = KINDS[kind]
    done(cli(*run, "hydra.run.dir=run"))
    assert final("run")
    done(cli("checkpoint=run", "num_images=100", "num_seeds=1", command=evaluate))
    assert {row["extractor"] for row in results()} == {judge}
    assert "modes" in {row["metric"] for row in results()} or kind not in ("ring8", "stacked_mnist")


# The same samples.


def test_samples_that_are_measured_are_those_that_gan_sample_draws(gaussian: str, cli: Cli) -> None:
    done(cli(f"checkpoint={gaussian}", "seed=7", "num_seeds=1", "weights=raw", "num_images=400", command=evaluate))
    ask = (f"checkpoint={gaussian}", "seed=7", "weights=raw", "num_images=400", "out=drawn")
    done(cli(*ask, command=sample))
    with open("drawn/samples.csv") as file:
        points = torch.tensor([[float(row["x0"]), float(row["x1"])] for row in csv.DictReader(file)]).double()
    transform = torch.tensor([[1.0, 2.0], [-0.1, 0.5]], dtype=torch.float64)
    truth, mean = transform.T @ transform, torch.tensor([1.0, 2.0], dtype=torch.float64)
    ratio, off = torch.linalg.solve(truth, points.T.cov()), points.mean(0) - mean
    kl = 0.5 * (ratio.trace() - 2 - ratio.det().log() + off @ torch.linalg.solve(truth, off))
    assert values(results())["raw", "kl"] == pytest.approx(float(kl), rel=1e-9)
