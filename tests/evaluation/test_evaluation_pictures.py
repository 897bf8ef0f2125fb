"""The pictures show what they say: the neighbor that was copied, the pair that is alike, the class in its row."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from gan_cli import images, plots
from gan_cli.data.dataset import Dataset
from gan_cli.evaluation import pictures
from gan_cli.evaluation.memorization import Neighbors
from gan_cli.evaluation.reference import Reference, Split
from gan_cli.evaluation.scores import Compared
from gan_cli.evaluation.seen import Seen
from gan_cli.metrics.frechet import Moments
from gan_cli.metrics.prdc import prdc


def noise(count: int, channels: int = 1, seed: int = 0) -> Tensor:
    random = torch.Generator().manual_seed(seed)
    return torch.randint(1, 256, (count, channels, 56, 56), generator=random, dtype=torch.uint8)


def normal(count: int, features: int, seed: int) -> Tensor:
    return torch.randn(count, features, generator=torch.Generator().manual_seed(seed))


def cells(grid: Tensor, columns: int = 8) -> Tensor:
    """The images (N, C, 56, 56) of a grid, of which none is enlarged."""
    rows = (grid.shape[1] - 2) // 58
    assert grid.shape[1:] == (58 * rows + 2, 58 * columns + 2)
    return torch.stack(
        [grid[:, 58 * i + 2 : 58 * i + 58, 58 * j + 2 : 58 * j + 58] for i in range(rows) for j in range(columns)]
    )


def reference(embedding: Tensor, shares: Tensor | None = None) -> Reference:
    compared = Compared(embedding, Moments.of(embedding), shares, False)
    nothing = torch.zeros(0, dtype=torch.int64)
    return Reference(compared, embedding[:0], {}, None, Split(nothing, nothing), {})


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("count", [40, 32, 11, 2])
def test_each_sample_stands_above_its_neighbor(count: int, channels: int) -> None:
    data, drawn = Dataset(noise(50, channels)), noise(count, channels, seed=1)
    places = torch.arange(count) * 7 % 50
    mirrored = torch.arange(count) % 3 == 0
    shown = cells(pictures.neighbors(drawn, Neighbors(torch.zeros(count), places, mirrored), data))
    assert len(shown) == 16 * -(-min(count, 32) // 8)
    for i in range(min(count, 32)):
        above = 16 * (i // 8) + i % 8
        original = data.samples[places[i]]
        assert torch.equal(shown[above], drawn[i])
        assert torch.equal(shown[above + 8], original.flip(-1) if mirrored[i] else original)
    for i in range(count, 8 * -(-count // 8)):  # nothing beside a row that is not full
        assert not shown[16 * (i // 8) + i % 8].any()


def test_pairs_are_the_ones_most_alike_nearest_first() -> None:
    drawn, embedding = noise(60), normal(60, 4, 1) * 100
    for rank, (i, j) in enumerate(((3, 50), (20, 4), (7, 8))):
        embedding[j] = embedding[i] + 0.001 * (rank + 1)
    shown = cells(pictures.pairs(drawn, Seen(embedding)))
    assert len(shown) == 32
    for rank, pair in enumerate(((3, 50), (4, 20), (7, 8))):
        assert torch.equal(shown[2 * rank], drawn[pair[0]])
        assert torch.equal(shown[2 * rank + 1], drawn[pair[1]])


def test_classes_have_a_row_each_filled_with_black() -> None:
    drawn = noise(30)
    classes = torch.tensor([0] * 12 + [2] * 3 + [0] * 15)
    shown = cells(pictures.by_class(drawn, classes, 4), 10)
    assert torch.equal(shown[:10], drawn[:10])
    assert not shown[10:20].any()
    assert torch.equal(shown[20:23], drawn[12:15])
    assert not shown[23:].any()
    assert len(shown) == 40


@pytest.fixture
def drawing(monkeypatch: pytest.MonkeyPatch):
    """What would be plotted."""
    calls = []
    monkeypatch.setattr(plots, "scatter", lambda *arguments: calls.append(arguments) or torch.zeros(3, 5, 5))
    return calls


def test_manifold_sorts_points_by_precision_and_recall(drawing) -> None:
    real, fake = normal(300, 3, 1), normal(250, 3, 2) + torch.tensor([2.0, 0.0, 0.0])
    pictures.manifold(Seen(fake), reference(real))
    ((groups, title, framing),) = drawing
    counts = {name: len(points) for name, points in groups.items()}
    found = prdc(real[:250], fake, 5)
    assert counts["real"] + counts["real, missed"] == 250
    assert counts["samples"] + counts["samples, off"] == 250
    assert counts["samples"] / 250 == pytest.approx(found.precision)
    assert counts["real"] / 250 == pytest.approx(found.recall)
    assert 0 < found.precision < 1
    assert 0 < found.recall < 1
    assert title == f"precision {found.precision:.2f}, recall {found.recall:.2f}"
    assert len(framing) == 250


def test_manifold_is_the_plane_of_most_variance(drawing) -> None:
    real = normal(400, 3, 1) * torch.tensor([1.0, 20.0, 5.0]) + 100
    pictures.manifold(Seen(real[:200]), reference(real))
    framing = drawing[0][2]
    found = framing.T.cov()
    values = torch.linalg.eigvalsh(real.double().T.cov())
    assert found[0, 0] == pytest.approx(float(values[2]), rel=0.15)  # of the first 200
    assert found[1, 1] == pytest.approx(float(values[1]), rel=0.15)
    assert framing.mean(0).abs().max() < 4  # about the mean of the real ones


def test_which_pictures_there_are() -> None:
    seen = Seen(normal(60, 4, 1), torch.arange(60) % 10, labels=None)
    found = Neighbors(torch.zeros(60), torch.arange(60), torch.zeros(60, dtype=torch.bool))
    data, shares = Dataset(noise(60)), torch.full((10,), 0.1, dtype=torch.float64)
    real = normal(80, 4, 2)

    def names(seen: Seen, shares: Tensor | None) -> set[str]:
        shown = pictures.of(noise(60), seen, found, data, reference(real, shares))
        assert all(picture.dtype == torch.uint8 and picture.shape[0] in (1, 3) for picture in shown.values())
        assert all(images.png(picture) for picture in shown.values())
        return set(shown)

    always = {"neighbors", "closest_pairs", "manifold"}
    assert names(seen, shares) == always | {"classes"}
    assert names(seen, torch.full((1000,), 0.001)) == always
    assert names(replace(seen, classes=None), None) == always
