"""The tables of figures beside the presets are readable, complete, and right where a closed form says so."""

import re
from collections.abc import Callable
from math import log
from pathlib import Path

import pytest
import torch

from gan_cli.conf_dir import CONF_DIR
from gan_cli.errors import Refused
from gan_cli.losses import AdversarialLoss
from gan_cli.networks import DataFacts, build_discriminator, build_generator
from gan_cli.schema import Config
from gan_cli.streams import Streams
from gan_cli.targets import create
from gan_cli.verification.expectations import Expectations, Figure, expectations

Compose = Callable[..., Config]

MNIST, RGB64, PLANE = (1, 28, 28), (3, 64, 64), (2,)
SHAPES = {
    "cs231n_gan": MNIST,
    "cs231n_lsgan": MNIST,
    "cs231n_dcgan": MNIST,
    "d2l_gaussian": PLANE,
    "d2l_pokemon": RGB64,
    "ucla_dogs": RGB64,
    "utrgv_gan": MNIST,
    "utrgv_dcgan": MNIST,
}
BLIND = dict.fromkeys(SHAPES, (2 * log(2), log(2))) | {
    "cs231n_lsgan": (0.5, 0.5),  # ½(0 - 1)² + ½(0 - 0)², and ½(0 - 1)²
    "d2l_gaussian": (log(2), log(2)),
    "d2l_pokemon": (log(2), log(2)),
}


def table(name: str) -> Expectations:
    return expectations(name, [Path(CONF_DIR)])


def one(name: str, figure: str) -> Figure:
    (found,) = [known for known in table(name).figures if known.name == figure]
    return found


def test_every_course_preset_has_a_table_and_every_table_a_preset() -> None:
    folder = Path(CONF_DIR, "experiment")
    tables = {path.stem for path in folder.glob("*.toml")}
    assert tables == set(SHAPES)
    assert tables <= {path.stem for path in folder.glob("*.yaml")}


@pytest.mark.parametrize("name", SHAPES)
def test_parameter_counts_are_exact_and_those_of_the_networks(name: str, compose: Compose) -> None:
    config, streams = compose(f"experiment={name}"), Streams(0, torch.device("cpu"))
    with torch.device("meta"):
        networks = {
            "generator": build_generator(config, DataFacts(SHAPES[name]), streams),
            "discriminator": build_discriminator(config, DataFacts(SHAPES[name]), streams),
        }
    for player, network in networks.items():
        figure = one(name, f"parameters/{player}")
        assert figure.expected == sum(parameter.numel() for parameter in network.parameters())
        assert figure.tolerance == 0


@pytest.mark.parametrize("name", SHAPES)
def test_losses_of_a_blind_discriminator_are_the_closed_forms_and_the_presets(name: str, compose: Compose) -> None:
    loss: AdversarialLoss = create(dict(compose(f"experiment={name}").loss), "loss", ())
    blind = torch.zeros(8, dtype=torch.float64)
    for player, closed, got in zip(
        "DG", BLIND[name], (loss.discriminator(blind, blind), loss.generator(blind)), strict=True
    ):
        figure = one(name, f"blind/loss/{player}")
        assert figure.tolerance is not None
        assert figure.tolerance <= 1e-12
        assert figure.expected == pytest.approx(closed, abs=1e-12)
        assert float(got) == pytest.approx(closed, abs=1e-12)


KNOWN = re.compile(
    r"parameters/(generator|discriminator)|blind/loss/[DG]|fitted/(mean/\d|covariance/\d/\d)"
    r"|loss/[DG]|logits/(real|fake)|speed/images_per_s|(metrics|final)/\w+"
)


@pytest.mark.parametrize("name", SHAPES)
def test_every_figure_is_of_a_known_name_with_a_reason_and_every_form_is_stated(name: str, compose: Compose) -> None:
    whole = table(name)
    for quick in (False, True):
        form = whole.form(quick)
        assert form.seeds
        assert form.says
        compose(f"experiment={name}", *form.overrides)
        for figure in form.figures:
            assert KNOWN.fullmatch(figure.name), figure.name
            assert len(figure.why) > 10
            assert "TODO" not in figure.why
    # What the short form leaves of the figures is what needs no training to the end.
    assert len(whole.form(True).figures) <= len(whole.form(False).figures)


def test_a_preset_without_a_table_is_refused_with_those_that_have_one() -> None:
    with pytest.raises(Refused, match=r"experiment=ring8.* cs231n_gan"):
        table("ring8")
    with pytest.raises(Refused, match=r"did you mean .*cs231n_gan|known"):
        table("cs231n_gans")


WHOLE = """
source = "s"
[full]
says = "f"
seeds = [1]
[quick]
says = "q"
seeds = [1]
[[figures]]
name = "loss/D"
why = "because"
"""


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (WHOLE + "expected = 1.0\n", "loss/D has one of expected and tolerance"),
        (WHOLE + "tolerance = 1.0\n", "loss/D has one of expected and tolerance"),
        (WHOLE + "expected = 1.0\ntolerance = -1.0\n", "tolerance must be at least 0"),
        (WHOLE + "steps = [1]\n", "steps must have 2 entries"),
        (WHOLE + "expekted = 1.0\n", "expekted"),
        (WHOLE.replace('says = "f"', ""), "says"),
        (WHOLE.replace("[quick]", "[quack]"), "quack|quick"),
        ("source = [", "cannot be read as TOML"),
        ("", "source|full"),
    ],
)
def test_a_wrong_table_is_refused_with_what_is_wrong(text: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "mine.toml").write_text(text)
    with pytest.raises(Refused, match=words):
        expectations("mine", [tmp_path])


def test_the_first_directory_with_a_table_counts(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder / "experiment").mkdir(parents=True)
        (tmp_path / folder / "experiment" / "mine.toml").write_text(WHOLE.replace('"s"', f'"{folder}"'))
    assert expectations("mine", [tmp_path / "a", tmp_path / "b"]).source == "a"
    assert expectations("mine", [tmp_path / "none", tmp_path / "b"]).source == "b"
