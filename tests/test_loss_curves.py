"""A run that ends leaves a plot of its losses, where there are enough of them for a curve."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import TINY, Result

from gan_cli import plots
from gan_cli.images import read_png
from gan_cli.report import loss_curves


def lines(count: int) -> list[str]:
    told = [{"step": step, "loss/D": 1 / step, "loss/G": float(step)} for step in range(1, count + 1)]
    return [json.dumps(line) for line in (*told, {"step": count, "metrics/kid": 5.0, "floor": 0.1})]


def test_curves_are_the_logged_losses_by_step() -> None:
    found = loss_curves(lines(12))
    assert found == {
        "loss/D": [(step, 1 / step) for step in range(1, 13)],
        "loss/G": [(step, float(step)) for step in range(1, 13)],
    }
    assert loss_curves(lines(9)) == {}
    assert loss_curves([]) == {}


def test_lines_are_drawn_at_their_heights_in_colors_of_their_own() -> None:
    flat = plots.lines({"low": [(0, 0.0), (10, 0.0)], "high": [(0, 1.0), (10, 1.0)]}, "step")
    assert flat.shape == (3, 400, 700)
    inner = flat[:, :, 200:450].int()  # beside the legend
    red, blue = inner[0] - inner[2], inner[2] - inner[0]
    rows = [int((color > 60).sum(1).argmax()) for color in (red, blue)]
    assert rows[0] > 200 > rows[1]  # the first below the second
    with_gap = plots.lines({"one": [(0, 1.0), (1, float("nan")), (2, 2.0)]}, "step")
    assert with_gap.shape == flat.shape


def test_a_finished_run_has_the_plot_and_one_that_goes_on_draws_it_anew(cli: Callable[..., Result]) -> None:
    asked = (*TINY, "train.log_every=1", "train.sample_every=0", "hydra.run.dir=run")
    assert cli(*asked, "train.steps=12").code == 0
    first = read_png(Path("run/losses.png"))
    assert first is not None
    assert cli("resume=run", "train.steps=20").code == 0
    second = read_png(Path("run/losses.png"))
    assert second is not None
    assert second.shape == first.shape
    assert (second != first).any()


@pytest.mark.parametrize("steps", [5, 9])
def test_a_run_of_few_lines_has_none(steps: int, cli: Callable[..., Result]) -> None:
    assert cli(*TINY, "train.log_every=1", f"train.steps={steps}", "hydra.run.dir=run").code == 0
    assert not Path("run/losses.png").exists()
