"""CycleGAN from end to end: trained, resumed, looked at, translated with; and what is refused."""

import json
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import pytest
import torch
import yaml
from conftest import TINY, Result
from cyclegan_runs import TINY_CYCLE
from PIL import Image
from stepping import advanced, reloaded
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch.testing import assert_close

from gan_cli import checkpoint, images
from gan_cli.build import build
from gan_cli.checkpoint import Checkpoint
from gan_cli.commands.compare import compare
from gan_cli.commands.doctor import doctor
from gan_cli.commands.evaluate import evaluate
from gan_cli.commands.export import export
from gan_cli.commands.sample import sample
from gan_cli.commands.translate import translate, written_as
from gan_cli.data.dataset import as_network_input
from gan_cli.networks import restore_translators
from gan_cli.run_directory import RunDirectory
from gan_cli.schema import Config
from gan_cli.translation import Translator

Cli = Callable[..., Result]
Compose = Callable[..., Config]

FOLDERS = (
    *("experiment=cyclegan", "data.a=a", "data.b=b", "model.resolution=16", "model.generator.width=4"),
    *("model.generator.blocks=1", "model.discriminator.width=4", "model.discriminator.layers=1"),
    *("device.threads=1", "train.log_every=1", "train.sample_every=0", "hydra.run.dir=run"),
)


def pictures(folder: str, count: int, size: tuple[int, int] = (20, 14)) -> None:
    for number in range(count):
        Path(folder).mkdir(parents=True, exist_ok=True)
        drawn = torch.Generator().manual_seed(number)
        pixels = torch.randint(0, 256, (3, size[1], size[0]), dtype=torch.uint8, generator=drawn)
        images.save_png(Path(folder, f"{number}.png"), pixels)


# Resuming. With a pool of 6 and batches of 4 it is filling at step 1, full at 2; an epoch has 6 steps.


@pytest.mark.exhaustive(1)
@pytest.mark.parametrize("stop", [1, 2, 6, 7])
def test_a_resumed_run_ends_in_the_same_bits(stop: int, compose: Compose, tmp_path: Path) -> None:
    config = compose(*TINY_CYCLE, "ema.half_life=50", "augment=ada", "augment.every=3", "model.generator.dropout=0.5")
    straight = advanced(build(config, RunDirectory(tmp_path)), 12).state()
    stored = reloaded(advanced(build(config, RunDirectory(tmp_path)), stop), tmp_path / "c.safetensors")
    torch.manual_seed(99)  # whatever another process would have in its generators
    after = advanced(build(config, RunDirectory(tmp_path), stored), 12 - stop).state()
    assert after.tensors.keys() == straight.tensors.keys()
    for name, tensor in straight.tensors.items():
        assert torch.equal(tensor, after.tensors[name]), name


@pytest.mark.exhaustive(1)
@pytest.mark.parametrize(
    "part", ["network/generator", "network/discriminator", "network/pool/a/images", "network/pool/b/held"]
)
def test_each_part_of_the_state_is_needed(part: str, compose: Compose, tmp_path: Path) -> None:
    config = compose(*TINY_CYCLE)
    straight = advanced(build(config, RunDirectory(tmp_path)), 12).state()
    stored = advanced(build(config, RunDirectory(tmp_path)), 5).state()
    fresh = build(config, RunDirectory(tmp_path)).state().tensors
    part = part.replace("a/images", "a.images").replace("b/held", "b.held")
    forgotten = {name: fresh[name] if name.startswith(part) else tensor for name, tensor in stored.tensors.items()}
    assert any(name.startswith(part) for name in forgotten)
    resumed = build(config, RunDirectory(tmp_path), Checkpoint(5, stored.config, stored.facts, forgotten))
    after = advanced(resumed, 7).state()
    assert any(not torch.equal(tensor, after.tensors[name]) for name, tensor in straight.tensors.items())


@pytest.mark.slow
def test_a_run_is_extended_and_its_weights_begin_another_with_an_empty_pool(cli: Cli) -> None:
    assert cli(*TINY_CYCLE, "hydra.run.dir=straight", "train.steps=12").code == 0
    assert cli(*TINY_CYCLE, "hydra.run.dir=run", "optim.schedule.steps=12", "train.steps=6").code == 0
    result = cli("resume=run", "train.steps=12")
    assert result.code == 0, result.err
    one, other = (checkpoint.load(Path(run, "checkpoints/last.safetensors")) for run in ("straight", "run"))
    for name, tensor in one.tensors.items():
        assert torch.equal(tensor, other.tensors[name]), name
    result = cli(*TINY_CYCLE, "init_from=run", "hydra.run.dir=again", "train.steps=1")
    assert result.code == 0, result.err
    begun = checkpoint.load(Path("again/checkpoints/step_00000001.safetensors"))
    assert [int(begun.tensors[f"network/pool/{domain}.held"]) for domain in "ab"] == [4, 4]


# Folders.


def test_folders_of_unequal_size_and_of_one_picture(cli: Cli) -> None:
    pictures("a", 5)
    pictures("b", 1)
    result = cli(*FOLDERS, "train.epochs=2")
    assert result.code == 0, result.err
    summary = json.loads(Path("run/summary.json").read_text())
    # An epoch is a pass over the larger folder; the picture of the other is shown each time.
    assert (summary["steps"], summary["images_seen"]) == (10, 20)
    lines = [json.loads(line) for line in Path("run/metrics.jsonl").read_text().splitlines()]
    assert all({"loss/G", "loss/D", "loss/cycle", "loss/identity"} <= line.keys() for line in lines)
    result = cli(*FOLDERS[:-1], "train.batch_size=2", "hydra.run.dir=two")
    assert result.code == 2
    assert "domain b of the data: train.batch_size=2 is larger than the data set of 1 samples" in result.err
    assert not Path("two").exists()


def test_each_picture_of_the_larger_folder_is_shown_once_an_epoch_and_the_others_in_new_orders(
    cli: Cli, compose: Compose, tmp_path: Path
) -> None:
    pictures("a", 7)
    pictures("b", 3)
    run = build(compose(*FOLDERS[:-1], "train.epochs=1", "data.flip=false"), RunDirectory(tmp_path))
    assert run.total_steps == 7
    batches = run.game.batches  # type: ignore[attr-defined]

    def shown(domain: str, steps: range) -> list[int]:
        stored = as_network_input(batches[domain].dataset.samples)
        return [
            int(torch.stack([(batches[domain](step).samples[0] - one).abs().sum() for one in stored]).argmin())
            for step in steps
        ]

    assert sorted(shown("a", range(7))) == list(range(7))
    orders = [shown("b", range(3 * epoch, 3 * epoch + 3)) for epoch in range(5)]
    assert all(sorted(order) == [0, 1, 2] for order in orders)
    assert len({tuple(order) for order in orders}) > 1


# What a run shows.


def test_previews_are_rows_there_and_back_in_grids_and_tensorboard(cli: Cli) -> None:
    assert cli(*TINY_CYCLE, "hydra.run.dir=run", "sampling.columns=3").code == 0
    stored = checkpoint.load(Path("run/checkpoints/last.safetensors"))
    _, generators = restore_translators(stored, [])
    translator = Translator(generators, torch.device("cpu"))
    real = images.read_png(Path("run/samples/real.png"))
    grid = images.read_png(Path("run/samples/step_00000012.png"))
    assert real is not None
    assert grid is not None
    cell = 64 + 2  # 16 pixels four times as large, and a line
    assert (real.shape, grid.shape) == ((3, 2 * cell + 2, 3 * cell + 2), (3, 6 * cell + 2, 3 * cell + 2))
    rows = [grid[:, row * cell : (row + 1) * cell] for row in range(6)]
    assert torch.equal(rows[0], real[:, :cell])
    assert torch.equal(rows[3], real[:, cell : 2 * cell])

    def row(number: int) -> torch.Tensor:
        cells = [rows[number][:, 2::4, 2 + column * cell : (column + 1) * cell : 4][:, :16, :16] for column in range(3)]
        return torch.stack(cells)

    for first, direction in ((0, "a2b"), (3, "b2a")):
        there, back = translator.there_and_back(as_network_input(row(first)), direction)
        for number, made in ((first + 1, there), (first + 2, back)):
            assert_close(images.to_bytes(made).float(), row(number).float(), atol=1, rtol=0)
    board = EventAccumulator("run/tensorboard")
    board.Reload()
    assert [event.step for event in board.Images("samples")] == [0, 6, 12]
    assert {"loss/G", "loss/D", "loss/cycle", "loss/identity"} <= set(board.Tags()["scalars"])
    summary = json.loads(Path("run/summary.json").read_text())
    assert summary["parameters"].keys() == {"generator", "discriminator"}


def test_previews_and_logs_do_not_change_training(cli: Cli) -> None:
    busy = (*TINY_CYCLE, "model.generator.norm=batch", "model.generator.dropout=0.5")
    assert cli(*busy, "train.sample_every=1", "hydra.run.dir=a").code == 0
    assert cli(*busy, "train.sample_every=0", "train.checkpoint_every=12", "hydra.run.dir=b").code == 0
    one, other = (checkpoint.load(Path(run, "checkpoints/last.safetensors")) for run in "ab")
    for name, tensor in other.tensors.items():
        assert torch.equal(tensor, one.tensors[name]), name


# Translating.


@pytest.fixture
def trained(cli: Cli) -> Cli:
    """A command line beside a run."""
    assert cli(*TINY_CYCLE, "train.steps=2", "ema.half_life=50", "hydra.run.dir=run").code == 0
    return cli


def test_pictures_are_translated_under_their_names(trained: Cli) -> None:
    pictures("in", 3, (40, 30))
    pictures("in/deep/er", 2, (9, 33))
    pictures("in/square", 1, (16, 16))
    Image.new("RGB", (40, 30), (200, 30, 30)).save("in/0.jpg")  # beside 0.png
    Image.new("RGBA", (16, 16), (1, 2, 3, 40)).save("in/deep/clear.webp")
    Path("in/bad.png").write_text("no picture")
    Path("in/notes.txt").write_text("none either")
    for direction, weights in (("a2b", "ema"), ("b2a", "raw")):
        out = Path(f"out_{direction}")
        typed = ("checkpoint=run", "input=in", f"out={out}", f"direction={direction}", f"weights={weights}")
        result = trained(*typed, command=translate)
        assert result.code == 0, result.err
        assert "skipped bad.png" in result.out
        assert f"8 pictures translated {direction} by step 2, 16×16 pixels, in out_{direction}; 1 skipped" in result.out
        expected = {"0.png", "1.png", "2.png", "0.jpg.png", "deep/clear.png", "deep/er/0.png", "deep/er/1.png"}
        expected.add("square/0.png")
        assert {str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()} == expected
        _, generators = restore_translators(checkpoint.load(Path("run/checkpoints/last.safetensors")), [], None)
        if weights == "raw":
            continue
        square, found = images.read_png(Path("in/square/0.png")), images.read_png(out / "square/0.png")
        assert square is not None
        assert found is not None
        made = Translator(generators, torch.device("cpu"))(as_network_input(square.unsqueeze(0)), direction)
        assert torch.equal(images.to_bytes(made)[0], found)
    # In larger batches the same pictures come out.
    result = trained(*typed, "batch_size=4", "out=four", command=translate)
    assert result.code == 0, result.err
    for path in Path("out_b2a").rglob("*.png"):
        one, other = images.read_png(path), images.read_png(Path("four", path.relative_to("out_b2a")))
        assert one is not None
        assert other is not None
        assert_close(one.float(), other.float(), atol=1, rtol=0)


def test_no_two_pictures_become_one_file() -> None:
    names = [PurePosixPath(name) for name in ("x.gif", "x.jpg", "x.jpg.png", "x.png", "y.JPG", "y.bmp", "d/x.jpg")]
    found = [str(name) for name in written_as(names)]
    assert found == ["x.gif.png", "x.jpg.png.png", "x.jpg.png", "x.png", "y.png", "y.bmp.png", "d/x.png"]
    assert len(set(found)) == len(names)


@pytest.mark.slow
def test_translating_is_refused_before_anything_is_written(trained: Cli) -> None:
    pictures("in", 1)
    Path("empty").mkdir()
    Path("file").write_text("")
    assert trained(*TINY, "hydra.run.dir=gan", "train.steps=2").code == 0
    base = {"checkpoint": "run", "input": "in", "out": "made", "direction": "a2b"}
    for change, words in (
        ({"input": "nowhere"}, "input=nowhere does not exist"),
        ({"input": "file"}, "input=file is not a folder"),
        ({"input": "empty"}, "holds no picture that can be read"),
        ({"out": "in/made"}, "out=in/made lies in input=in"),
        ({"out": "in"}, "out=in lies in input=in"),
        ({"out": "file"}, "out=file is a file"),
        ({"direction": "c2d"}, "expected one of [a2b, b2a]"),
        ({"direction": "null"}, "direction"),
        ({"checkpoint": "gan"}, "gan-sample checkpoint=RUN"),
        ({"checkpoint": "nowhere"}, "there is no checkpoint nowhere"),
        ({"batch_size": "0"}, "batch_size must be at least 1"),
        ({"sizes": "3"}, "sizes"),
    ):
        result = trained(*(f"{key}={value}" for key, value in (base | change).items()), command=translate)
        assert (result.code, words in result.err) == (2, True), (change, result.err)
        assert "Traceback" not in result.err
        assert not Path("made").exists()
    (Path("empty") / "bad.png").write_text("no picture")
    result = trained("checkpoint=run", "input=empty", "out=made", "direction=a2b", command=translate)
    assert result.code == 2
    assert "no picture could be read" in result.err


# The other commands.


def test_other_commands_name_what_translates(trained: Cli) -> None:
    for command, typed in (
        (sample, ("checkpoint=run", "out=drawn")),
        (evaluate, ("checkpoint=run", "out=judged")),
        (export, ("checkpoint=run", "out=g.safetensors")),
    ):
        result = trained(*typed, command=command)
        assert result.code == 2
        assert "gan-translate checkpoint=RUN input=DIR out=DIR direction=a2b" in result.err
        assert len(result.err.splitlines()) == 1
    assert not Path("g.safetensors").exists()
    result = trained("run=run", command=doctor)
    assert result.code == 0, result.err
    result = trained("runs=run", command=compare)
    assert result.code == 0, result.err
    assert Path("run/comparison.html").exists()


def test_the_end_of_a_run_names_what_translates(cli: Cli) -> None:
    result = cli(*TINY_CYCLE, "hydra.run.dir=run", "train.steps=2")
    assert "gan-translate checkpoint=" in result.out
    assert "gan-sample" not in result.out
    assert "gan-evaluate" not in result.out


@pytest.mark.exhaustive(6)
@pytest.mark.parametrize(
    ("typed", "words"),
    [
        (("experiment=cyclegan",), "data.a must be given"),
        (("experiment=cyclegan", "data.a=nowhere", "data.b=nowhere"), "data.a: there is no nowhere"),
        (("experiment=cyclegan_digits", "latent.dim=4"), "latent.dim"),
        (("experiment=cyclegan_digits", "latent={dim: 4, distribution: normal}"), "has no latents"),
        (("experiment=cyclegan_digits", "train.d_steps=2"), "train.d_steps=1, not 2"),
        (("experiment=cyclegan_digits", "train.unroll=1"), "train.unroll=0, not 1"),
        (("experiment=cyclegan_digits", "train.reuse=fakes"), "train.reuse=none, not fakes"),
        (("experiment=cyclegan_digits", "train.evaluate_every=5"), "train.evaluate_every=0"),
        (("experiment=cyclegan_digits", "evaluate.num_images=50"), "without evaluate.*"),
        (("experiment=cyclegan_digits", "sampling.batch_norm=batch"), "leave out sampling.batch_norm"),
        (("experiment=cyclegan_digits", "sampling.shown=3"), "leave out sampling.batch_norm and sampling.shown"),
        (("experiment=cyclegan_digits", "model.conditional=concat"), "model.conditional=none"),
        (("experiment=cyclegan_digits", "data.drop_last=false"), "data.drop_last=true"),
        (("experiment=cyclegan_digits", "data=mnist"), "two domains of pictures, and these are images"),
        (("experiment=cyclegan_digits", "loss=wgan"), "penalty=gp"),
        (("experiment=cyclegan_digits", "model.resolution=30"), "multiple of 4"),
        (("game=cyclegan",), "experiment=cyclegan"),
        (("data=digits_recoloured",), "which experiment=cyclegan takes"),
        (("model=cyclegan",), "two domains of pictures"),
        (("model=cyclegan", "data=digits_recoloured"), "experiment=cyclegan"),
        (("game.pool=3",), "game.pool"),
        (("+game.pool=3",), "unknown key game.pool"),
        (("latent=null",), "latent is not set"),
        (("optim.schedule.hold=0.5",), "optim.schedule.shape=linear"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_does_not_fit_is_refused(typed: tuple[str, ...], words: str, cli: Cli) -> None:
    result = cli(*typed, "hydra.run.dir=run")
    assert (result.code, words in result.err) == (2, True), result.err
    assert not Path("run").exists()


def test_several_processes_are_refused(compose: Compose, tmp_path: Path) -> None:
    from gan_cli.errors import Refused
    from gan_cli.ranks.ranks import Ranks

    with pytest.raises(Refused, match="trained by one process"):
        build(compose(*TINY_CYCLE), RunDirectory(tmp_path), ranks=Ranks(0, 2, 0))


def test_the_configuration_of_a_run_names_its_game(trained: Cli) -> None:
    config = yaml.safe_load(Path("run/config.yaml").read_text())
    assert config["latent"] is None
    assert config["game"]["name"] == "cyclegan"
    assert trained(*TINY, "hydra.run.dir=gan", "train.steps=2").code == 0
    assert yaml.safe_load(Path("gan/config.yaml").read_text())["game"] == {"name": "gan"}
