"""What gan-sample draws of samples that are points: ways, walks, sheets and a run's history, among the samples."""

import csv
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch
from conftest import TINY, Result
from PIL import Image
from torch import Tensor

from gan_cli import plots
from gan_cli.commands.sample import sample

Cli = Callable[..., Result]

RUN = (*TINY, "latent.distribution=normal", "optim.lr=0.02", "train.checkpoint_every=4", "hydra.run.dir=run")


@dataclass
class Plots:
    """What was plotted: groups of points, and lines."""

    groups: list[dict[str, Tensor]] = field(default_factory=list)
    ways: list[list[Tensor]] = field(default_factory=list)
    framings: list[Tensor | None] = field(default_factory=list)


@pytest.fixture
def plotted(monkeypatch: pytest.MonkeyPatch) -> Plots:
    seen, scatter = Plots(), plots.scatter

    def noted(
        groups: Mapping[str, Tensor], title: str = "", framing: Tensor | None = None, ways: Iterable[Tensor] = ()
    ) -> Tensor:
        seen.groups.append(dict(groups))
        seen.ways.append(list(ways))
        seen.framings.append(framing)
        return scatter(groups, title, framing, seen.ways[-1])

    monkeypatch.setattr(plots, "scatter", noted)
    return seen


def drawn(cli: Cli, *arguments: str, out: str = "o") -> None:
    result = cli("checkpoint=run", f"out={out}", *arguments, command=sample)
    assert result.code == 0, result.err


def samples(cli: Cli, *arguments: str) -> Tensor:
    """Samples as gan-sample writes them by themselves."""
    drawn(cli, *arguments, out="plain")
    return written()


def written() -> Tensor:
    with Path("plain/samples.csv").open() as file:
        rows = list(csv.DictReader(file))
    return torch.tensor([[float(row["x0"]), float(row["x1"])] for row in rows])


def test_a_way_goes_from_sample_to_sample_among_the_others(cli: Cli, plotted: Plots) -> None:
    assert cli(*RUN).code == 0
    plotted.groups.clear()
    plotted.ways.clear()
    drawn(cli, "interpolate=5", "indices=3,1,7")
    (groups,), (ways,) = plotted.groups, plotted.ways
    ends = dict(zip((1, 3, 7), samples(cli, "indices=1,3,7"), strict=True))
    assert [tuple(way.shape) for way in ways] == [(5, 2)] * 2
    for way, (start, end) in zip(ways, ((3, 1), (1, 7)), strict=True):
        assert torch.equal(way[[0, -1]], torch.stack([ends[start], ends[end]]))
        assert (way[1:] - way[:-1]).norm(dim=1).min() > 0
    assert torch.equal(groups["samples"], samples(cli, "num_images=1000"))
    assert torch.equal(groups["on the way"], torch.cat(ways))
    with Image.open("o/interpolation.png") as picture:
        assert picture.size == (500, 500)


def test_a_walk_moves_through_its_samples_at_a_fixed_rate(cli: Cli, plotted: Plots) -> None:
    assert cli(*RUN).code == 0
    plotted.groups.clear()
    drawn(cli, "walk=0.64")
    assert len(plotted.groups) == 16  # 2 frames for each of 8 legs
    stops = samples(cli, "num_images=128")
    for leg in range(8):
        torch.testing.assert_close(plotted.groups[2 * leg]["walking"], stops[16 * leg : 16 * leg + 16])
    with Image.open("o/walk.webp") as animation:
        assert animation.n_frames == 16
        assert animation.info["loop"] == 0


def test_a_sheet_between_four_samples_has_them_at_its_corners(cli: Cli, plotted: Plots) -> None:
    assert cli(*RUN).code == 0
    plotted.ways.clear()
    drawn(cli, "sheet=4", "indices=2,5,9,11")
    (ways,) = plotted.ways
    rows, columns = torch.stack(ways[:4]), torch.stack(ways[4:])
    assert torch.equal(rows, columns.transpose(0, 1))
    torch.testing.assert_close(rows[[0, 0, -1, -1], [0, -1, 0, -1]], samples(cli, "indices=2,5,9,11"))


def test_a_sheet_of_two_dimensional_latents_covers_the_samples_evenly(cli: Cli, plotted: Plots) -> None:
    assert cli(*RUN, "latent.dim=2").code == 0
    plotted.ways.clear()
    drawn(cli, "sheet=30")
    laid = torch.stack(plotted.ways[-1][:30]).flatten(0, 1)
    independent = samples(cli, "num_images=4000")
    torch.testing.assert_close(laid.mean(0), independent.mean(0), rtol=0, atol=4 * float(independent.std()) / 4000**0.5)
    torch.testing.assert_close(laid.std(0), independent.std(0), rtol=0.1, atol=0)


def test_a_history_shows_the_same_samples_of_each_checkpoint_on_the_same_axes(cli: Cli, plotted: Plots) -> None:
    assert cli(*RUN).code == 0
    plotted.groups.clear()
    plotted.framings.clear()
    drawn(cli, "history=true", "indices=0-4")
    steps = sorted(Path("run/checkpoints").glob("step_*"))
    assert len(steps) == len(plotted.groups) == 3
    (framing, *others), groups = list(plotted.framings), list(plotted.groups)
    assert framing is groups[-1]["samples"]
    assert all(framing is other for other in others)
    for number, step in enumerate(steps):
        result = cli(f"checkpoint={step}", "indices=0-4", "out=plain", command=sample)
        assert result.code == 0
        assert torch.equal(groups[number]["the same few"], written())
    with Image.open("o/history.webp") as animation:
        assert animation.n_frames == 3
    with Image.open("o/history.png") as picture:
        assert picture.size == (3 * 502 + 2, 504)
