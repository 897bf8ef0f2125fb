"""What gan-sample draws instead of samples: each view beside the samples themselves, from the command line."""

import csv
import hashlib
import itertools
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from conftest import TINY, Result
from PIL import Image
from torch import Tensor

from gan_cli import images
from gan_cli.commands.sample import sample
from gan_cli.data import mnist

Cli = Callable[..., Result]

CELL, GAP = 56, 2
SMALL = (
    *("data=mnist", "data.limit=80", "data.split=test", "model.generator.widths=[8]", "model.discriminator.widths=[8]"),
    *("latent.dim=4", "train.batch_size=16", "train.steps=6", "train.checkpoint_every=2", "train.sample_every=0"),
    *("optim.lr=0.02", "train.evaluate_every=0", "evaluate.final_images=0", "hydra.run.dir=run"),
)
NORMAL, BY_CLASS = "latent.distribution=normal", "model.conditional=concat"
RUNS = {
    "uniform": (),
    "normal": (NORMAL, "ema.half_life=50"),
    "by class": (NORMAL, BY_CLASS),
    "dropout": (
        *(NORMAL, BY_CLASS, "model=dcgan", "model.generator.hidden=8", "model.generator.widths=[4,4]"),
        *("model.discriminator.hidden=8", "model.discriminator.widths=[2,4]", "model.generator.dropout=0.3"),
    ),
}


@pytest.fixture(scope="module", autouse=True)
def made(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Where runs are kept that several tests look at."""
    MADE["place"] = tmp_path_factory.mktemp("made")


MADE: dict[str, Path] = {}


def trained(cli: Cli, *overrides: str) -> None:
    """A run in `run`, made by the first test that asks for it."""
    kept = MADE["place"] / hashlib.sha256(" ".join(overrides).encode()).hexdigest()[:12]
    if not kept.exists():
        chosen = [one for one in SMALL if "model=dcgan" not in overrides or not one.startswith("model.")]
        result = cli(*chosen, *overrides)
        assert result.code == 0, result.err
        shutil.copytree("run", kept)
    shutil.copytree(kept, "run", dirs_exist_ok=True)


def drawn(cli: Cli, *arguments: str, out: str = "o") -> Result:
    result = cli("checkpoint=run", f"out={out}", *arguments, command=sample)
    assert result.code == 0, result.err
    return result


def refused(result: Result, *words: str) -> None:
    assert result.code == 2, result.err
    assert "Traceback" not in result.err
    assert len(result.err.splitlines()) <= 3
    for word in words:
        assert word in result.err
    assert not Path("o").exists()


def cells(path: str, above: int = 0, beside: int = 0) -> Tensor:
    """The 28×28 images of a grid, (rows, columns, 28, 28)."""
    picture = images.read_png(Path(path))
    assert picture is not None
    inner = picture[0, above + GAP :, beside + GAP :]
    stride = CELL + GAP
    return inner.unfold(0, CELL, stride).unfold(1, CELL, stride)[..., ::2, ::2]


def samples(cli: Cli, indices: str, *arguments: str) -> list[Tensor]:
    """The samples of these numbers, as gan-sample draws them by themselves."""
    drawn(cli, f"indices={indices}", *arguments, out="plain")
    found = [images.read_png(path) for path in sorted(Path("plain/images").iterdir())]
    return [picture[0] for picture in found if picture is not None]


@pytest.mark.exhaustive(1)
@pytest.mark.parametrize("kind", RUNS)
def test_interpolation_goes_from_sample_to_sample(kind: str, cli: Cli) -> None:
    trained(cli, *RUNS[kind])
    same = ("label=3",) if BY_CLASS in RUNS[kind] else ()
    for batch_norm in ("eval", "batch") if kind == "dropout" else ("eval",):
        asked = (*same, f"batch_norm={batch_norm}")
        drawn(cli, "interpolate=5", *asked)
        rows, ends = cells("o/interpolation.png"), samples(cli, "0-8", *asked)
        assert rows.shape == (8, 5, 28, 28)
        for row in range(8):
            assert torch.equal(rows[row, 0], ends[row])
            assert torch.equal(rows[row, -1], ends[row + 1])
            steps = (rows[row, 1:].float() - rows[row, :-1].float()).abs().flatten(1).mean(1)
            assert steps.min() > 0  # it moves all the way
    # Other samples, in the order in which they are named; of two steps there is no middle.
    drawn(cli, "interpolate=2", "indices=70,3,66", *same)
    pair = cells("o/interpolation.png")
    third, middle, first = samples(cli, "3,66,70", *same)
    assert torch.equal(pair, torch.stack([torch.stack([first, third]), torch.stack([third, middle])]))


def test_interpolation_keeps_the_label_of_the_first_of_each_row(cli: Cli) -> None:
    trained(cli, *RUNS["by class"])
    drawn(cli, "interpolate=3", "indices=4,15")
    row = cells("o/interpolation.png")[0]
    assert torch.equal(row[0], samples(cli, "4")[0])  # of class 4, which 15 is not
    assert torch.equal(row[-1], samples(cli, "15", "label=4")[0])


def frames(path: str) -> list[tuple[Image.Image, int]]:
    with Image.open(path) as animation:
        found = []
        for number in range(animation.n_frames):
            animation.seek(number)
            animation.load()
            found.append((animation.convert("RGB").copy(), animation.info["duration"]))
        assert animation.info["loop"] == 0
        return found


@pytest.mark.parametrize("kind", ["uniform", "dropout"])
def test_a_walk_is_a_loop_at_a_fixed_rate_that_starts_at_its_samples(kind: str, cli: Cli) -> None:
    trained(cli, *RUNS[kind])
    drawn(cli, "walk=0.64")
    shown = frames("o/walk.webp")
    assert sum(duration for _, duration in shown) == 640  # 2 frames for each of 8 legs
    stride = 4 * (CELL + GAP) + GAP
    assert shown[0][0].size == (stride, stride)
    drawn(cli, "num_images=16", out="plain")
    with Image.open("plain/grid.png") as grid:
        first = torch.tensor(list(grid.convert("L").tobytes()), dtype=torch.float64)
    seen = torch.tensor(list(shown[0][0].convert("L").tobytes()), dtype=torch.float64)
    assert (seen - first).abs().mean() < 12  # WebP is lossy
    # One walk through the samples that are named.
    drawn(cli, "walk=0.4", "indices=5,9,13,0,2")
    assert sum(duration for _, duration in frames("o/walk.webp")) == 400
    assert frames("o/walk.webp")[0][0].size == (CELL + 2 * GAP, CELL + 2 * GAP)


def test_a_walk_comes_back_to_where_it_began_and_its_noise_stands_still(cli: Cli) -> None:
    from gan_cli.command_schema import SampleConf
    from gan_cli.commands.sample import open_checkpoint
    from gan_cli.schema import DeviceConf
    from gan_cli.sheets.walk import walked

    trained(cli, *RUNS["dropout"])
    conf = SampleConf(seed=0, trust=[], label=None, weights=None, device=DeviceConf())
    sampler = open_checkpoint(Path("run/checkpoints/last.safetensors"), conf, torch.device("cpu")).sampler
    loops = [[0, 3, 66], [1, 70, 9]]
    shown = torch.stack(list(walked(sampler, loops, steps=30))).double()
    assert shown.shape == (90, 2, 1, 28, 28)
    assert torch.equal(shown[0], images.to_bytes(sampler([0, 1])).double())
    moves = (shown.roll(-1, 0) - shown).abs().flatten(1).mean(1)
    assert moves[-1] <= moves.median()  # from the last frame to the first as between others
    assert torch.equal(torch.stack(list(walked(sampler, loops, steps=30))).double(), shown)


def test_a_sheet_lies_between_its_four_samples(cli: Cli) -> None:
    trained(cli, *RUNS["normal"])
    drawn(cli, "sheet=5", "indices=9,2,65,4")
    sheet = cells("o/sheet.png")
    assert sheet.shape == (5, 5, 28, 28)
    two, four, nine, sixty_five = samples(cli, "2,4,9,65")
    corners = torch.stack([nine, two, sixty_five, four]).int()
    assert (sheet[[0, 0, -1, -1], [0, -1, 0, -1]].int() - corners).abs().max() <= 1  # another place, other last bits
    drawn(cli, "interpolate=5", "indices=9,2", out="row")
    assert (sheet[0].int() - cells("row/interpolation.png")[0].int()).abs().max() <= 1


@pytest.mark.parametrize("truncation", ["null", "0.5"])
def test_a_latent_space_of_two_dimensions_is_shown_whole(truncation: str, cli: Cli) -> None:
    from gan_cli import checkpoint
    from gan_cli.latent_space.surface import square
    from gan_cli.latent_space.truncation import truncated
    from gan_cli.networks import restore_generator

    trained(cli, NORMAL, "latent.dim=2")
    drawn(cli, "sheet=3", f"truncation={truncation}")
    _, generator = restore_generator(checkpoint.load(Path("run/checkpoints/last.safetensors")), [])
    latents = square(3, "normal") if truncation == "null" else truncated(square(3, "normal"), 0.5)
    with torch.no_grad():
        expected = images.to_bytes(generator.eval()(latents.flatten(0, 1)))
    assert (cells("o/sheet.png").flatten(0, 1).int() - expected[:, 0].int()).abs().max() <= 1
    assert "leave out indices" in cli("checkpoint=run", "sheet=3", "indices=0-3", "out=p", command=sample).err


@pytest.mark.exhaustive(1)
@pytest.mark.parametrize("kind", ["by class", "dropout"])
def test_a_row_for_each_class_has_the_same_latent_in_each_column(kind: str, cli: Cli) -> None:
    trained(cli, *RUNS[kind])
    drawn(cli, "rows=classes", "indices=3-5,66")
    picture = images.read_png(Path("o/classes.png"))
    assert picture is not None
    beside = picture.shape[2] - (4 * (CELL + GAP) + GAP)
    rows = cells("o/classes.png", beside=beside)
    assert rows.shape == (10, 4, 28, 28)
    for label in range(10):
        assert torch.equal(rows[label], torch.stack(samples(cli, "3-5,66", f"label={label}")))


@pytest.mark.exhaustive(1)
@pytest.mark.parametrize("kind", ["normal", "by class"])
def test_a_history_shows_the_same_samples_of_each_checkpoint(kind: str, cli: Cli) -> None:
    trained(cli, *RUNS[kind], "train.steps=7", "train.keep=9")
    weights = ("weights=raw",) if kind == "normal" else ()
    drawn(cli, "history=true", "indices=0-2,65", *weights)
    columns = cells("o/history.png", above=20)
    assert columns.shape == (4, 4, 28, 28)  # after 2, 4 and 6 steps, and the last
    for column, name in enumerate(("step_00000002", "step_00000004", "step_00000006", "last")):
        asked = (f"checkpoint=run/checkpoints/{name}.safetensors", "indices=0-2,65", "out=plain", *weights)
        assert cli(*asked, command=sample).code == 0
        plain = [images.read_png(path) for path in sorted(Path("plain/images").iterdir())]
        assert torch.equal(columns[:, column], torch.stack([picture[0] for picture in plain if picture is not None]))
    assert len(frames("o/history.webp")) == 4


def test_a_last_checkpoint_that_is_numbered_is_shown_once(cli: Cli) -> None:
    trained(cli)
    drawn(cli, "history=true", "indices=0")
    assert cells("o/history.png", above=20).shape[:2] == (1, 3)


def test_neighbors_are_the_training_images_of_the_table(cli: Cli) -> None:
    trained(cli)
    drawn(cli, "neighbors=3", "indices=0,1,70")
    picture = images.read_png(Path("o/neighbors.png"))
    assert picture is not None
    beside = picture.shape[2] - (4 * (CELL + GAP) + GAP)
    shown = cells("o/neighbors.png", above=20, beside=beside)
    assert torch.equal(shown[:, 0], torch.stack(samples(cli, "0,1,70")))
    data = mnist.load("test").first(80)
    assert data.labels is not None
    with open("o/neighbors.csv") as file:
        rows = list(csv.DictReader(file))
    assert [(row["index"], row["rank"]) for row in rows] == [(i, k) for i in ("0", "1", "70") for k in "123"]
    for number, row in enumerate(rows):
        place = int(row["training_image"])
        real = data.samples[place, 0]
        real = real.flip(-1) if row["mirrored"] == "true" else real
        assert torch.equal(shown[number // 3, 1 + number % 3], real)
        assert row["class"] == str(int(data.labels[place]))
    for one, two in itertools.pairwise(rows):
        assert one["index"] != two["index"] or float(one["distance"]) <= float(two["distance"])


def test_neighbors_need_the_data_of_the_run(cli: Cli) -> None:
    for number in range(20):
        picture = torch.full((1, 8, 8), 12 * number, dtype=torch.uint8)
        images.save_png(Path("there", f"{number}.png"), picture)
    shapes = ("model.generator.widths=[8]", "model.discriminator.widths=[8]", "train.batch_size=4", "train.steps=2")
    asked = ("data=folder", "data.root=there", "model.resolution=8", *shapes, "hydra.run.dir=run")
    result = cli(*asked)
    assert result.code == 0, result.err
    Path("there").rename("moved")
    refused(cli("checkpoint=run", "neighbors=2", "out=o", command=sample), "data.root", "there")
    drawn(cli, "neighbors=2", "data.root=moved")
    assert Path("o/neighbors.csv").exists()
    images.save_png(Path("moved/more.png"), torch.zeros(1, 8, 8, dtype=torch.uint8))
    assert "other data" in drawn(cli, "neighbors=2", "data.root=moved").out
    result = cli("checkpoint=run", "neighbors=30", "data.root=moved", "out=p", command=sample)
    assert (result.code, "there are 21 training images" in result.err) == (2, True)


def test_truncation_moves_samples_towards_the_middle_and_nothing_else(cli: Cli) -> None:
    trained(cli, *RUNS["normal"])
    plain = torch.stack(samples(cli, "0-63")).float()
    cut = torch.stack(samples(cli, "0-63", "truncation=0.3")).float()
    assert cut.std(0).mean() < 0.5 * plain.std(0).mean()
    whole = torch.stack(samples(cli, "0-63", "truncation=30")).float()
    assert (whole - plain).abs().max() <= 1
    assert torch.equal(torch.stack(samples(cli, "5,63", "truncation=0.3")).float(), cut[[5, 63]])


def test_views_leave_samples_alone_and_replace_their_own(cli: Cli) -> None:
    trained(cli, *RUNS["by class"])
    before = samples(cli, "0-9")
    drawn(cli, "rows=classes")
    first = Path("o/classes.png").read_bytes()
    Path("o/mine.png").touch()
    drawn(cli, "rows=classes", "seed=1")
    assert Path("o/classes.png").read_bytes() != first
    assert sorted(path.name for path in Path("o").iterdir()) == ["classes.png", "mine.png"]
    assert all(torch.equal(one, two) for one, two in zip(before, samples(cli, "0-9"), strict=True))


WRONG = (
    (("interpolate=3", "sheet=3"), "interpolate and sheet: choose one"),
    (("walk=2", "history=true", "neighbors=1"), "walk and history and neighbors"),
    (("interpolate=3", "indices=4"), "from 2 to 256"),
    (("walk=1", "indices=4"), "from 2 to 256"),
    (("interpolate=3", "indices=0-999"), "1,000 samples"),
    (("sheet=3", "indices=0-4"), "indices=0-3"),
    (("rows=classes",), "takes no labels"),
    (("rows=classes", "label=1"), "leave out label=1"),
    (("history=true", "checkpoint=run/checkpoints/last.safetensors"), "checkpoint=RUN"),
    (("truncation=0.5",), "uniform on [-1, 1)"),
    (("data.root=x",), "data.root is for neighbors=K"),
    (("interpolate=3", "extractor=random_v1"), "extractor is for neighbors=K"),
    (("neighbors=3", "data.root=x"), "have no root"),
    (("neighbors=100",), "there are 80 training images"),
    (("neighbors=3", "extractor=inception"), "inception_weights"),
)


def test_what_cannot_be_shown_is_refused_and_nothing_is_written(cli: Cli) -> None:
    trained(cli)
    for arguments, words in WRONG:
        first = () if any(one.startswith("checkpoint=") for one in arguments) else ("checkpoint=run",)
        refused(cli(*first, "out=o", *arguments, command=sample), words)


def test_points_have_no_neighbors(cli: Cli) -> None:
    assert cli(*TINY, NORMAL, "hydra.run.dir=run").code == 0
    refused(cli("checkpoint=run", "neighbors=2", "out=o", command=sample), "are points", "leave it out")
    drawn(cli, "truncation=0.5")  # which has nothing to do with pictures
    assert Path("o/samples.csv").exists()
