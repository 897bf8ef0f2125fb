"""The documentation says what is true: its commands compose, its examples run, its tables are complete."""

import importlib
import json
import re
import shlex
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from conftest import TINY, Result

from gan_cli import __version__
from gan_cli.command_schema import SampleConf
from gan_cli.commands import sweep_space
from gan_cli.commands.sample import sample
from gan_cli.conf_dir import CONF_DIR
from gan_cli.parse import resolved, typed_as
from gan_cli.schema import Config

ROOT = Path(__file__).resolve().parents[1]
README, GUIDE, AXES, CHANGES = (
    (ROOT / name).read_text() for name in ("README.md", "docs/guide.md", "docs/axes.md", "CHANGELOG.md")
)
HELP = Path(CONF_DIR, "hydra/help/train.yaml").read_text()


def commands(text: str, program: str) -> list[list[str]]:
    """The arguments of every indented line that is a command, with its comment cut off."""
    lines = re.findall(rf"^ +(?:\$ )?{program} (.*)$", text, re.MULTILINE)
    return [shlex.split(re.split(r"\s{2,}|#", line)[0]) for line in lines]


PAGES = {path.relative_to(ROOT).as_posix(): path.read_text() for path in sorted((ROOT / "docs").rglob("*.md"))}
TRAINING = [
    arguments
    for text in (README, *PAGES.values(), HELP)
    for arguments in commands(text, "gan-train")
    if not re.search(r"resume=|--|slow_lsgan|custom|optim.lrr", " ".join(arguments))
]


def test_there_are_commands_to_check() -> None:
    assert len(TRAINING) >= 9


@pytest.mark.parametrize("arguments", TRAINING, ids=" ".join)
def test_every_training_command_composes(arguments: list[str], compose: Callable[..., Config]) -> None:
    compose(*(_first_cell(arguments) if "-m" in arguments else arguments))


def _first_cell(arguments: list[str]) -> list[str]:
    """One job of a sweep, with the keys of the sweep itself."""
    typed = [argument for argument in arguments if argument != "-m"]
    of_the_sweep = [argument for argument in typed if argument.startswith(("search", "sweep"))]
    space, fixed = sweep_space.space(
        [one for one in sweep_space.overrides(typed, {}, None) if one.key_or_group != "seed"]
    )
    return [*of_the_sweep, *fixed, *(max(sweep_space.ends({key: of}))[0] for key, of in space.items())]


VERIFIED = [
    arguments
    for text in (README, *PAGES.values())
    for arguments in commands(text, "gan-verify")
    if "--config-dir" not in arguments
]


@pytest.mark.parametrize("arguments", VERIFIED, ids=" ".join)
def test_every_preset_that_the_pages_verify_has_a_table(arguments: list[str], compose: Callable[..., Config]) -> None:
    (name,) = [argument.removeprefix("experiment=") for argument in arguments if argument.startswith("experiment=")]
    assert Path(CONF_DIR, "experiment", f"{name}.toml").exists()
    assert set(arguments) - {f"experiment={name}", "quick=true", "data.root=pokemon.zip", "data.root=DOGS"} == set()


@pytest.mark.parametrize("arguments", commands(README, "gan-sample"), ids=" ".join)
def test_every_sampling_command_is_typed(arguments: list[str]) -> None:
    base = {"num_images": 1, "indices": None, "seed": 0, "label": None, "out": "o", "weights": None, "trust": []}
    typed = dict(argument.split("=") for argument in arguments)
    if "trust" in typed:
        typed["trust"] = [typed["trust"].strip("[]")]
    device = {"device": {"type": "cpu", "precision": "fp32", "threads": None}}
    typed_as(SampleConf, resolved(base | device | typed))


@pytest.mark.parametrize(
    "group", ["game", "model", "loss", "penalty", "augment", "data", "optim", "device", "experiment"]
)
def test_readme_names_every_option_of_every_group(group: str) -> None:
    row = next(line for line in README.splitlines() if line.startswith(f"| `{group}=`"))
    for option in Path(CONF_DIR, group).glob("*.yaml"):
        assert f"`{option.stem}`" in row


def test_every_command_is_documented_in_the_readme_and_has_help() -> None:
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    for script in scripts:
        assert script in README
        assert Path(CONF_DIR, "hydra/help", f"{script.removeprefix('gan-')}.yaml").exists()


def test_makefile_has_every_target_that_is_spoken_of() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {"help", "install", "train", "check", "test", "test-all", "bench"} <= targets
    for text in (README, (ROOT / "CONTRIBUTING.md").read_text()):
        assert set(re.findall(r"`?make ([a-z-]+)", text)) <= targets


def test_links_within_the_repository_lead_somewhere() -> None:
    for name in ("README.md", "CONTRIBUTING.md", *PAGES):
        text = re.sub(r"```.*?```", "", (ROOT / name).read_text(), flags=re.DOTALL)
        for link, place in re.findall(r"\]\((?!http)([^)#]*)(?:#([^)]+))?\)", text):
            target = (ROOT / name).parent.joinpath(link) if link else ROOT / name
            assert target.exists(), (name, link)
            assert not place or place in anchors(target.read_text()), (name, link, place)


def anchors(text: str) -> set[str]:
    """What the headings of a page can be linked to as."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_changelog_speaks_of_this_version() -> None:
    assert f"## {__version__}" in CHANGES


def python_block(text: str, name: str) -> str:
    return re.search(rf"```python\n(# {name}\n.*?)```", text, re.DOTALL)[1]  # type: ignore[index]


@pytest.fixture
def beside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A directory whose Python files can be named, and are forgotten afterwards."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield tmp_path
    for name in ("my_models", "my_losses"):
        sys.modules.pop(name, None)


def test_networks_of_the_readme_train_and_sample(cli: Callable[..., Result], beside: Path) -> None:
    (beside / "my_models.py").write_text(python_block(README, "my_models.py"))
    typed = next(arguments for arguments in commands(README, "gan-train") if "model=custom" in arguments)
    assert cli(*typed, "train.steps=2", "data.limit=128", "hydra.run.dir=run").code == 0
    drawn = next(arguments for arguments in commands(README, "gan-sample") if "trust=[my_models]" in arguments)
    result = cli(*("checkpoint=run" if "checkpoint" in argument else argument for argument in drawn), command=sample)
    assert result.code == 0, result.err
    assert Path("drawn/grid.png").exists()


def loss_of_the_page(beside: Path) -> None:
    """The two files that the page tells one to write, and no other."""
    (beside / "my_losses.py").write_text(python_block(AXES, "my_losses.py"))
    option = re.search(r"mine/loss/squared_hinge\.yaml:\n((?: {8}.*\n)+)", AXES)
    assert option is not None
    (beside / "mine/loss").mkdir(parents=True)
    (beside / "mine/loss/squared_hinge.yaml").write_text(re.sub(r"^ {8}", "", option[1], flags=re.MULTILINE))


def test_a_loss_is_added_by_the_two_files_of_the_page(cli: Callable[..., Result], beside: Path) -> None:
    loss_of_the_page(beside)
    (typed,) = [arguments for arguments in commands(AXES, "gan-train") if "loss=squared_hinge" in arguments]
    result = cli(*typed, *TINY)
    assert result.code == 0, result.err
    # It takes part in sweeps, beside ours and with every penalty, and its keys are checked.
    sweep = ("-m", "loss=squared_hinge,hinge", "penalty=none,gp,r1r2", "train.steps=2")
    result = cli("--config-dir", "mine", *sweep, *TINY[:-4])
    assert result.code == 0, result.err
    assert len(list(beside.glob("outputs/multirun/*/*/*/summary.json"))) == 6
    for wrong, words in (("loss.margin=0", "loss.margin must be greater than 0"), ("loss.margin=x", "a number")):
        result = cli("--config-dir", "mine", "loss=squared_hinge", wrong, *TINY)
        assert (result.code, words in result.err) == (2, True), result.err


@pytest.mark.slow
def test_a_run_with_a_loss_of_ones_own_goes_on_and_is_sampled_from(cli: Callable[..., Result], beside: Path) -> None:
    loss_of_the_page(beside)
    own = ("--config-dir", "mine")
    assert cli(*own, "loss=squared_hinge", *TINY, "train.steps=4", "hydra.run.dir=run").code == 0
    trusted = ("resume=run", "trust=[my_losses]")
    for typed, steps in (((*own, *trusted), 6), ((*trusted, *own), 8), (("--config-dir=mine", *trusted), 10)):
        result = cli(*typed, f"train.steps={steps}")
        assert result.code == 0, result.err
    assert json.loads(Path("run/status.json").read_text())["step"] == 10
    result = cli(*own, "resume=run", "train.steps=12")
    assert (result.code, "trust=[my_losses]" in result.err) == (2, True)
    assert cli("checkpoint=run", "out=drawn", command=sample).code == 0  # the generator needs no loss


def test_the_loss_of_the_page_is_what_its_docstring_says(beside: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loss_of_the_page(beside)
    monkeypatch.syspath_prepend(str(beside))
    loss = importlib.import_module("my_losses").SquaredHinge(margin=2.0)
    real, fake = torch.tensor([3.0, 1.0, -1.0]), torch.tensor([-3.0, 0.0])
    assert float(loss.discriminator(real, fake)) == pytest.approx((0 + 1 + 9) / 3 + (0 + 4) / 2)
    assert float(loss.generator(fake)) == 1.5


BASE = "from gan_cli.losses import AdversarialLoss\n\n"
HALF = (
    BASE + "class Other(AdversarialLoss):\n    def generator(self, fake_logits, real_logits=None):\n        return 0\n"
)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("class Other:\n    pass\n", "Other must derive from gan_cli.losses.AdversarialLoss"),
        ("def Other():\n    raise SystemExit(9)\n", "Other must derive from gan_cli.losses.AdversarialLoss"),
        (HALF, "Other must define discriminator"),
    ],
)
def test_a_loss_that_is_none_is_refused_with_what_it_should_be(
    text: str, words: str, cli: Callable[..., Result], beside: Path
) -> None:
    (beside / "my_losses.py").write_text(text)
    (beside / "mine/loss").mkdir(parents=True)
    (beside / "mine/loss/other.yaml").write_text("_target_: my_losses.Other\n")
    result = cli("--config-dir", "mine", "loss=other", *TINY)
    assert result.code == 2
    assert words in result.err


def test_preset_of_the_guide_composes(cli: Callable[..., Result], beside: Path) -> None:
    preset = re.search(r"mine/experiment/slow_lsgan\.yaml:\n((?: {8}.*\n)+)", GUIDE)
    assert preset is not None
    (beside / "mine/experiment").mkdir(parents=True)
    (beside / "mine/experiment/slow_lsgan.yaml").write_text(re.sub(r"^ {8}", "", preset[1], flags=re.MULTILINE))
    result = cli("--config-dir", "mine", "experiment=slow_lsgan", "--cfg", "job")
    assert result.code == 0
    assert "LSGAN" in result.out
    assert "lr: 0.0002" in result.out
