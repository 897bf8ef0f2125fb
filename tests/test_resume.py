"""A run that is stopped and resumed ends in the same bits as one that is not."""

import json
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from conftest import TINY, Result
from stepping import advanced, reloaded
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from gan_cli import checkpoint
from gan_cli.build import build
from gan_cli.checkpoint import Checkpoint
from gan_cli.errors import Refused
from gan_cli.resume import check_changes, laid_over
from gan_cli.run import Run
from gan_cli.run_directory import RunDirectory
from gan_cli.schema import Config

Compose = Callable[..., Config]
Cli = Callable[..., Result]

SMALL = {
    "mlp": ("data=mnist", "data.limit=96", "model.generator.widths=[8]", "model.discriminator.widths=[8]"),
    "mlp-dropout": (*TINY, "model.generator.dropout=0.5", "model.discriminator.dropout=0.3"),
    "lsgan-fakes": (*TINY, "loss=lsgan", "train.reuse=fakes", "train.d_steps=2"),
    "latents-cosine": (*TINY, "train.reuse=latents", "latent.distribution=normal", "optim.schedule.shape=cosine"),
    "ragged": (*TINY, "data.limit=60", "data.drop_last=false"),
    "bf16": (*TINY, "device.precision=bf16"),
    "rsgan-lazy-r1r2": (*TINY, "loss=rsgan", "penalty=r1r2", "penalty.every=4"),
    "wgan-gp": (*TINY, "loss=wgan", "penalty=gp", "train.d_steps=2", "device.precision=bf16"),
    "wgan-clip": (*TINY, "loss=wgan", "optim.discriminator.weight_clip=0.01"),
    "dragan-spectral": (*TINY, "loss=rahinge", "penalty=dragan", "model.discriminator.norm=spectral"),
    "ema": (*TINY, "ema.half_life=200", "train.d_steps=2"),
    "rmsprop": (*TINY, "optim=rmsprop", "optim.momentum=0.5"),
    "sgd": (*TINY, "optim=sgd", "optim.momentum=0.9"),
    "adamw": (*TINY, "optim=adamw"),
    "noisy-labels": (*TINY, "loss.real_target=[0.7,1.2]", "loss.fake_target=[0,0.3]", "loss.flip=0.1"),
    "dcgan": (
        "model=dcgan",
        "ema.half_life=200",
        "data.limit=96",
        "model.generator.hidden=8",
        "model.generator.widths=[4,4]",
        "model.discriminator.hidden=8",
        "model.discriminator.widths=[2,4]",
    ),
    "dcgan64": (
        "model=dcgan64",
        "data.limit=96",
        "model.generator.widths=[4,4,4,4]",
        "model.discriminator.widths=[4,4,4,4]",
    ),
    "noise-fading": (*TINY, "critic.noise={start: 0.5, end: 0.0}"),
    "minibatch-std": (*TINY, "model.discriminator.minibatch_std=4"),
    "packing": (*TINY, "model.discriminator.packing=2", "critic.noise=0.1"),
    "unroll": (*TINY, "train.unroll=2", "penalty=r1"),
    "clip-norm": (*TINY, "optim.clip_norm=0.05"),
    "schedules": (
        *(*TINY, "optim.betas=[{start: 0.0, end: 0.9}, {start: 0.9, end: 0.99, shape: cosine}]"),
        *("penalty=r1", "penalty.gamma={start: 1.0, end: 0.1}", "ema.half_life={start: 50, end: 500}"),
    ),
}
PICTURES = ("data.split=test", "data.limit=96", "model.resolution=8")
NARROW = ("model.generator.widths=[8]", "model.discriminator.widths=[8]")
TINY_DCGAN = (
    *("model=dcgan", "data.split=test", "data.limit=96"),
    *("model.generator.hidden=8", "model.generator.widths=[4,4]"),
    *("model.discriminator.hidden=8", "model.discriminator.widths=[2,4]"),
)
# What costs more, at fewer places.
LARGER = {
    "flips": (*PICTURES, *NARROW, "data.flip=true", "critic.flip=true"),
    "diffaugment": (*PICTURES, *NARROW, "augment=diffaugment"),
    "ada": (*PICTURES, *NARROW, "augment=ada", "augment.every=3", "augment.images=500", "augment.p=0.5"),
    "concat": (*TINY_DCGAN, "model.conditional=concat"),
    "projection": (*TINY_DCGAN, "model.conditional=projection", "model.discriminator.norm=spectral"),
    "r3gan": (
        *("model=r3gan", "loss=rsgan", "penalty=r1r2", *PICTURES),
        *("model.generator.widths=[8,8]", "model.generator.blocks=1", "model.generator.group_size=8"),
        *("model.discriminator.widths=[8,8]", "model.discriminator.blocks=1", "model.discriminator.group_size=8"),
    ),
    "stacked-mnist": (*NARROW, "data=stacked_mnist", "data.num_samples=96", "data.split=test", "model.resolution=8"),
}
ALL = (*TINY[-1:], "train.steps=12", "train.batch_size=16", "latent.dim=4")


def started(compose: Compose, path: Path, *overrides: str) -> Run:
    return build(compose(*overrides, *ALL), RunDirectory(path))


def assert_same(one: Checkpoint, other: Checkpoint) -> None:
    assert one.step == other.step
    assert one.tensors.keys() == other.tensors.keys()
    for name, tensor in one.tensors.items():
        assert torch.equal(tensor, other.tensors[name]), name


# With 96 samples in batches of 16 an epoch has 6 steps: the first batch, a middle one, the last of an epoch, its end.
@pytest.mark.exhaustive(24)
@pytest.mark.parametrize("stop", [1, 3, 5, 6, 11])
@pytest.mark.parametrize("name", SMALL)
def test_resumed_state_equals_the_uninterrupted_one(name: str, stop: int, compose: Compose, tmp_path: Path) -> None:
    assert_resumes_exactly(compose(*SMALL[name], *ALL), stop, tmp_path)


@pytest.mark.exhaustive(7)
@pytest.mark.parametrize("stop", [5, 7])
@pytest.mark.parametrize("name", LARGER)
def test_resumed_state_of_larger_runs_equals_the_uninterrupted_one(
    name: str, stop: int, compose: Compose, tmp_path: Path
) -> None:
    assert_resumes_exactly(compose(*LARGER[name], *ALL), stop, tmp_path)


def assert_resumes_exactly(config: Config, stop: int, tmp_path: Path) -> None:
    straight, stopped = (build(config, RunDirectory(tmp_path)) for _ in range(2))
    advanced(straight, 12)
    advanced(stopped, stop)
    torch.manual_seed(99)  # whatever another process would have in its generators
    resumed = build(config, RunDirectory(tmp_path))
    resumed.restore(reloaded(stopped, tmp_path / "c.safetensors"))
    assert_same(advanced(resumed, 12 - stop).state(), straight.state())


def test_what_adapts_moves_in_these_runs_and_is_half_way_between_two_adjustments_where_they_stop(
    compose: Compose, tmp_path: Path
) -> None:
    run = started(compose, tmp_path, *LARGER["ada"])
    probabilities = [0.5]
    for step in range(1, 13):
        run.advance()
        probabilities.append(float(run.game.networks["augment"].get_buffer("p")))
        assert int(run.game.networks["augment"].get_buffer("updates")) == step % 3
    assert [one != other for one, other in pairwise(probabilities)] == [step % 3 == 0 for step in range(1, 13)]


def test_what_clips_clips_in_these_runs(compose: Compose, tmp_path: Path) -> None:
    run = started(compose, tmp_path, *SMALL["clip-norm"])
    for step in range(12):
        stats = run.game.play(step)
        assert min(float(stats["gradient/D"]), float(stats["gradient/G"])) > 0.05


@pytest.mark.exhaustive(4)
@pytest.mark.parametrize(
    ("part", "run"),
    [
        *((part, SMALL["mlp"]) for part in ("network/generator", "network/discriminator", "meter/sum", "step")),
        *((part, SMALL["mlp"]) for part in ("optimizer/G", "optimizer/D")),
        *((f"network/augment/{part}", LARGER["ada"]) for part in ("p", "signs", "samples", "updates")),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_every_part_of_the_state_is_needed(part: str, run: Sequence[str], compose: Compose, tmp_path: Path) -> None:
    config = compose(*run, *ALL)
    straight = advanced(build(config, RunDirectory(tmp_path)), 12).state()
    stored = advanced(build(config, RunDirectory(tmp_path)), 5).state()
    resumed = build(config, RunDirectory(tmp_path))
    fresh = resumed.state()
    forgotten = {name: tensor for name, tensor in stored.tensors.items() if not name.startswith(part)}
    kept = {name: tensor for name, tensor in fresh.tensors.items() if name.startswith(part)}
    step = 4 if part == "step" else stored.step
    incomplete = Checkpoint(step, stored.config, stored.facts, forgotten | kept)
    if part.startswith("optimizer"):
        with pytest.raises(Refused, match="optimizer state"):
            resumed.restore(incomplete)
        return
    resumed.restore(incomplete)
    resumed.step = stored.step if part != "step" else 4
    after = advanced(resumed, 12 - stored.step).state()
    assert after.step != straight.step or any(
        name not in after.tensors or not torch.equal(tensor, after.tensors[name])
        for name, tensor in straight.tensors.items()
    )


def test_previews_and_logs_do_not_change_training(cli: Cli) -> None:
    dropout = (*TINY, "model.generator.dropout=0.5")
    assert cli(*dropout, "hydra.run.dir=a").code == 0
    quiet = ("train.sample_every=0", "train.log_every=0", "train.checkpoint_every=12")
    assert cli(*dropout, *quiet, "hydra.run.dir=b").code == 0
    one, other = (checkpoint.load(Path(run, "checkpoints/last.safetensors")) for run in "ab")
    for name, tensor in other.tensors.items():
        if not name.startswith("meter/"):  # means over other windows
            assert torch.equal(tensor, one.tensors[name]), name


def test_extended_run_leaves_the_story_of_an_uninterrupted_one(cli: Cli) -> None:
    assert cli(*TINY, "train.steps=24", "hydra.run.dir=straight").code == 0
    assert cli(*TINY, "train.steps=10", "hydra.run.dir=parts").code == 0
    assert cli("resume=parts", "train.steps=17").code == 0
    assert cli("resume=parts", "train.steps=24").code == 0
    assert_same(*(checkpoint.load(Path(run, "checkpoints/last.safetensors")) for run in ("straight", "parts")))
    assert told("straight") == told("parts")
    grids = [sorted(path.name for path in Path(run, "samples").iterdir()) for run in ("straight", "parts")]
    assert grids[0] == grids[1]
    for grid in Path("straight/samples").glob("*.png"):
        assert grid.read_bytes() == Path("parts/samples", grid.name).read_bytes()
    assert curves("straight") == curves("parts")


def told(run: str) -> list[dict[str, float]]:
    lines = [json.loads(line) for line in Path(run, "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if not key.startswith("speed/")} for line in lines]


def curves(run: str) -> dict[str, list[tuple[int, float]]]:
    board = EventAccumulator(str(Path(run, "tensorboard")), size_guidance={"images": 0, "scalars": 0}).Reload()
    scalars = {tag: [(e.step, e.value) for e in board.Scalars(tag)] for tag in board.Tags()["scalars"]}
    pictures = {tag: [(e.step, float(hash(e.encoded_image_string))) for e in board.Images(tag)] for tag in ("samples",)}
    both = {tag: values for tag, values in (scalars | pictures).items() if not tag.startswith("speed/")}
    for values in both.values():
        steps = [step for step, _ in values]
        assert steps == sorted(set(steps))
    return both


def test_resuming_a_finished_run_says_so_and_changes_nothing(cli: Cli) -> None:
    assert cli(*TINY, "hydra.run.dir=run").code == 0
    before = {path: path.read_bytes() for path in Path("run").rglob("*") if path.is_file() and path.name != "train.log"}
    again = cli("resume=run")
    assert again.code == 0
    assert "finished at step 12; train.steps=N extends it" in again.out
    assert before == {p: p.read_bytes() for p in Path("run").rglob("*") if p.is_file() and p.name != "train.log"}


@pytest.mark.exhaustive(2)
@pytest.mark.parametrize(
    "change",
    ["seed=1", "loss=lsgan", "train.batch_size=8", "optim.lr=0.1", "latent.dim=5", "sampling.batch_norm=batch"],
)
def test_a_changed_run_is_refused_and_may_be_allowed_by_name(change: str, cli: Cli) -> None:
    assert cli(*TINY, "train.steps=6", "hydra.run.dir=run").code == 0
    refused = cli("resume=run", "train.steps=8", change)
    assert refused.code == 2
    assert change.split("=")[0] in refused.err
    assert "allow_changes=[" in refused.err
    keys = refused.err.split("allow_changes=[")[1].split("]")[0]
    allowed = cli("resume=run", "train.steps=8", change, f"allow_changes=[{keys}]")
    assert allowed.code == (2 if change == "latent.dim=5" else 0)  # the weights of another network do not fit


@pytest.mark.slow
def test_harmless_changes_are_accepted(cli: Cli) -> None:
    assert cli(*TINY, "train.steps=6", "hydra.run.dir=run").code == 0
    assert cli("resume=run", "train.steps=9", "train.log_every=1", "train.keep=1", "train.sample_every=3").code == 0
    measured = ("train.evaluate_every=4", "evaluate.final_images=60")
    assert cli("resume=run", "train.steps=12", *measured).code == 0
    assert json.loads(Path("run/status.json").read_text())["step"] == 12
    lines = [json.loads(line) for line in Path("run/metrics.jsonl").read_text().splitlines()]
    told = [(line["step"], line["count"]) for line in lines if "count" in line]
    assert told == [(12, 2000), (12, 2000), (12, 60), (12, 60)]


def test_other_data_under_the_same_name_are_refused(cli: Cli, tmp_path: Path) -> None:
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for shade in range(8):
        from gan_cli.images import save_png

        save_png(pictures / f"{shade}.png", torch.full((3, 8, 8), shade * 30, dtype=torch.uint8))
    run = ("data=folder", f"data.root={pictures}", "data.resolution=8", *TINY[2:], "train.batch_size=4")
    assert cli(*run, "train.steps=2", "hydra.run.dir=run").code == 0
    (pictures / "3.png").unlink()
    refused = cli("resume=run", "train.steps=4")
    assert refused.code == 2
    assert "the data are not those" in refused.err


def test_another_number_of_threads_is_said(cli: Cli) -> None:
    threads = torch.get_num_threads()
    try:
        assert cli(*TINY, "train.steps=6", "device.threads=1", "hydra.run.dir=run").code == 0
        resumed = cli("resume=run", "train.steps=8", "device.threads=2")
    finally:
        torch.set_num_threads(threads)
    assert resumed.code == 0
    assert "not bit-exact from here on: threads was 1, is 2" in resumed.out


def test_damaged_last_checkpoint_falls_back_loudly_and_a_named_one_never(cli: Cli) -> None:
    assert cli(*TINY, "train.steps=24", "hydra.run.dir=straight").code == 0
    assert cli(*TINY, "hydra.run.dir=run").code == 0
    last = Path("run/checkpoints/last.safetensors")
    content = last.read_bytes()
    last.unlink()  # a second name for the numbered one: writing into it would damage both
    last.write_bytes(content[:-100])
    Path("run/checkpoints/step_00000012.safetensors").write_bytes(content[:1000])
    named = cli(f"resume={last}", "train.steps=24")
    assert named.code == 2
    assert "damaged" in named.err
    resumed = cli("resume=run", "train.steps=24")
    assert resumed.code == 0
    assert "going on from step 6" in resumed.out
    assert_same(*(checkpoint.load(Path(run, "checkpoints/last.safetensors")) for run in ("straight", "run")))
    assert told("straight") == told("run")


def test_resuming_at_an_earlier_checkpoint_rewinds_the_run(cli: Cli) -> None:
    assert cli(*TINY, "train.steps=18", "hydra.run.dir=run").code == 0
    before = told("run")
    assert cli("resume=run/checkpoints/step_00000006.safetensors").code == 0
    assert told("run") == before


def test_init_from_starts_a_new_run_from_the_weights_alone(cli: Cli) -> None:
    assert cli(*TINY, "hydra.run.dir=old").code == 0
    assert cli(*TINY, "init_from=old", "train.steps=1", "optim.lr=1e-30", "hydra.run.dir=new").code == 0
    old, new = (checkpoint.load(Path(run, "checkpoints/last.safetensors")) for run in ("old", "new"))
    assert new.step == 1
    for name, tensor in old.tensors.items():
        if name.startswith("network/"):
            torch.testing.assert_close(new.tensors[name], tensor, rtol=0, atol=1e-6)


def test_dry_run_tells_the_cost_and_leaves_nothing(cli: Cli, tmp_path: Path) -> None:
    result = cli(*TINY, "dry_run=true")
    assert result.code == 0
    for word in ("parameters", "images/s", "peak memory", "disk"):
        assert word in result.out
    assert list(tmp_path.iterdir()) == []


def test_stored_configuration_is_the_base_and_typed_keys_lie_over_it() -> None:
    stored = {"a": {"x": 1, "y": 2}, "b": 3}
    before = {"a": {"x": 9, "y": 9}, "b": 9}
    assert laid_over(stored, before, before, []) == stored
    assert laid_over(stored, {"a": {"x": 9, "y": 7}, "b": 9}, before, []) == {"a": {"x": 1, "y": 7}, "b": 3}
    assert laid_over(stored, before, before, ["b"]) == {"a": {"x": 1, "y": 2}, "b": 9}
    assert laid_over(stored, before, before, ["a"]) == {"a": {"x": 9, "y": 9}, "b": 3}


def test_changes_are_listed_unless_harmless_or_allowed() -> None:
    before = {"train": {"steps": 1, "reuse": "none"}, "seed": 0}
    check_changes(before, {"train": {"steps": 2, "reuse": "none"}, "seed": 0}, [])
    check_changes(before, {"train": {"steps": 1, "reuse": "fakes"}, "seed": 0}, ["train"])
    with pytest.raises(Refused, match=r"(?s)seed: 0 -> 1.*train.reuse: 'none' -> 'fakes'"):
        check_changes(before, {"train": {"steps": 1, "reuse": "fakes"}, "seed": 1}, ["train.steps"])
    with pytest.raises(Refused, match="no key trian; did you mean train"):
        check_changes(before, before, ["trian"])


@pytest.mark.exhaustive(1)
@pytest.mark.parametrize("steps", [12, 13], ids=["logged in turn", "logged out of turn"])
def test_a_run_that_was_killed_between_its_last_checkpoint_and_its_end_gets_its_end(steps: int, cli: Cli) -> None:
    typed = (
        *TINY,
        f"train.steps={steps}",
        "train.evaluate_every=6",
        "evaluate.num_images=64",
        "evaluate.final_images=64",
    )
    assert cli(*typed, "hydra.run.dir=run").code == 0
    run = Path("run")
    before = {name: json.loads((run / name).read_text()) for name in ("summary.json", "status.json")}
    lines, files = told("run"), sorted(str(path) for path in run.glob("[cs]*/*"))
    kept = [line for line in (run / "metrics.jsonl").read_text().splitlines(True) if "final/" not in line]
    (run / "metrics.jsonl").write_text("".join(kept))
    (run / "summary.json").unlink()
    (run / "samples/progress.webp").unlink()
    (run / "status.json").write_text(json.dumps({"state": "running", "step": 0, "reason": None}))
    assert cli("resume=run").code == 0
    after = {name: json.loads((run / name).read_text()) for name in ("summary.json", "status.json")}
    assert after["status.json"] == before["status.json"]
    timed = {"wall_s", "images_per_s", "peak_memory_mb"}
    assert {k: v for k, v in after["summary.json"].items() if k not in timed} == {
        k: v for k, v in before["summary.json"].items() if k not in timed
    }
    assert told("run") == lines
    assert sorted(str(path) for path in run.glob("[cs]*/*")) == files
