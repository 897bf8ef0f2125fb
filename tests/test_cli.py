"""What a user types and finds."""

import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from conftest import TINY, Result
from omegaconf import OmegaConf
from PIL import Image
from safetensors import safe_open

from gan_cli import images
from gan_cli.commands import entry
from gan_cli.commands.indices import wanted
from gan_cli.commands.sample import sample
from gan_cli.errors import Refused, Stopped

Cli = Callable[..., Result]

DIGITS = (
    "data=mnist",
    "data.limit=64",
    "model.generator.widths=[8]",
    "model.discriminator.widths=[8]",
    *TINY[4:],
    "train.steps=4",
    "optim.lr=0.05",
)


@pytest.mark.exhaustive(12)
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["model=dcgann"], ["dcgann", "Did you mean: dcgan"]),
        (["modl=dcgan"], ["modl", "Did you mean: model"]),
        (["optim.lrr=1"], ["optim.lrr", "Did you mean: optim.lr?"]),
        (["widths=3"], ["Did you mean: model.generator.widths, model.discriminator.widths?"]),
        (["+train.bach_size=3"], ["unknown key train.bach_size; did you mean batch_size?"]),
        (["+model.generator.width=3"], ["unknown key model.generator.width; did you mean widths?"]),
        (["train.batch_size=abc"], ["train.batch_size", "'abc'", "Integer"]),
        (["train.batch_size=0"], ["train.batch_size must be at least 1, got 0"]),
        (["train.batch_size=65", "data.limit=64"], ["train.batch_size=65 is larger than the data set of 64 samples"]),
        (["train.epochs=0"], ["train.epochs must be at least 1"]),
        (["train.steps=0"], ["train.steps must be at least 1"]),
        (["seed=-1"], ["seed must be at least 0"]),
        (["seed=1.5"], ["seed", "1.5"]),
        (["train.reuse=fake"], ["train.reuse", "'fake'", "none, latents, fakes"]),
        (["optim.betas=[0.5]"], ["optim.betas must have 2 entries"]),
        (["loss.real_target=2"], ["loss.real_target must be at most 1"]),
        (["model=dcgan", "data=gaussian2d"], ["takes image data, and the data are vectors", "model=mlp"]),
        (["model=dcgan", "model.resolution=30"], ["model.resolution must be a multiple of 4", "30"]),
        (["model=dcgan64", "model.resolution=32"], ["model.generator.widths has 4 entries", "32"]),
        (["data=folder"], ["data.root must be given"]),
        (["data=folder", "data.root=nowhere"], ["there is no nowhere"]),
        (["loss=hinge", "loss.real_target=0.9"], ["loss.real_target", "loss has: d_scale"]),
        (["penalty.gamma=1"], ["penalty.gamma", "penalty has: no keys"]),
        (["loss.flip=x"], ["loss.flip must be a number, got 'x'"]),
        (["penalty=gp", "penalty.one_sided=1"], ["penalty.one_sided must be true or false, got 1"]),
        (["penalty=r1", "penalty.every=1.5"], ["penalty.every must be a whole number, got 1.5"]),
        (["loss._target_=gan_cli.losses.hinge.Hing"], ["there is no gan_cli.losses.hinge.Hing; did you mean", "Hinge"]),
        (["loss._target_=gan_cli.penalties.none.NoPenalty"], ["NoPenalty must derive from", "AdversarialLoss"]),
        (["loss._target_=gan_cli.losses.hinge.Hinge"], ["unknown key loss.real_target; known: d_scale"]),
        (["loss._target_=gan_cli.losses.relativistic.Relativistic"], ["Relativistic must define contrast"]),
        (["loss._target_=gan_cli.losses.bce.cross_entropy"], ["cross_entropy must derive from", "AdversarialLoss"]),
        (["loss._target_=gan_cli.losses.bce.bounded"], ["bounded must derive from", "AdversarialLoss"]),
        (["penalty._target_=gan_cli.losses.wgan.WGAN"], ["WGAN must derive from gan_cli.penalties.Penalty"]),
        (["experiment=nope"], ["experiment/nope", "d2l_gaussian"]),
        (["model.generator._target_=os.system"], ["model.generator._target_", "system"]),
        (["model.generator._target_=gan_cli.models.mlp.MLP"], ["there is no gan_cli.models.mlp.MLP", "MLPGenerator"]),
        (["model=custom"], ["_target_ must be given"]),
        (["train.steps"], ["train.steps"]),
        (["=3"], ["string"]),
        (["resume=nowhere"], ["nowhere: not a run directory"]),
        (["init_from=nowhere.safetensors"], ["there is no checkpoint nowhere.safetensors"]),
        (["resume=x", "-m"], ["cannot be swept"]),
        (["hydra.run.dir=/proc/here"], ["cannot write /proc/here", "hydra.run.dir=PATH"]),
    ],
    ids=lambda value: " ".join(value) if value and "=" in value[0] else "",
)
def test_mistake_is_told_in_a_few_lines_and_leaves_nothing(
    arguments: list[str], words: list[str], cli: Cli, tmp_path: Path
) -> None:
    result = cli(*arguments)
    assert result.code == 2
    for word in words:
        assert word in result.err
    assert "Traceback" not in result.err
    assert len(result.err.splitlines()) <= 10
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
def test_absent_gpu_is_named_with_the_way_out(cli: Cli, tmp_path: Path) -> None:
    result = cli("device=cuda")
    assert (result.code, list(tmp_path.iterdir())) == (2, [])
    assert "device=cuda is not available" in result.err
    assert "use device=cpu" in result.err


def test_misspelt_key_in_a_users_preset_is_named(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "mine" / "experiment").mkdir(parents=True)
    (tmp_path / "mine" / "experiment" / "typo.yaml").write_text("# @package _global_\noptim: {lrr: 0.1}\n")
    result = cli("--config-dir", "mine", "experiment=typo", *TINY)
    assert result.code == 2
    assert "lrr" in result.err
    assert "Traceback" not in result.err


def test_broken_yaml_names_file_and_line(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "mine" / "experiment").mkdir(parents=True)
    (tmp_path / "mine" / "experiment" / "broken.yaml").write_text("optim: lr: 3\n")
    result = cli("--config-dir", "mine", "experiment=broken")
    assert result.code == 2
    assert "broken.yaml" in result.err
    assert "line 1" in result.err
    assert "Traceback" not in result.err


@pytest.fixture
def run(cli: Cli) -> Path:
    assert cli(*DIGITS, "hydra.run.dir=run").code == 0
    return Path("run")


def test_run_directory_holds_every_promised_file_and_each_is_true(run: Path) -> None:
    config = OmegaConf.load(run / "config.yaml")
    assert config.train.steps == 4
    assert config.data.limit == 64
    assert json.loads((run / "status.json").read_text()) == {
        "state": "finished",
        "step": 4,
        "reason": "all steps done",
    }
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 4]
    assert lines[-1].keys() == {
        "step", "images_seen", "loss/D", "loss/G", "logits/real", "logits/fake", "speed/images_per_s"
    }  # fmt: skip
    assert lines[-1]["images_seen"] == 4 * 16
    summary = json.loads((run / "summary.json").read_text())
    assert summary["steps"] == 4
    assert summary["images_seen"] == 64
    assert summary["loss/D"] == lines[-1]["loss/D"]
    assert summary["parameters"] == {"generator": 4 * 8 + 8 + 8 * 784 + 784, "discriminator": 784 * 8 + 8 + 8 + 1}
    assert summary["images_per_s"] > 0
    assert summary["wall_s"] > summary["images_seen"] / summary["images_per_s"]
    assert sorted(path.name for path in (run / "samples").iterdir()) == [
        "progress.webp", "real.png", "step_00000000.png", "step_00000004.png"
    ]  # fmt: skip
    with Image.open(run / "samples/progress.webp") as animation:
        assert animation.n_frames == 2
    assert sorted(path.name for path in (run / "checkpoints").iterdir()) == [
        "last.safetensors", "step_00000004.safetensors"
    ]  # fmt: skip
    with safe_open(run / "checkpoints/last.safetensors", "pt") as file:
        assert json.loads(file.metadata()["config"]) == OmegaConf.to_container(config)
    assert list((run / "tensorboard").iterdir())
    assert "4/4" in (run / "train.log").read_text()
    assert (run / ".hydra/overrides.yaml").exists()
    assert not list(run.rglob("*.tmp"))
    assert not (run / ".lock").exists()


def test_real_grid_shows_the_data(run: Path) -> None:
    from gan_cli.data.mnist import load

    shown = images.read_png(run / "samples/real.png")
    first = load().samples[0].repeat_interleave(2, -1).repeat_interleave(2, -2)
    assert torch.equal(shown[:, 2 : 2 + 56, 2 : 2 + 56], first)


def test_preview_shows_what_gan_sample_draws(run: Path, cli: Cli) -> None:
    assert cli("checkpoint=run", "seed=0", "num_images=64", "out=o", command=sample).code == 0
    assert Path("o/grid.png").read_bytes() == (run / "samples/step_00000004.png").read_bytes()


def test_sample_needs_nothing_but_the_file(run: Path, cli: Cli, tmp_path: Path) -> None:
    moved = tmp_path / "a b=c,d" / "só.safetensors"
    moved.parent.mkdir()
    (run / "checkpoints/last.safetensors").rename(moved)
    result = cli(f"checkpoint={moved}", "num_images=3", "out=out dir=x", command=sample)
    assert result.code == 0, result.err
    assert sorted(path.name for path in Path("out dir=x/images").iterdir()) == [f"{i:08d}.png" for i in range(3)]


def test_image_depends_on_the_seed_and_its_index_alone(run: Path, cli: Cli) -> None:
    assert cli("checkpoint=run", "num_images=200", "out=many", command=sample).code == 0
    assert cli("checkpoint=run", "indices=130,5-6,64", "out=few", command=sample).code == 0
    assert cli("checkpoint=run", "indices=5", "seed=1", "out=other", command=sample).code == 0
    names = ["00000130.png", "00000005.png", "00000006.png", "00000064.png"]
    assert sorted(path.name for path in Path("few/images").iterdir()) == sorted(names)
    for name in names:
        assert Path("few/images", name).read_bytes() == Path("many/images", name).read_bytes()
    assert Path("other/images/00000005.png").read_bytes() != Path("many/images/00000005.png").read_bytes()


def test_points_are_written_as_a_table_and_a_plot(cli: Cli) -> None:
    assert cli(*TINY, "hydra.run.dir=run").code == 0
    assert cli("checkpoint=run", "num_images=70", "out=o", command=sample).code == 0
    rows = Path("o/samples.csv").read_text().splitlines()
    assert rows[0] == "index,x0,x1"
    assert [int(row.split(",")[0]) for row in rows[1:]] == list(range(70))
    assert Path("o/grid.png").exists()
    assert not Path("o/images").exists()


@pytest.mark.exhaustive(3)
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["checkpoint=nowhere"], "there is no checkpoint nowhere"),
        (["checkpoint=."], "holds no checkpoint"),
        ([], "checkpoint must be given"),
        (["checkpoint=run", "indices=3-a"], "indices must be numbers"),
        (["checkpoint=run", "num_images=0"], "num_images must be at least 1"),
        (["checkpoint=run", "sed=0"], "Did you mean: seed"),
        (["checkpoint=run/metrics.jsonl"], "damaged, or not a safetensors file"),
    ],
)
def test_mistakes_in_sampling_are_told(arguments: list[str], words: str, run: Path, cli: Cli) -> None:
    result = cli(*arguments, command=sample)
    assert result.code == 2
    assert words in result.err
    assert "Traceback" not in result.err
    assert not Path("samples").exists()


def test_indices_are_numbers_and_ranges() -> None:
    assert list(wanted(None, 3)) == [0, 1, 2]
    assert list(wanted("0-2,7", 64)) == [0, 1, 2, 7]
    assert list(wanted(5, 64)) == [5]
    for wrong in ("", "a", "-1", "3-", "5-2"):
        with pytest.raises(Refused):
            wanted(wrong, 64)


def test_divergence_names_network_and_step_and_keeps_the_last_good_state(cli: Cli) -> None:
    result = cli(*TINY, "train.steps=400", "optim.lr=1e30", "train.log_every=1", "hydra.run.dir=run")
    assert result.code == 1
    assert "loss became NaN or infinite at step" in result.err
    assert "Traceback" not in result.err
    status = json.loads(Path("run/status.json").read_text())
    assert status["state"] == "diverged"
    names = [path.name for path in Path("run/checkpoints").iterdir()]
    assert f"diverged_step_{status['step']:08d}.safetensors" in names
    assert "last.safetensors" in names
    for line in Path("run/metrics.jsonl").read_text().splitlines():
        assert "NaN" not in line


def test_time_budget_ends_a_run_cleanly(cli: Cli) -> None:
    assert cli(*TINY, "train.steps=10000000", "train.minutes=0.002", "hydra.run.dir=run").code == 0
    status = json.loads(Path("run/status.json").read_text())
    assert status["state"] == "finished"
    assert status["reason"] == "train.minutes=0.002 spent"
    assert Path("run/checkpoints/last.safetensors").exists()


def test_cadence_zero_means_never(cli: Cli) -> None:
    never = ("train.log_every=0", "train.sample_every=0", "train.checkpoint_every=0")
    assert cli(*TINY, *never, "hydra.run.dir=run").code == 0
    assert not Path("run/checkpoints").exists()
    assert not Path("run/samples").exists()
    assert Path("run/metrics.jsonl").read_text() == ""
    assert json.loads(Path("run/summary.json").read_text())["steps"] == 12


def test_keep_leaves_the_newest_numbered_checkpoints(cli: Cli) -> None:
    assert cli(*TINY, "train.checkpoint_every=2", "train.keep=2", "hydra.run.dir=run").code == 0
    names = sorted(path.name for path in Path("run/checkpoints").iterdir())
    assert names == ["last.safetensors", "step_00000010.safetensors", "step_00000012.safetensors"]


def test_epoch_is_one_pass_by_the_discriminator(cli: Cli) -> None:
    run = [argument for argument in TINY if not argument.startswith("train.steps")]
    assert cli(*run, "train.epochs=3", "train.d_steps=2", "hydra.run.dir=run").code == 0
    summary = json.loads(Path("run/summary.json").read_text())
    assert summary["steps"] == 3 * (64 // 16) / 2
    assert summary["images_seen"] == 3 * 64


def test_same_seed_same_run_and_another_seed_another(cli: Cli) -> None:
    weights = []
    for number, seed in enumerate((0, 0, 1)):
        assert cli(*TINY, f"seed={seed}", f"hydra.run.dir={number}").code == 0
        with safe_open(f"{number}/checkpoints/last.safetensors", "pt") as file:
            weights.append(file.get_tensor("network/generator/layers.0.weight"))
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_run_is_never_written_over(cli: Cli) -> None:
    assert cli(*TINY, "hydra.run.dir=run").code == 0
    before = {path: path.read_bytes() for path in Path("run").rglob("*") if path.is_file()}
    again = cli(*TINY, "seed=5", "hydra.run.dir=run")
    assert again.code == 2
    assert "run holds a run already" in again.err
    assert before == {path: path.read_bytes() for path in Path("run").rglob("*") if path.is_file()}


def test_own_model_beside_the_user_trains_and_samples_with_trust(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "my_networks.py").write_text(
        "from torch import nn\n\n\n"
        "class G(nn.Sequential):\n"
        "    def __init__(self, latent_dim, sample_shape, width=4):\n"
        "        super().__init__(nn.Linear(latent_dim, width), nn.ReLU(), nn.Linear(width, sample_shape[0]))\n\n\n"
        "class D(nn.Sequential):\n"
        "    def __init__(self, sample_shape):\n"
        "        super().__init__(nn.Linear(sample_shape[0], 1), nn.Flatten(0))\n"
    )
    own = (
        "model=custom",
        "model.generator._target_=my_networks.G",
        "model.discriminator._target_=my_networks.D",
        "data=gaussian2d",
        "train.steps=2",
    )
    assert cli(*own, "+model.generator.width=5", "hydra.run.dir=run").code == 0
    with safe_open("run/checkpoints/last.safetensors", "pt") as file:
        assert file.get_tensor("network/generator/0.weight").shape == (5, 96)
    refused = cli("checkpoint=run", "out=o", command=sample)
    assert refused.code == 2
    assert "trust=[my_networks]" in refused.err
    assert cli("checkpoint=run", "out=o", "trust=[my_networks]", command=sample).code == 0
    wrong = cli(*own, "+model.generator.wdth=5")
    assert wrong.code == 2
    assert "did you mean width?" in wrong.err


def test_paths_are_quoted_for_hydra_and_nothing_else_is() -> None:
    assert entry.quote_free(["data.root=a b=c", "seed=1", "-m"]) == ["data.root='a b=c'", "seed=1", "-m"]
    assert entry.quote_free(["checkpoint=it's"]) == ["checkpoint='it\\'s'"]
    assert entry.quote_free(["out='x'", "resume=null"]) == ["out='x'", "resume=null"]
    assert entry.quote_free(["-m", "data.root=a,b c"]) == ["-m", "data.root='a','b c'"]


def test_exit_codes_of_signals_and_bugs(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["x"])

    def raising(error: BaseException) -> Callable[[], None]:
        def main() -> None:
            raise error

        return main

    assert entry.run(raising(Stopped(2)), "x") == 130
    assert entry.run(raising(Stopped(15)), "x") == 143
    assert entry.run(raising(KeyboardInterrupt()), "x") == 130
    assert entry.run(raising(OSError(28, "No space left on device", "somewhere")), "x") == 1
    assert "cannot write somewhere: No space left on device" in capsys.readouterr().err


def test_help_is_a_page_that_names_every_group_option(cli: Cli) -> None:
    from gan_cli.conf_dir import CONF_DIR

    page = cli("--help")
    assert page.code == 0
    for group in ("model", "loss", "penalty", "data", "device", "optim", "experiment"):
        options = sorted(path.stem for path in Path(CONF_DIR, group).glob("*.yaml"))
        assert f"{group}: {', '.join(options)}" in page.out
    assert len(page.out.splitlines()) < 70
    lists = tuple(f"{group}: " for group in ("data", "experiment"))  # of options, which grow
    ours = [line for line in page.out.splitlines() if not line.startswith(lists)]
    assert max(map(len, ours)) <= 120


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("gan-train device=", ["device=cpu", "device=cuda"]),
        ("gan-train loss=l", ["loss=lsgan"]),
        ("gan-train train.batch", ["train.batch_size="]),
        ("gan-train model=dcgan mod", ["model.", "model="]),
    ],
)
def test_tab_completion_offers_groups_options_and_keys(line: str, offered: list[str]) -> None:
    command = [sys.executable, "-c", "from gan_cli.commands.train import train; train()", "-sc", "query=bash"]
    shown = subprocess.run(
        command, env=os.environ | {"COMP_LINE": line}, capture_output=True, text=True, timeout=60, check=True
    )
    assert shown.stdout.split() == offered


def test_logging_does_not_outlive_the_run(cli: Cli) -> None:
    assert cli(*TINY, "hydra.run.dir=run").code == 0
    size = Path("run/train.log").stat().st_size
    logging.getLogger("gan_cli.train").info("later")
    assert cli(*TINY, "train.steps=2", "hydra.run.dir=other").code == 0
    assert "other" not in Path("run/train.log").read_text()[size:]


def test_samples_of_two_calls_do_not_mix_in_one_directory(run: Path, cli: Cli) -> None:
    assert cli("checkpoint=run", "indices=5,3,3,0-2", "out=o", command=sample).code == 0
    assert len(list(Path("o/images").iterdir())) == 5
    Path("o/images/mine.png").touch()
    assert cli("checkpoint=run", "num_images=2", "out=o", command=sample).code == 0
    assert sorted(path.name for path in Path("o/images").iterdir()) == ["00000000.png", "00000001.png", "mine.png"]


@pytest.mark.exhaustive(1)
@pytest.mark.parametrize("out", ["run/config.yaml", "run/config.yaml/x", "/proc/x"])
def test_a_place_that_cannot_be_written_is_refused(out: str, run: Path, cli: Cli) -> None:
    before = (run / "config.yaml").read_bytes()
    result = cli("checkpoint=run", f"out={out}", command=sample)
    assert result.code == 2
    assert f"cannot write to out={out}" in result.err
    assert (run / "config.yaml").read_bytes() == before


@pytest.mark.exhaustive(3)
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["hydra.run.dir="], "hydra.run.dir is empty"),
        (["hydra.run.dir=${x}"], "x"),
        (["data=folder", "data.root=${HOME}"], "HOME"),
        (["trust=os"], "trust must be a list: trust=[...]"),
        (["model.generator.widths=16"], "model.generator.widths must be a list"),
        (["allow_changes=[seed]"], "allow_changes is for resume=RUN"),
    ],
)
def test_slips_of_the_shell_are_told(arguments: list[str], words: str, cli: Cli, tmp_path: Path) -> None:
    result = cli(*arguments)
    assert result.code == 2
    assert words in result.err
    assert "Traceback" not in result.err
    assert list(tmp_path.iterdir()) == []


def test_sampling_refuses_sweeps_and_endless_ranges(run: Path, cli: Cli) -> None:
    assert "leave out -m" in cli("-m", "checkpoint=run", "seed=1,2", command=sample).err
    assert "can be drawn at once" in cli("checkpoint=run", "indices=0-9999999999", command=sample).err


@pytest.mark.exhaustive(1)
@pytest.mark.parametrize("other", ["hydra.run.dir=elsewhere", "init_from=run", "dry_run=true"])
def test_resuming_goes_with_no_other_beginning(other: str, run: Path, cli: Cli) -> None:
    result = cli("resume=run", other)
    assert result.code == 2
    assert other.split("=")[0] in result.err


def test_home_directory_may_be_written_as_a_tilde(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert cli(*TINY, "hydra.run.dir=~/run").code == 0
    assert (tmp_path / "home/run/status.json").exists()
    assert not (tmp_path / "~").exists()


def test_version_is_our_own(cli: Cli) -> None:
    from gan_cli import __version__

    assert cli("--version").out == f"gan-cli {__version__}\n"
    assert "HYDRA_FULL_ERROR" not in os.environ  # which the command sets while Hydra works


def test_a_reader_that_goes_away_does_not_end_a_run(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "from gan_cli.commands.train import train; train()", *TINY, "hydra.run.dir=run"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        said = process.stderr.read()
    assert (process.returncode, said) == (0, b"")
    assert json.loads((tmp_path / "run/status.json").read_text())["state"] == "finished"
