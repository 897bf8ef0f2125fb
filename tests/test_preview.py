"""What a run looks at: which real samples and which fakes stand where."""

import pytest
import torch
from torch import Tensor, nn

from gan_cli import plots
from gan_cli.data.dataset import Dataset, Mixture
from gan_cli.latents import Latents
from gan_cli.preview import SamplePreview
from gan_cli.sampling import Sampler
from gan_cli.streams import Streams

SIZE, CELL, PADDING = 8, 56, 2  # of an image, enlarged, and between two


class Shades(nn.Module):
    """An image of which one half is ten times its label, in grey levels, and the other the latent."""

    def forward(self, latents: Tensor, labels: Tensor) -> Tensor:
        shade = (labels * 10 / 127.5 - 1)[:, None, None, None].expand(-1, 1, SIZE, SIZE).clone()
        shade[:, :, SIZE // 2 :] = latents[:, :1, None, None].clamp(-1, 1)
        return shade


class Plain(nn.Module):
    def forward(self, latents: Tensor) -> Tensor:
        return latents[:, :1, None, None].clamp(-1, 1).expand(-1, 1, SIZE, SIZE)


class Points(nn.Module):
    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        return latents[:, :2] if labels is None else torch.stack([labels.float(), labels.float()], 1)


def cells(picture: Tensor) -> Tensor:
    """The images of a grid: (rows, columns, C, 56, 56)."""
    stride = CELL + PADDING
    rows, columns = ((size - PADDING) // stride for size in picture.shape[1:])
    assert picture.shape[1:] == (rows * stride + PADDING, columns * stride + PADDING)
    inner = picture[:, PADDING:, PADDING:].unfold(1, CELL, stride).unfold(2, CELL, stride)
    return inner.permute(1, 2, 0, 3, 4)


def labelled(labels: list[int], num_classes: int) -> Dataset:
    """Images of which each pixel of one half is the label and of the other half the index."""
    samples = torch.zeros(len(labels), 1, SIZE, SIZE, dtype=torch.uint8)
    samples[:, :, : SIZE // 2] = torch.tensor(labels, dtype=torch.uint8)[:, None, None, None]
    samples[:, :, SIZE // 2 :] = torch.arange(len(labels), dtype=torch.uint8)[:, None, None, None]
    return Dataset(samples, torch.tensor(labels), tuple(f"class {label}" for label in range(num_classes)))


def preview(
    dataset: Dataset,
    generator: nn.Module,
    streams: Streams,
    num_classes: int = 0,
    shown: int | None = None,
    columns: int | None = None,
) -> SamplePreview:
    return SamplePreview(dataset, Sampler(generator, Latents(4, "uniform", streams), num_classes), shown, columns)


@pytest.mark.parametrize("num_classes", [2, 3, 10])
def test_every_class_has_a_row_of_eight_real_samples_and_of_eight_fakes(num_classes: int, streams: Streams) -> None:
    order = torch.randperm(90, generator=torch.Generator().manual_seed(1)) % num_classes
    seen = preview(labelled(order.tolist(), num_classes), Shades(), streams, num_classes)
    real, fake = cells(seen.real()), cells(seen.fake())
    assert real.shape == fake.shape == (num_classes, 8, 1, CELL, CELL)
    for label in range(num_classes):
        assert real[label, :, 0, 0, 0].tolist() == [label] * 8
        members = [index for index, own in enumerate(order.tolist()) if own == label]
        shown = real[label, :, 0, -1, -1].tolist()
        assert shown == [members[len(members) * column // 8] for column in range(8)]  # from all over the class
        assert fake[label, :, 0, 0, 0].tolist() == [10 * label] * 8
    assert len(fake[:, :, 0, -1, -1].unique()) > 6 * num_classes  # each from a latent of its own


def test_fakes_of_the_grid_are_those_with_the_lowest_numbers_row_by_row(streams: Streams) -> None:
    seen = preview(labelled([0, 1, 2] * 30, 3), Shades(), streams, 3)
    numbered = Sampler(Shades(), Latents(4, "uniform", streams), 3)(range(24))
    expected = numbered.reshape(8, 3, 1, SIZE, SIZE).transpose(0, 1).add(1).mul(127.5).round().byte()
    assert torch.equal(cells(seen.fake())[..., :: CELL // SIZE, :: CELL // SIZE], expected)


def test_of_many_classes_ten_from_all_over_them_are_shown_and_the_same_of_both_kinds(streams: Streams) -> None:
    seen = preview(labelled(list(range(20)) * 5, 20), Shades(), streams, 20)
    shown = list(range(0, 20, 2))
    assert cells(seen.real())[:, 0, 0, 0, 0].tolist() == shown
    assert cells(seen.fake())[:, 0, 0, 0, 0].tolist() == [10 * label for label in shown]


def test_a_class_of_few_samples_shows_them_again_and_one_of_none_stays_black(streams: Streams) -> None:
    dataset = labelled([1, 2, 2, 2, 1, 1], 4)
    real = cells(preview(dataset, Shades(), streams, 4).real())
    assert real[0].unique().tolist() == [0]
    assert real[3].unique().tolist() == [0]
    assert real[1, :, 0, -1, -1].tolist() == [[0, 4, 5][3 * i // 8] for i in range(8)]
    assert real[2, :, 0, -1, -1].tolist() == [[1, 2, 3][3 * i // 8] for i in range(8)]


def test_without_a_conditional_generator_labels_do_not_order_the_grid(streams: Streams) -> None:
    seen = preview(labelled([0, 1] * 40, 2), Plain(), streams)
    real, fake = cells(seen.real()), cells(seen.fake())
    assert real.shape == fake.shape == (8, 8, 1, CELL, CELL)
    assert real[:, :, 0, -1, -1].flatten().tolist() == [80 * i // 64 for i in range(64)]
    few = cells(preview(labelled([0] * 5, 1), Plain(), streams).real())
    assert few[:, :, 0, -1, -1].flatten().tolist()[:5] == list(range(5))


@pytest.mark.parametrize(
    ("shown", "columns", "grid"),
    [(16, None, (4, 4)), (21, 7, (3, 7)), (None, 16, (4, 16)), (2, None, (2, 1)), (5, 3, (2, 3))],
)
def test_a_grid_has_as_many_samples_and_columns_as_asked_and_they_are_the_first(
    shown: int | None, columns: int | None, grid: tuple[int, int], streams: Streams
) -> None:
    dataset = labelled([0] * 80, 1)
    seen, whole = (preview(dataset, Plain(), streams, shown=count, columns=columns) for count in (shown, 64))
    real, fake = cells(seen.real()), cells(seen.fake())
    assert real.shape[:2] == fake.shape[:2] == grid
    count = shown or 64
    firsts = cells(whole.fake()).flatten(0, 1)[:count]
    assert torch.equal(fake.flatten(0, 1)[:count], firsts)
    assert not fake.flatten(0, 1)[count:].any()  # an unfinished row ends in black
    assert real.flatten(0, 1)[:count, 0, -1, -1].tolist() == [80 * i // count for i in range(count)]


def test_rows_of_classes_are_as_many_as_fit_what_is_shown(streams: Streams) -> None:
    seen = preview(labelled([0, 1, 2, 3] * 20, 4), Shades(), streams, 4, shown=15, columns=5)
    real, fake = cells(seen.real()), cells(seen.fake())
    assert real.shape[:2] == fake.shape[:2] == (3, 5)
    assert fake[:, :, 0, 0, 0].tolist() == [[0] * 5, [10] * 5, [20] * 5]
    assert real[:, :, 0, 0, 0].tolist() == [[0] * 5, [1] * 5, [2] * 5]


def test_a_scatter_plot_shows_as_many_fakes_as_asked_and_counts_modes_among_all(
    streams: Streams, monkeypatch: pytest.MonkeyPatch
) -> None:
    means = torch.zeros(1, 2, dtype=torch.float64)
    drawn: list[tuple[int, str]] = []
    monkeypatch.setattr(plots, "scatter", lambda groups, title="": drawn.append((len(groups["generated"]), title)))
    for mixture in (None, Mixture(means, 1.0)):
        preview(Dataset(torch.zeros(600, 2), mixture=mixture), Points(), streams, shown=100).fake()
    assert [count for count, _ in drawn] == [100, 100]
    assert drawn[0][1] == ""
    assert drawn[1][1].startswith("1 of 1 modes")


def test_points_of_a_conditional_generator_are_of_all_classes_in_turn(
    streams: Streams, monkeypatch: pytest.MonkeyPatch
) -> None:
    means = torch.arange(4, dtype=torch.float64)[:, None].expand(4, 2)
    labels = torch.arange(64) % 4
    dataset = Dataset(means[labels].float(), labels, tuple("abcd"), Mixture(means, 0.1))
    titles: list[str] = []
    monkeypatch.setattr(plots, "scatter", lambda groups, title="": titles.append(title))
    preview(dataset, Points(), streams, 4).fake()
    assert titles == ["4 of 4 modes, 100.0% of high quality"]
    monkeypatch.undo()
    assert preview(dataset, Points(), streams, 4).fake().dim() == 3
    unknown = Dataset(dataset.samples, labels, dataset.classes)
    assert preview(unknown, Points(), streams, 4).real().dim() == 3


def test_looking_changes_nothing_and_shows_the_same_again(streams: Streams) -> None:
    class Noisy(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.Sequential(nn.Linear(5, 16), nn.BatchNorm1d(16), nn.Dropout(0.5), nn.Linear(16, 64))

        def forward(self, latents: Tensor, labels: Tensor) -> Tensor:
            return self.layers(torch.cat([latents, labels[:, None].float()], 1)).reshape(-1, 1, SIZE, SIZE)

    generator = Noisy().train()
    before = {name: tensor.clone() for name, tensor in generator.state_dict().items()}
    seen = preview(labelled([0, 1, 2] * 30, 3), generator, streams, 3)
    state = torch.get_rng_state()
    first = seen.fake()
    torch.manual_seed(5)
    assert torch.equal(seen.fake(), first)
    torch.set_rng_state(state)
    seen.real()
    assert torch.equal(torch.get_rng_state(), state)
    assert generator.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in generator.state_dict().items())
