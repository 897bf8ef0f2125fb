"""Labels from the command line: trained with, resumed, sampled by name or number, and shown row by row."""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from conftest import TINY, Result, outcomes
from torch import Tensor

from gan_cli import checkpoint, images
from gan_cli.build import build
from gan_cli.commands.sample import sample
from gan_cli.data import mnist
from gan_cli.latents import Latents
from gan_cli.networks import restore_generator
from gan_cli.run_directory import RunDirectory
from gan_cli.schema import Config
from gan_cli.streams import Streams

Cli = Callable[..., Result]
Compose = Callable[..., Config]

CELL, PADDING = 56, 2  # pixels of an image in a grid, and between two
STEPS = (
    *("train.batch_size=16", "latent.dim=4", "train.log_every=1", "train.sample_every=2", "train.checkpoint_every=2"),
    *("optim.lr=0.02", "train.steps=2"),
)
DIGITS = (*STEPS, "data=mnist", "data.split=test", "data.limit=96")
RING = (*STEPS, "data=ring8", "data.num_samples=96", "model.generator.widths=[8]", "model.discriminator.widths=[8]")
MODELS = {
    "mlp": ("model.generator.widths=[8]", "model.discriminator.widths=[8]"),
    "dcgan": (
        *("model=dcgan", "model.generator.hidden=8", "model.generator.widths=[4,4]"),
        *("model.discriminator.hidden=8", "model.discriminator.widths=[2,4]"),
    ),
    "dcgan64": (
        *("model=dcgan64", "model.resolution=8"),
        *("model.generator.widths=[4]", "model.discriminator.widths=[4]"),
    ),
    "r3gan": (
        *("model=r3gan", "model.resolution=8", "model.generator.widths=[4,4]", "model.discriminator.widths=[4,4]"),
        *(f"model.{name}.{key}" for name in ("generator", "discriminator") for key in ("blocks=1", "group_size=4")),
    ),
}
QUICK = ("dcgan", "projection")


def last(run: str) -> checkpoint.Checkpoint:
    return checkpoint.load(Path(run, "checkpoints/last.safetensors"))


def done(result: Result) -> Result:
    assert result.code == 0, result.err
    return result


def refused(result: Result, *words: str) -> None:
    assert result.code == 2, result.err
    for word in words:
        assert word in result.err
    assert "Traceback" not in result.err


def drawn(out: str) -> dict[int, bytes]:
    """The pictures that a call of gan-sample wrote, by their numbers."""
    return {int(path.stem): path.read_bytes() for path in Path(out, "images").iterdir()}


def cells(path: Path) -> Tensor:
    """The images of a grid: (rows, columns, C, 56, 56)."""
    picture, stride = images.read_png(path), CELL + PADDING
    assert picture is not None
    assert [(size - PADDING) % stride for size in picture.shape[1:]] == [0, 0]
    inner = picture[:, PADDING:, PADDING:].unfold(1, CELL, stride).unfold(2, CELL, stride)
    return inner.permute(1, 2, 0, 3, 4)


@pytest.mark.parametrize(
    ("model", "how"),
    [
        pytest.param(model, how, marks=() if (model, how) == QUICK else pytest.mark.slow)
        for model in MODELS
        for how in ("concat", "projection")
    ],
)
def test_every_model_learns_with_labels_is_resumed_to_the_bit_and_draws_the_class_that_is_asked_for(
    model: str, how: str, cli: Cli
) -> None:
    run = (*DIGITS, *MODELS[model], f"model.conditional={how}", "train.d_steps=2")
    done(cli(*run, "hydra.run.dir=run"))
    assert last("run").config["model"]["conditional"] == how
    assert last("run").facts["classes"] == list("0123456789")
    done(cli("resume=run", "train.steps=4"))
    done(cli(*run, "train.steps=4", "train.sample_every=0", "hydra.run.dir=straight"))
    one, other = last("run"), last("straight")
    assert one.tensors.keys() == other.tensors.keys()
    for name, tensor in one.tensors.items():
        assert torch.equal(tensor, other.tensors[name]), name
    assert all(tensor.isfinite().all() for tensor in one.tensors.values())

    done(cli("checkpoint=run", "num_images=80", "out=turn", command=sample))
    done(cli("checkpoint=run", "indices=0-19,77", "label=7", "out=seven", command=sample))
    done(cli("checkpoint=run", "indices=3,12", "label=2", "out=two", command=sample))
    turn, seven, two = drawn("turn"), drawn("seven"), drawn("two")
    assert sorted(seven) == [*range(20), 77]
    for index, picture in seven.items():  # the same where the turn is at this class, and another everywhere else
        assert (picture == turn[index]) == (index % 10 == 7)
    assert two[12] == turn[12]
    assert two[3] not in (turn[3], seven[3])
    # What the run shows of itself is what is drawn from it.
    assert Path("turn/grid.png").read_bytes() == Path("run/samples/step_00000004.png").read_bytes()
    assert Path("run/samples/progress.webp").exists()


@pytest.mark.parametrize("how", ["concat", pytest.param("projection", marks=pytest.mark.slow)])
def test_points_have_labels_too(how: str, cli: Cli) -> None:
    done(cli(*RING, f"model.conditional={how}", "train.evaluate_every=2", "hydra.run.dir=run"))
    assert last("run").facts["classes"] == list("01234567")
    done(cli("checkpoint=run", "num_images=70", "out=turn", command=sample))
    done(cli("checkpoint=run", "num_images=70", "label=3", "out=three", command=sample))
    turn, three = (Path(out, "samples.csv").read_text().splitlines() for out in ("turn", "three"))
    assert turn[0] == three[0] == "index,x0,x1"
    for index, (one, other) in enumerate(zip(turn[1:], three[1:], strict=True)):
        assert (one == other) == (index % 8 == 3)
    lines = [json.loads(line) for line in Path("run/metrics.jsonl").read_text().splitlines()]
    assert "metrics/modes" in json.loads(Path("run/summary.json").read_text())
    assert [line["step"] for line in lines if "loss/D" in line] == [1, 2]


# Names.


def pictures(folder: Path, names: tuple[str, ...], each: int = 6) -> str:
    """Pictures of 8×8 pixels in a sub-folder for each name, in the grey level 40 · its place."""
    for place, name in enumerate(sorted(names)):
        (folder / name).mkdir(parents=True)
        for number in range(each):
            images.save_png(
                folder / name / f"{number}.png", torch.full((1, 8, 8), 40 * place % 256, dtype=torch.int).byte()
            )
    return f"data.root={folder}"


ANIMALS = ("cats", "dogs", "guinea pigs")
GREY = ("data=folder", "data.channels=1", "data.resolution=8", "train.batch_size=4")


@pytest.fixture
def animals(cli: Cli, tmp_path: Path) -> Path:
    """A run on folders of cats, dogs and guinea pigs."""
    folder = pictures(tmp_path / "animals", ANIMALS)
    done(cli(*STEPS, *GREY, *MODELS["mlp"], folder, "model.conditional=concat", "hydra.run.dir=run"))
    return Path("run")


def test_a_class_has_the_name_of_its_folder(animals: Path, cli: Cli) -> None:
    assert last("run").facts["classes"] == list(ANIMALS)
    for number, name in enumerate(ANIMALS):
        done(cli("checkpoint=run", "num_images=9", f"label={name}", f"out=named{number}", command=sample))
        done(cli("checkpoint=run", "num_images=9", f"label={number}", f"out=numbered{number}", command=sample))
        assert drawn(f"named{number}") == drawn(f"numbered{number}")
    named = [drawn(f"named{number}") for number in range(3)]
    assert all(len({pictures_of[index] for pictures_of in named}) == 3 for index in range(9))
    done(cli("checkpoint=run", "num_images=9", "out=turn", command=sample))
    assert drawn("turn") == {index: named[index % 3][index] for index in range(9)}


@pytest.mark.slow
def test_a_class_that_is_not_there_is_refused_with_those_that_are(animals: Path, cli: Cli) -> None:
    for label in ("birds", "3", "-1", "[1]", "1.0", "True"):
        result = cli("checkpoint=run", f"label={label}", "out=o", command=sample)
        refused(result, f"label={label}: there is no such class", "there are cats, dogs, guinea pigs")
    refused(cli("checkpoint=run", "label=dog", "out=o", command=sample), "did you mean dogs")
    assert not Path("o").exists()


def test_a_label_for_a_generator_without_is_refused(cli: Cli) -> None:
    done(cli(*DIGITS, *MODELS["mlp"], "hydra.run.dir=run"))  # the data have labels, the model has no use for them
    assert last("run").facts["classes"] == list("0123456789")
    refused(cli("checkpoint=run", "label=3", "out=o", command=sample), "label: this generator takes no labels")
    assert not Path("o").exists()
    done(cli("checkpoint=run", "label=null", "num_images=1", "out=o", command=sample))


ODD = ("1", "0", "1.5", "a,b", "a=b", "Farfetch'd", "Mr. Mime", "true", "été", "x (y) [z]")


@pytest.mark.slow
def test_any_name_that_a_folder_can_have_names_its_class(cli: Cli, tmp_path: Path) -> None:
    folder = pictures(tmp_path / "odd", ODD, each=2)
    quiet = ("train.steps=1", "train.sample_every=0")
    done(cli(*STEPS, *GREY, *MODELS["mlp"], folder, *quiet, "model.conditional=concat", "hydra.run.dir=run"))
    assert last("run").facts["classes"] == sorted(ODD)
    done(cli("checkpoint=run", "num_images=10", "out=turn", command=sample))
    for number, name in enumerate(sorted(ODD)):
        done(cli("checkpoint=run", f"indices={number}", f"label={name}", "out=o", command=sample))
        assert drawn("o") == {number: drawn("turn")[number]}, name


def test_data_without_labels_are_refused_by_name_and_nothing_is_left(cli: Cli, tmp_path: Path) -> None:
    words = ("needs labels", "model.conditional=none", "data=mnist")
    points = cli(*TINY, "model.conditional=concat")
    refused(points, "model.conditional=concat", *words, "gan_cli.data.gaussian2d.load")
    assert list(tmp_path.iterdir()) == []
    flat = pictures(tmp_path / "flat", ("cats",))  # of one folder there is nothing to tell apart
    pets = cli(*STEPS, *GREY, *MODELS["mlp"], flat, "model.conditional=projection")
    refused(pets, "model.conditional=projection", *words, "gan_cli.data.folder.load")
    assert [path.name for path in tmp_path.iterdir()] == ["flat"]


# Which label goes where: a generator that writes it into its pictures, and a discriminator that reads it there.

HONEST = """
import torch
from torch import nn


def shade(labels):
    return (40 * labels / 127.5 - 1)[:, None, None, None]


class G(nn.Module):
    def __init__(self, latent_dim, sample_shape, num_classes):
        super().__init__()
        self.shape, self.num_classes = tuple(sample_shape), num_classes
        self.scale = nn.Parameter(torch.zeros(1))

    def forward(self, latents, labels):
        assert labels.shape == (len(latents),) and labels.dtype == torch.int64
        assert 0 <= int(labels.min()) and int(labels.max()) < self.num_classes
        return shade(labels).expand(-1, *self.shape) + 0 * self.scale


class Embedding(nn.Module):
    seen = []

    def __init__(self, sample_shape, num_classes, conditional="not told", tolerance=1e-5):
        super().__init__()
        self.conditional, self.tolerance = conditional, tolerance
        self.output = nn.Linear(torch.Size(sample_shape).numel(), num_classes)

    def forward(self, samples, labels):
        assert (samples.detach() - shade(labels)).abs().max() <= self.tolerance, "a sample under a wrong label"
        self.seen.append((self.conditional, tuple(labels.tolist())))
        return self.output(samples.flatten(1)).tanh().gather(1, labels[:, None]).squeeze(1)


class Unlabelled(nn.Module):
    def __init__(self, sample_shape):
        super().__init__()
"""
OWN = ("model=custom", "model.generator._target_=honest.G", "model.discriminator._target_=honest.Embedding")


@pytest.fixture
def honest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The networks above beside the user, and pictures whose classes have their generator's shades."""
    (tmp_path / "honest.py").write_text(HONEST)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    yield pictures(tmp_path / "shades", ("ant", "bee", "cow"))
    sys.modules.pop("honest", None)


LABELLED = (*STEPS, *GREY, *OWN, "model.conditional=projection")


@pytest.mark.exhaustive(3)
@pytest.mark.parametrize(
    "overrides",
    [
        (),
        ("data.drop_last=false", "train.d_steps=3", "train.steps=5"),  # of 18 pictures the last batch has 2
        ("loss=rsgan", "penalty=r1r2", "train.reuse=latents", "ema.half_life=100"),
        ("loss=wgan", "penalty=gp", "train.reuse=fakes", "critic.flip=true", "data.flip=true"),
        ("loss=rahinge", "penalty=r1", "train.unroll=2"),
        ("loss=rasgan", "penalty=dragan", "+model.discriminator.tolerance=9", "train.d_steps=2"),
        ("loss=ralsgan", "penalty=r2", "critic.noise=0.01", "+model.discriminator.tolerance=0.1"),
    ],
    ids=" ".join,
)
def test_every_sample_is_judged_under_its_own_label_and_fakes_are_of_the_classes_of_the_real_ones(
    overrides: tuple[str, ...], honest: str, compose: Compose, tmp_path: Path
) -> None:
    run = build(compose(*LABELLED, honest, *overrides), RunDirectory(tmp_path / "run"))
    seen = sys.modules["honest"].Embedding.seen
    seen.clear()
    for _ in range(run.total_steps):
        run.advance()
    run.meter.check()
    assert {how for how, _ in seen} == {"projection"}  # told, because its constructor asks; the generator's does not
    turns = run.total_steps * run.config["train"]["d_steps"]
    game = run.game
    batches = {tuple(game.batches(turn).labels.tolist()) for turn in range(turns)}  # type: ignore[attr-defined]
    assert {labels for _, labels in seen} == batches
    assert len(set().union(*batches)) == 3


def test_each_sample_and_each_row_has_its_label(honest: str, cli: Cli) -> None:
    done(cli(*LABELLED, honest, "hydra.run.dir=run"))
    trusting = ("checkpoint=run", "trust=[honest]")
    done(cli(*trusting, "num_images=20", "out=turn", command=sample))
    for index in range(20):
        picture = images.read_png(Path(f"turn/images/{index:08d}.png"))
        assert picture is not None
        assert picture.unique().tolist() == [40 * (index % 3)]
    # A grid of all in turn has a row for each class: 7 of the first two, 6 of the third and a blank.
    grid = cells(Path("turn/grid.png"))
    assert [[int(cell.max()) for cell in row] for row in grid] == [[0] * 7, [40] * 7, [80] * 6 + [0]]
    # One of a single class is as square as without labels, and so is one of too few for rows.
    done(cli(*trusting, "num_images=16", "label=cow", "out=cows", command=sample))
    assert [[int(cell.max()) for cell in row] for row in cells(Path("cows/grid.png"))] == [[80] * 4] * 4
    done(cli(*trusting, "num_images=4", "out=few", command=sample))
    assert [[int(cell.max()) for cell in row] for row in cells(Path("few/grid.png"))] == [[0, 40], [80, 0]]
    # Any choice of numbers is sorted into rows by what each number's class is.
    done(cli(*trusting, "indices=61-66,2,5", "out=some", command=sample))
    assert [[int(cell.max()) for cell in row] for row in cells(Path("some/grid.png"))] == [
        *([0] * 4, [40, 40, 0, 0], [80] * 4)
    ]
    for kind in ("real", "step_00000000", "step_00000002"):
        shown = cells(Path(f"run/samples/{kind}.png"))
        assert shown.shape[:2] == (3, 8)
        assert [shown[row].unique().tolist() for row in range(3)] == [[0], [40], [80]]


def test_digits_are_shown_in_ten_rows_of_eight_and_the_real_ones_are_of_their_row(cli: Cli) -> None:
    done(cli(*DIGITS, *MODELS["mlp"], "model.conditional=concat", "data.limit=300", "hydra.run.dir=run"))
    data = mnist.load("test").first(300)
    assert data.labels is not None
    real = cells(Path("run/samples/real.png"))
    assert real.shape == (10, 8, 1, CELL, CELL)
    for label in range(10):
        members = data.samples[data.labels == label]
        shown = real[label, :, :, ::2, ::2]
        assert len(shown.unique(dim=0)) == 8
        for picture in shown:
            assert (members == picture).flatten(1).all(1).any()
    for step in (0, 2):
        assert cells(Path(f"run/samples/step_{step:08d}.png")).shape == (10, 8, 1, CELL, CELL)


def test_networks_of_ones_own_without_a_place_for_labels_are_refused(honest: str, cli: Cli, tmp_path: Path) -> None:
    unlabelled = (*LABELLED, honest, "model.discriminator._target_=honest.Unlabelled")
    refused(cli(*unlabelled), "model.discriminator._target_", "must take", "num_classes")
    assert not (tmp_path / "outputs").exists()


# Losses and penalties.

SWEEP = ("train.sample_every=0", "train.checkpoint_every=0", "train.log_every=2")


@pytest.mark.exhaustive(1)
@pytest.mark.parametrize("how", ["concat", "projection"])
def test_penalties_and_relativistic_losses_run_with_labels(how: str, compose: Compose, tmp_path: Path) -> None:
    losses = ("rsgan", "rasgan", "ralsgan", "rahinge", "wgan")
    penalties = ("gp", "r1", "r2", "r1r2", "dragan")
    pairs = list(zip(losses, penalties[1:] + penalties[:1], strict=True))  # wgan with gp
    for loss, penalty in pairs:
        asked = (*RING, f"model.conditional={how}", f"loss={loss}", f"penalty={penalty}", "critic.noise=0.1")
        run = build(compose(*asked), RunDirectory(tmp_path))
        run.advance()
        run.advance()
        run.meter.check()
        assert run.meter.means()["penalty/D"] > 0


@pytest.mark.slow
def test_every_loss_with_every_penalty_runs_with_labels(cli: Cli, tmp_path: Path) -> None:
    axes = (
        "loss=bce,minimax,lsgan,hinge,wgan,rsgan,rasgan,ralsgan,rahinge",
        "penalty=none,gp,r1,r2,r1r2,dragan",
        "model.conditional=concat,projection",
    )
    done(cli("-m", *RING, *SWEEP, *axes))
    finished = list(tmp_path.glob("outputs/multirun/*/*/*/summary.json"))
    assert len(finished) == 2 * (9 * 6 - 5)  # without wgan and anything else than gp
    assert sum("no minimum" in reason for _, reason in outcomes().values()) == 10


@pytest.mark.slow
@pytest.mark.parametrize("model", MODELS)
def test_every_model_with_labels_runs_with_a_penalty_and_augmentation(model: str, cli: Cli, tmp_path: Path) -> None:
    norm = () if model == "r3gan" else ("model.discriminator.norm=spectral,layer",)
    axes = ("model.conditional=concat,projection", "augment=none,diffaugment", "penalty=gp,r1r2", *norm)
    done(cli("-m", *DIGITS, *MODELS[model], *SWEEP, "loss=rsgan", *axes))
    assert len(list(tmp_path.glob("outputs/multirun/*/*/*/summary.json"))) == 8 * (2 if norm else 1)


# Dropout in the generator.


@pytest.mark.parametrize(
    "labels",
    [
        pytest.param((), marks=pytest.mark.slow, id="plain"),
        pytest.param(("model.conditional=projection",), id="conditional"),
    ],
)
def test_dropout_stays_on_and_a_sample_is_the_same_whatever_is_drawn_beside_it(
    labels: tuple[str, ...], cli: Cli
) -> None:
    dropping = ("model.generator.dropout=0.5", "ema.half_life=100")
    done(cli(*DIGITS, *MODELS["dcgan"], *dropping, *labels, "hydra.run.dir=run"))
    done(cli("checkpoint=run", "num_images=130", "out=many", command=sample))
    done(cli("checkpoint=run", "indices=129,64-66,5", "out=few", command=sample))
    many, few = drawn("many"), drawn("few")
    assert sorted(few) == [5, 64, 65, 66, 129]
    assert few == {index: many[index] for index in few}
    assert Path("run/samples/step_00000002.png").exists()

    config, generator = restore_generator(last("run"), [])
    streams = Streams(0, torch.device("cpu"))
    latents = Latents(config.latent.dim, config.latent.distribution.name, streams)("sample", 0, 64)
    inputs = (latents, torch.arange(64) % 10) if labels else (latents,)
    with torch.no_grad():
        quiet = images.to_bytes(generator.eval()(*inputs))
    for index in range(64):
        picture = images.read_png(Path(f"many/images/{index:08d}.png"))
        assert not torch.equal(picture, quiet[index])
    done(cli("checkpoint=run", "weights=raw", "num_images=64", "out=raw", command=sample))
    assert drawn("raw") != {index: many[index] for index in range(64)}
