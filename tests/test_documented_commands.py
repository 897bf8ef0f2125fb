"""Every command of README and docs is one that a shell takes; the short ones run, the others say how long they take."""

import importlib
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import TINY, Result
from documented import ROOT, Command, commands

from gan_cli import images
from gan_cli.data import mnist

Cli = Callable[..., Result]

PAGES = ["README.md", *sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").rglob("*.md"))]
ALL = [command for page in PAGES for command in commands(page)]
SCRIPTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]

# What works on a run that is there is short, and so is training a generator of six numbers.
SHORT = re.compile(
    r"gan-(sample|evaluate|doctor|compare|export) .*|(torchrun .* )?gan-train resume=.*"
    r"|gan-train experiment=d2l_gaussian.*|python benchmarks/(\w+\.py --table|(kid|asked_digits)\.py .*)"
)
# The quick tests have one of a kind.
SLOW = re.compile(
    r"(python|torchrun) .*|.*( experiment=|walk=|\.onnx|num_images=10000|checkpoints out|outputs/lsgan|epochs=20"
    r"|resume=outputs/DATE/TIME$|=PICTURES|trust=|dcgan64|multirun/(losses|ring|shown|DATE))"
)
AMOUNT = "an?|one|two|three|four|five|six|seven|ten|twelve|twenty|few|some|many"
TIME = re.compile(
    rf"\b(({AMOUNT}) (minute|hour)s?|an? day|(minutes|hours|days) on|or hours|days again|a few seconds)\b"
    r"|\b(as long as its|how long it takes depends on)\b|--time=\d",
    re.IGNORECASE,
)


def answers_at_once(command: Command) -> bool:
    return bool(command.answer or SHORT.fullmatch(command.text))


RUN = {command.text: command for command in reversed(ALL) if answers_at_once(command)}  # each once
# Small networks are measured here; a reader's take longer.
LONG = [command for command in ALL if command.text not in RUN and not command.text.startswith("tensorboard")]
LONG += [command for command in ALL if command.text.startswith(("gan-evaluate", "python benchmarks/kid"))]


def test_commands_are_found_on_every_page_that_shows_some() -> None:
    assert {page for page in PAGES if "    gan-" in (ROOT / page).read_text()} <= {command.page for command in ALL}
    assert {command.words[0] for command in ALL} > {*SCRIPTS, "make", "python", "torchrun", "tensorboard"}
    assert len(ALL) >= 150
    assert len(RUN) >= 40


def test_each_is_something_that_a_shell_reads(tmp_path: Path) -> None:
    (tmp_path / "commands.sh").write_text("\n".join(command.text for command in ALL))
    read = subprocess.run(["bash", "-n", "commands.sh"], cwd=tmp_path, capture_output=True, text=True)
    assert (read.returncode, read.stderr) == (0, "")


@pytest.mark.parametrize("command", LONG, ids=str)
def test_what_takes_long_says_how_long(command: Command) -> None:
    prose = re.sub(r"`[^`]*`", "", f"{command.comment}\n{command.around}").replace("\n", " ")
    assert TIME.search(prose), f"how long does it take?\n{prose}"


DIGITS = (
    *("data=mnist", "data.limit=400", "train.batch_size=50", "train.epochs=2", "train.checkpoint_every=8"),
    *("model.conditional=concat", "model.generator.widths=[8]", "model.discriminator.widths=[8]"),
    *("latent.dim=4", "latent.distribution=normal", "train.sample_every=0"),
    *("train.evaluate_every=8", "evaluate.num_images=100", "evaluate.final_images=100"),
)
FEW = ("train.steps=4", "train.checkpoint_every=2", "train.evaluate_every=0", "evaluate.final_images=0")
STEPS = {8: 500, 16: 1000}  # what the pages call the checkpoints
RUNS = ("RUN", "outputs/DATE/TIME", "outputs/gan", "outputs/lsgan", "outputs/dcgan", "outputs/cgan", "outputs/r3gan")
SWEEPS = ("losses", "ring", "shown", "default", "found", "DATE/TIME")


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What several commands are run on, made by the first that asks for it."""
    return tmp_path_factory.mktemp("kept")


def run_for(text: str, cli: Cli, kept: Path) -> Path:
    """A run as the page supposes it: of digits by class; of pictures in a folder; with networks of the reader's own."""
    if "data.root=PICTURES" in text:
        name, overrides = "pictures", (*DIGITS, *FEW, "data=folder", "~data.limit", "data.root=PICTURES")
    elif "trust=[my_models]" in text:
        readme = (ROOT / "README.md").read_text()
        Path("my_models.py").write_text(re.search(r"```python\n(# my_models.py\n.*?)```", readme, re.DOTALL)[1])  # type: ignore[index]
        typed = next(command.words[1:] for command in ALL if "model=custom" in command.text)
        name, overrides = "own", (*typed, *FEW, "data.limit=500")
    else:
        name, overrides = "digits", DIGITS
    if not (kept / name).exists():
        result = cli(*overrides, "hydra.run.dir=made")
        assert result.code == 0, result.err
        for step, named in STEPS.items() if overrides == DIGITS else ():
            Path(f"made/checkpoints/step_{step:08}.safetensors").rename(f"made/checkpoints/step_{named:08}.safetensors")
        Path("made").rename(kept / name)
    return kept / name


def sweep(cli: Cli, kept: Path) -> Path:
    if not (kept / "sweep").exists():
        measured = ("train.evaluate_every=6", "train.sample_every=0", "evaluate.final_images=100")
        result = cli("-m", *TINY[:-2], *measured, "loss=bce,lsgan", "sweep.name=made")
        assert result.code == 0, result.err
        Path("outputs/multirun/made").rename(kept / "sweep")
    return kept / "sweep"


@pytest.fixture
def beside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the pages take for granted in the current directory: pictures, the repository's files."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    digits = mnist.load("test")
    for number, (digit, label) in enumerate(zip(digits.samples[:60], digits.labels[:60], strict=True)):
        (tmp_path / f"PICTURES/{label}").mkdir(parents=True, exist_ok=True)
        (tmp_path / f"PICTURES/{label}/{number}.png").write_bytes(images.png(digit))
    (tmp_path / "benchmarks").symlink_to(ROOT / "benchmarks")
    (tmp_path / "tests/doctor/logs").mkdir(parents=True)
    (tmp_path / "tests/doctor/logs/NAME").symlink_to(ROOT / "tests/doctor/logs/healthy_dcgan")


def activated() -> dict[str, str]:
    """The environment of a shell in which the programs of this Python are found."""
    path = os.pathsep.join((sysconfig.get_path("scripts"), os.environ["PATH"]))
    return os.environ | {"PATH": path, "OMP_NUM_THREADS": "1"}


@pytest.fixture
def typed(cli: Cli, kept: Path, beside: None) -> Callable[[Command], Result]:
    """Types a command where a reader would, with all that it names in its place."""

    def run(command: Command) -> Result:
        if match := re.match(r"after (gan-evaluate .*)", command.comment):
            assert run(Command(command.page, match[1], "", "", "")).code == 0
        for place in {word for word in RUNS if not Path(word).exists() and re.search(rf"\b{word}\b", command.text)}:
            shutil.copytree(run_for(command.text, cli, kept), place)
        for place in {word for word in SWEEPS if f"outputs/multirun/{word}" in command.text}:
            shutil.copytree(sweep(cli, kept), f"outputs/multirun/{place}")
        program, *arguments = command.words
        if program in SCRIPTS:
            module, _, function = SCRIPTS[program].partition(":")
            return cli(*arguments, command=getattr(importlib.import_module(module), function))
        done = subprocess.run(command.words, capture_output=True, text=True, env=activated(), timeout=300)
        return Result(done.returncode, done.stdout, done.stderr)

    return run


@pytest.mark.exhaustive(20)
@pytest.mark.parametrize(
    "text", [pytest.param(text, marks=[pytest.mark.slow] if SLOW.match(text) else []) for text in RUN]
)
def test_what_is_short_runs_as_it_stands(text: str, typed: Callable[[Command], Result]) -> None:
    command = RUN[text]
    result = typed(command)
    if command.answer:
        assert (result.code, " ".join(result.err.split())) == (2, command.answer)
    else:
        assert result.code == 0, result.err
        assert result.out
        if out := re.search(r"\bout=(\S+)", text):
            assert Path(out[1]).exists()


@pytest.mark.slow
def test_tensorboard_starts_as_it_stands(tmp_path: Path) -> None:
    (text,) = {command.text for command in ALL if command.text.startswith("tensorboard")}
    with subprocess.Popen(text.split(), cwd=tmp_path, env=activated(), stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        said = next((line for line in server.stderr if "http://" in line), "")
        server.terminate()
    assert "Press CTRL+C to quit" in said
