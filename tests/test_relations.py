"""What contradicts itself is refused before anything is built, with overrides that mend it."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import TINY, Result, outcomes

from gan_cli.build import build
from gan_cli.conf_dir import CONF_DIR
from gan_cli.errors import Incompatible, Refused
from gan_cli.run_directory import RunDirectory
from gan_cli.schema import Config

Compose = Callable[..., Config]
Cli = Callable[..., Result]
Overrides = tuple[str, ...]

POINTS = (*TINY, "train.steps=2")
LABELLED = (*POINTS[2:], "data=ring8", "data.num_samples=64")
IMAGES = (*POINTS[2:], "data=mnist", "data.split=test", "data.limit=64")
PACKED = "model.discriminator.packing=4"
UNROLLED = (*POINTS, "train.unroll=2")
CLIPS = ("optim.discriminator.weight_clip=0.1", "optim.clip_norm=1")

# What contradicts itself, words of the refusal, and the mends that it names, each of one override or several.
CONTRADICTIONS: dict[str, tuple[Overrides, str, list[Overrides]]] = {
    "model": (
        ("model=dcgan", "data=ring8", "train.batch_size=16", "data.limit=64", "train.steps=2", "latent.dim=4"),
        "this model takes image data, and the data are vectors",
        [("model=mlp",), ("data=mnist",)],
    ),
    "augment": ((*POINTS, "augment=diffaugment"), "augment changes images", [("augment=none",)]),
    "critic-flip": ((*POINTS, "critic.flip=true"), "critic.flip mirrors images", [("critic.flip=false",)]),
    "data-flip": ((*POINTS, "data.flip=true"), "data.flip mirrors images", [("data.flip=false",)]),
    "extractor": (
        (*POINTS, "evaluate.extractor=random_v1"),
        "evaluate.extractor=random_v1 looks at images",
        [("evaluate.extractor=auto",)],
    ),
    "packed-labels": (
        (*LABELLED, PACKED, "model.conditional=concat"),
        "packing judges several samples as one",
        [("model.discriminator.packing=1",), ("model.conditional=none",)],
    ),
    "packed-projection": (
        (*IMAGES, PACKED, "model.conditional=projection"),
        "packing judges several samples as one",
        [("model.discriminator.packing=1",), ("model.conditional=none",)],
    ),
    "packs": (
        (*POINTS, PACKED, "train.batch_size=18"),
        "train.batch_size=18 cannot be divided into packs of 4",
        [("train.batch_size=16",)],
    ),
    "large-pack": (
        (*POINTS, "model.discriminator.packing=32"),
        "train.batch_size=16 cannot be divided into packs of 32",
        [("train.batch_size=32",)],
    ),
    "ragged-packs": (
        (*POINTS, PACKED, "data.drop_last=false"),
        "packing needs whole batches",
        [("data.drop_last=true",), ("model.discriminator.packing=1",)],
    ),
    **{
        f"unrolled-{'-'.join(clips)}": (
            (*UNROLLED, *clips),
            "train.unroll differentiates through the discriminator's updates",
            [("train.unroll=0",), ("optim.discriminator.weight_clip=null", "optim.clip_norm=null")],
        )
        for clips in (CLIPS[:1], CLIPS[1:])
    },
}


def refusal(compose: Compose, *overrides: str) -> str:
    with pytest.raises(Incompatible) as refused:
        compose(*overrides)
    return str(refused.value)


def advanced(config: Config, path: Path) -> None:
    """A run of this configuration takes a step."""
    run = build(config, RunDirectory(path))
    run.advance()
    run.meter.check()


@pytest.mark.exhaustive(4)
@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_a_contradiction_is_refused_with_overrides_of_which_each_mends_it(
    name: str, compose: Compose, tmp_path: Path
) -> None:
    asked, words, mends = CONTRADICTIONS[name]
    why = refusal(compose, *asked)
    assert words in why
    advice = why.split(words, 1)[1]
    named = re.findall(r"[\w.]+=\w+(?:\.\d+)?", advice)
    assert [override for override in named if override != "data.drop_last=false"] == [
        override for mend in mends for override in mend
    ]
    for mend in mends:
        advanced(compose(*asked, *mend), tmp_path)


@pytest.mark.exhaustive(2)
@pytest.mark.parametrize(
    "overrides",
    [
        (*POINTS, "critic.noise=0.1"),  # which is for vectors too
        (*POINTS, "augment=none"),
        (*POINTS, PACKED),
        (*LABELLED, "model.conditional=projection", "data.drop_last=false"),
        (*IMAGES, PACKED, "critic.flip=true", "data.flip=true", "augment=diffaugment"),
        (*UNROLLED, PACKED),
        (*POINTS, *CLIPS),
    ],
    ids=" ".join,
)
def test_what_only_looks_like_a_contradiction_trains(overrides: Overrides, compose: Compose, tmp_path: Path) -> None:
    advanced(compose(*overrides), tmp_path)


@pytest.mark.parametrize("packing", ["0", "-2", "1.5", "two", "[2]"])
def test_packs_of_a_network_of_ones_own_are_counted_in_whole_numbers(packing: str, compose: Compose) -> None:
    own = ("model=custom", "model.generator._target_=mine.G", "model.discriminator._target_=mine.D", *TINY[:2])
    assert compose(*own, "+model.discriminator.packing=2").model.discriminator["packing"] == 2
    with pytest.raises(Refused, match=r"^model\.discriminator\.packing must be a whole number from 1 up, got "):
        compose(*own, f"+model.discriminator.packing={packing}")


def test_an_augmentation_of_ones_own_may_be_for_vectors(compose: Compose) -> None:
    assert compose(*POINTS, "augment._target_=mine.Jitter").augment == {"_target_": "mine.Jitter"}


def test_contradictions_are_told_before_torch_is_imported() -> None:
    script = f"""
import sys
import gan_cli.commands.sample, gan_cli.commands.train
from hydra import compose, initialize_config_dir
from gan_cli.errors import Incompatible
from gan_cli.parse import parse, split
with initialize_config_dir(config_dir={CONF_DIR!r}, version_base="1.3"):
    for overrides in {[list(asked) for asked, _, _ in CONTRADICTIONS.values()]!r}:
        try:
            parse(split(compose("train", overrides=overrides))[1])
        except Incompatible:
            continue
        sys.exit(f"not refused: {{overrides}}")
sys.exit("torch was imported" if "torch" in sys.modules else 0)
"""
    finished = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (finished.returncode, finished.stderr) == (0, "")


@pytest.mark.parametrize("name", ["critic-flip", "ragged-packs", "packed-labels"])
def test_a_refused_run_says_so_in_a_line_and_leaves_nothing(name: str, cli: Cli, tmp_path: Path) -> None:
    asked, words, _ = CONTRADICTIONS[name]
    result = cli(*asked)
    assert (result.code, result.out) == (2, "")
    assert words in result.err
    assert len(result.err.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_contradictions_in_a_sweep_are_empty_cells_and_no_failures(cli: Cli, tmp_path: Path) -> None:
    quiet = ("train.steps=1", "train.sample_every=0", "train.checkpoint_every=0")
    axes = ("train.unroll=0,1", "optim.clip_norm=null,1", "model.discriminator.packing=1,3")
    result = cli("-m", *TINY, *quiet, *axes)
    assert result.code == 0, result.err
    # Of 8 cells the 4 in packs of 3, of which 16 samples have no whole number, and of the others the unrolled, clipped.
    jobs = outcomes().values()
    assert sorted(state for state, _ in jobs) == ["finished"] * 3 + ["refused"] * 5
    assert sum("cannot be divided into packs of 3" in reason for _, reason in jobs) == 4
    assert sum("train.unroll differentiates" in reason for _, reason in jobs) == 1


def test_each_contradiction_is_an_empty_cell_of_a_sweep(cli: Cli, tmp_path: Path) -> None:
    quiet = ("train.steps=1", "train.sample_every=0", "train.checkpoint_every=0", "train.log_every=0")
    axes = ("critic.flip=true", "augment=none,diffaugment", "model=mlp,dcgan")
    result = cli("-m", *TINY[:2], *quiet, *axes)
    assert result.code == 0, result.err
    jobs = outcomes().values()
    assert [state for state, _ in jobs] == ["refused"] * 4
    for words in ("augment changes images", "critic.flip mirrors images", "this model takes image data"):
        assert any(words in reason for _, reason in jobs)
