"""ADA: matrices against closed forms, exact moves against torch's own, its p against simulated discriminators."""

import math
from collections.abc import Callable, Sequence
from dataclasses import fields, replace

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.testing import assert_close

from gan_cli.augment.ada import ADA, Adaptation
from gan_cli.augment.color import (
    Color,
    brightened,
    contrasted,
    hue_turned,
    luma_flipped,
    recolored,
    saturated,
)
from gan_cli.augment.geometry import Geometry, resampled
from gan_cli.augment.homogeneous import product
from gan_cli.errors import Refused
from gan_cli.streams import Draws, Streams
from gan_cli.targets import create

CPU = torch.device("cpu")
MANY = 20_000
P_ROT = 1 - math.sqrt(0.7)


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


def draws(index: int = 0) -> Draws:
    return Streams(0, CPU).draws("discriminator", index)


def numbers(count: int, *values: float) -> Tensor:
    return torch.tensor(values or 0.0, dtype=torch.float64).expand(count).clone()


# Colors.

COLORS = torch.rand(7, 3, dtype=torch.float64) * 2 - 1


def applied(matrices: Tensor, colors: Tensor = COLORS) -> Tensor:
    """Each matrix to each color: (matrices, colors, 3)."""
    points = torch.cat([colors, torch.ones(len(colors), 1, dtype=colors.dtype)], 1)
    moved = torch.einsum("nij,cj->nci", matrices, points)
    assert_close(moved[..., 3], torch.ones_like(moved[..., 3]))
    return moved[..., :3]


def luma(colors: Tensor) -> Tensor:
    return colors.mean(-1, keepdim=True)


def test_brightness_adds_and_contrast_multiplies() -> None:
    for number in (-0.7, 0.0, 0.3):
        assert_close(applied(brightened(numbers(1, number)))[0], COLORS + number)
        assert_close(applied(contrasted(numbers(1, number)))[0], COLORS * number)


def test_a_third_of_a_turn_of_hue_takes_red_to_green_to_blue() -> None:
    turned = applied(hue_turned(numbers(1, 2 * math.pi / 3)))[0]
    assert_close(turned, COLORS[:, [2, 0, 1]])


def test_hue_turns_back_and_all_the_way_round() -> None:
    angle = torch.linspace(-math.pi, math.pi, 9, dtype=torch.float64)
    identity = torch.eye(4, dtype=torch.float64).expand(9, -1, -1)
    assert_close(product(hue_turned(angle), hue_turned(-angle)), identity)
    assert_close(product(hue_turned(angle), hue_turned(2 * math.pi - angle)), identity)
    assert_close(hue_turned(angle)[0], hue_turned(angle)[8])


def test_hue_and_saturation_keep_luma_and_hue_keeps_saturation() -> None:
    amount = torch.linspace(0, 3, 6, dtype=torch.float64)
    for change in (hue_turned, saturated):
        assert_close(luma(applied(change(amount))), luma(COLORS).expand(6, -1, -1))
    turned = applied(hue_turned(amount))
    assert_close((turned - luma(turned)).norm(dim=-1), (COLORS - luma(COLORS)).norm(dim=-1).expand(6, -1))


def test_saturation_scales_the_distance_from_grey() -> None:
    assert_close(applied(saturated(numbers(1, 0.0)))[0], luma(COLORS).expand(-1, 3))
    doubled = applied(saturated(numbers(1, 2.0)))[0]
    assert_close(doubled, luma(COLORS) + 2 * (COLORS - luma(COLORS)))


def test_luma_flip_negates_greys_keeps_chroma_and_undoes_itself() -> None:
    flip = luma_flipped(numbers(1, 1.0))
    flipped = applied(flip)[0]
    assert_close(luma(flipped), -luma(COLORS))
    assert_close(flipped - luma(flipped), COLORS - luma(COLORS))
    assert_close(product(flip, flip)[0], torch.eye(4, dtype=torch.float64))
    assert torch.equal(luma_flipped(torch.zeros(1))[0], torch.eye(4))


def some_color(count: int = 4) -> Color:
    """A few changes at once."""
    return Color(
        brightness=torch.linspace(-0.3, 0.4, count, dtype=torch.float64),
        contrast=torch.linspace(-1, 1, count, dtype=torch.float64),
        flip=torch.arange(count, dtype=torch.float64) % 2,
        hue=torch.linspace(-3, 2, count, dtype=torch.float64),
        saturation=torch.linspace(1, -1, count, dtype=torch.float64),
    )


def test_colors_are_changed_in_the_stated_order() -> None:
    color = some_color()
    expected = COLORS.expand(4, -1, -1)
    for change in (
        lambda colors: colors + color.brightness[:, None, None],
        lambda colors: colors * 2 ** color.contrast[:, None, None],
        lambda colors: torch.where(color.flip[:, None, None] == 1, colors - 2 * luma(colors), colors),
        lambda colors: torch.stack([applied(hue_turned(color.hue[i, None]), colors[i])[0] for i in range(4)]),
        lambda colors: luma(colors) + 2 ** color.saturation[:, None, None] * (colors - luma(colors)),
    ):
        expected = change(expected)
    assert_close(applied(color.of_rgb()), expected)
    # And so are the pixels of images: 7 in a row are the 7 colors.
    assert_close(recolored(COLORS.T[None, :, None].expand(4, -1, -1, -1), color)[:, :, 0], expected.transpose(1, 2))


def test_grey_images_get_brightness_contrast_and_flip_as_greys_in_color_do() -> None:
    grey = torch.rand(4, 1, 2, 5, dtype=torch.float64)
    color = some_color()
    expected = (1 - 2 * color.flip[:, None, None, None]) * 2 ** color.contrast[:, None, None, None]
    expected = expected * (grey + color.brightness[:, None, None, None])
    assert_close(recolored(grey, color), expected)
    assert_close(recolored(grey.expand(-1, 3, -1, -1), color), expected.expand(-1, 3, -1, -1))


# Geometry.


def still(**changes: Tensor) -> Geometry:
    """Nothing moved but what is given."""
    zeros = torch.zeros(len(next(iter(changes.values()))), 2, dtype=torch.float64)
    parameters = {f.name: zeros if f.name in ("shift", "drift") else zeros[:, 0] for f in fields(Geometry)}
    return Geometry(**parameters | changes)


def seen(images: Tensor, geometry: Geometry) -> Tensor:
    return resampled(images, geometry.way_back(*images.shape[2:]))


SIZES = [(8, 8), (7, 7), (6, 15), (1, 4)]
sizes = pytest.mark.parametrize(("height", "width"), SIZES)


def shifted(images: Tensor, right: int, down: int) -> Tensor:
    """By torch's own reflection."""
    padded = F.pad(images, (max(right, 0), max(-right, 0), max(down, 0), max(-down, 0)), mode="reflect")
    top, left = max(-down, 0), max(-right, 0)
    return padded[:, :, top : top + images.shape[2], left : left + images.shape[3]]


@sizes
def test_mirroring_is_exact(height: int, width: int) -> None:
    images = torch.randn(2, 3, height, width)
    assert torch.equal(seen(images, still(mirror=numbers(2, 1.0, 0.0)))[0], images[0].flip(-1))
    assert torch.equal(seen(images, still(mirror=numbers(2, 1.0, 0.0)))[1], images[1])


@pytest.mark.parametrize("size", [8, 7])
def test_quarter_turns_are_exact_and_counterclockwise(size: int) -> None:
    images = torch.randn(4, 3, size, size)
    turned = seen(images, still(quarters=torch.arange(4).float()))
    for quarters in range(4):
        assert torch.equal(turned[quarters], images[quarters].rot90(quarters, (1, 2)))


def test_half_turns_of_rectangles_are_exact() -> None:
    images = torch.randn(1, 3, 6, 9)
    assert torch.equal(seen(images, still(quarters=numbers(1, 2.0))), images.flip(2, 3))


@sizes
def test_shifts_are_exact_to_whole_pixels_with_reflections_shifted_in(height: int, width: int) -> None:
    images = torch.randn(1, 2, height, width)
    for right, down in ((0.124, 0.0), (-0.124, 0.1), (0.06, -0.124), (0.25, -0.25)):
        expected = shifted(images, round(right * width), round(down * height))
        assert torch.equal(seen(images, still(shift=torch.tensor([[right, down]]))), expected)


def test_flip_turn_and_shift_together_are_exact_in_this_order() -> None:
    images = torch.randn(40, 3, 16, 16)
    geometry = replace(
        Geometry.drawn(draws(), 40, 1.0),
        **{name: torch.zeros(40) for name in ("zoom", "stretch", "first_angle", "second_angle")},
        drift=torch.zeros(40, 2),
    )
    assert len(geometry.quarters.unique()) == 4
    assert len(geometry.mirror.unique()) == 2
    pixels = (geometry.shift * 16).round().int().tolist()
    assert len({tuple(pair) for pair in pixels}) > 10
    for i, image in enumerate(seen(images, geometry)):
        flipped = images[i].flip(-1) if geometry.mirror[i] else images[i]
        turned = flipped.rot90(int(geometry.quarters[i]), (1, 2))
        assert torch.equal(image, shifted(turned[None], *pixels[i])[0])


def ramp(height: int, width: int) -> Tensor:
    """(2, height, width): the x and y of each pixel, from the center; bilinear interpolation makes no mistake."""
    x = torch.arange(width, dtype=torch.float64) - (width - 1) / 2
    y = torch.arange(height, dtype=torch.float64) - (height - 1) / 2
    return torch.stack([x.expand(height, width), y[:, None].expand(height, width)])


ANGLE = 0.4
C, S = math.cos(ANGLE), math.sin(ANGLE)


@pytest.mark.parametrize(
    ("changes", "source"),
    [
        ({"zoom": numbers(1, 1.0)}, lambda x, y: (x / 2, y / 2)),  # twice as large
        ({"stretch": numbers(1, 1.0)}, lambda x, y: (x / 2, y * 2)),  # twice as wide, half as high
        ({"first_angle": numbers(1, ANGLE)}, lambda x, y: (x * C - y * S, x * S + y * C)),  # to the left, y being down
        ({"second_angle": numbers(1, ANGLE)}, lambda x, y: (x * C - y * S, x * S + y * C)),
        ({"drift": torch.tensor([[0.1, -0.2]])}, lambda x, y: (x - 1.6, y + 2.4)),  # right and up
    ],
)
def test_what_is_seen_at_a_place_lies_where_the_formula_says(
    changes: dict[str, Tensor], source: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
) -> None:
    places = ramp(12, 16)
    x, y = seen(places[None], still(**changes))[0]
    to_x, to_y = source(*places)
    inside = (to_x.abs() < 7.5) & (to_y.abs() < 5.5)
    assert int(inside.sum()) > 60
    assert_close(x[inside], to_x[inside], rtol=0, atol=1e-6)
    assert_close(y[inside], to_y[inside], rtol=0, atol=1e-6)


def test_a_rotation_by_quarters_is_that_of_quarter_turns() -> None:
    images = torch.randn(4, 3, 8, 8, dtype=torch.float64)
    quarters = torch.arange(4, dtype=torch.float64)
    turned = seen(images, still(quarters=quarters))
    for name in ("first_angle", "second_angle"):
        assert_close(seen(images, still(**{name: quarters * math.pi / 2})), turned)


def test_all_moves_together_are_each_alone_one_after_the_other() -> None:
    drawn = Geometry.drawn(draws(), 50, 1.0)
    geometry = Geometry(**{f.name: getattr(drawn, f.name).double() for f in fields(drawn)})
    alone = [still(**{f.name: getattr(geometry, f.name)}).way_back(16, 16) for f in fields(geometry)]
    together = torch.eye(3, dtype=torch.float64).expand(50, -1, -1)
    for matrix in alone:  # the way back ends with what was done first
        together = together @ matrix
    assert_close(geometry.way_back(16, 16), together)


@pytest.mark.parametrize(("height", "width"), [(8, 8), (7, 12)])
def test_resampling_is_that_of_grid_sample(height: int, width: int) -> None:
    images = torch.randn(30, 2, height, width, dtype=torch.float64)
    way_back = Geometry.drawn(draws(), 30, 1.0).way_back(height, width).double()
    half = torch.tensor([(width - 1) / 2, (height - 1) / 2], dtype=torch.float64)
    grid = torch.stack([*torch.meshgrid(torch.arange(width), torch.arange(height), indexing="xy")], -1) - half
    back = torch.einsum("nij,hwj->nhwi", way_back[:, :2, :2], grid) + way_back[:, None, None, :2, 2]
    expected = F.grid_sample(images, back / half, "bilinear", "reflection", align_corners=True)
    assert_close(resampled(images, way_back), expected)


# What is drawn.


def what_is_drawn(p: float | Tensor = 1.0) -> dict[str, Tensor]:
    """Every parameter of many images by its name, (MANY,)."""
    geometry, color = Geometry.drawn(draws(), MANY, p), Color.drawn(draws(), MANY, p)
    drawn = {f.name: getattr(part, f.name) for part in (geometry, color) for f in fields(part)}
    for name in ("shift", "drift"):
        drawn |= dict(zip((f"{name}/x", f"{name}/y"), drawn.pop(name).unbind(1), strict=True))
    return {name: tensor.double() for name, tensor in drawn.items()}


NORMAL = {"zoom": 0.2, "stretch": 0.2, "drift/x": 0.125, "drift/y": 0.125}
NORMAL |= {"brightness": 0.2, "contrast": 0.5, "saturation": 1.0}
UNIFORM = {"shift/x": 0.125, "shift/y": 0.125, "first_angle": math.pi, "second_angle": math.pi, "hue": math.pi}
EQUAL = {"mirror": 2, "quarters": 4, "flip": 2}


def test_what_is_drawn_has_the_papers_distributions() -> None:
    drawn = what_is_drawn()
    assert set(drawn) == {*NORMAL, *UNIFORM, *EQUAL}
    for name, std in NORMAL.items():
        assert abs(float(drawn[name].mean())) < 4 * std / MANY**0.5, name
        assert abs(float(drawn[name].var()) / std**2 - 1) < 4 * (2 / MANY) ** 0.5, name
    for name, half in UNIFORM.items():
        assert abs(float(drawn[name].mean())) < 4 * half / (3 * MANY) ** 0.5, name
        assert abs(float(drawn[name].var()) / (half**2 / 3) - 1) < 4 * (0.8 / MANY) ** 0.5, name
        assert half * 0.999 < float(drawn[name].abs().max()) <= half * 1.000001, name
    for name, ways in EQUAL.items():
        counts = torch.bincount(drawn[name].long(), minlength=ways)
        assert counts.shape == (ways,), name
        error = (MANY * (1 / ways) * (1 - 1 / ways)) ** 0.5
        assert float((counts - MANY / ways).abs().max()) < 4 * error, name


@pytest.mark.parametrize("p", [0.3, torch.tensor(0.3)])
def test_each_change_happens_with_probability_p_independently(p: float | Tensor) -> None:
    happened = {name: drawn != 0 for name, drawn in what_is_drawn(p).items()}
    for name, happens in happened.items():
        share = 0.3 if name not in EQUAL else 0.3 * (1 - 1 / EQUAL[name])
        share = P_ROT if name.endswith("_angle") else share
        error = (share * (1 - share) / MANY) ** 0.5
        assert abs(float(happens.double().mean()) - share) < 4 * error, name
    rotated = happened["first_angle"] | happened["second_angle"]
    assert abs(float(rotated.double().mean()) - 0.3) < 4 * (0.21 / MANY) ** 0.5
    for name in ("shift", "drift"):
        assert torch.equal(happened[f"{name}/x"], happened.pop(f"{name}/y"))
    together = torch.corrcoef(torch.stack([*happened.values()]).double()) - torch.eye(len(happened))
    assert float(together.abs().max()) < 5 / MANY**0.5


def test_what_is_drawn_is_uncorrelated() -> None:
    together = torch.corrcoef(torch.stack([*what_is_drawn().values()]))
    assert float((together - torch.eye(len(together))).abs().max()) < 5 / MANY**0.5


@pytest.mark.parametrize("augment", [ADA(p=0.0, target=None), ADA(p=0.0)], ids=repr)
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@sizes
def test_without_probability_images_are_seen_as_they_are(
    augment: ADA, channels: int, dtype: torch.dtype, height: int, width: int
) -> None:
    images = torch.randn(20, channels, height, width).to(dtype)
    assert torch.equal(augment(images, draws()), images)


class Zeros(Draws):
    """The smallest numbers there are."""

    def uniform(self, name: str, shape: Sequence[int]) -> Tensor:
        return torch.zeros(*shape)


def test_no_number_is_small_enough_for_a_probability_of_zero() -> None:
    images = torch.randn(4, 3, 8, 8)
    zeros = Zeros(Streams(0, CPU), "discriminator", 0)
    assert torch.equal(ADA(p=0.0)(images, zeros), images)
    assert not torch.equal(ADA(p=1e-6)(images, zeros), images)


def test_images_that_are_left_alone_are_seen_bit_by_bit() -> None:
    images = torch.randn(400, 3, 8, 8)
    geometry, color = Geometry.drawn(draws(), 400, 0.1), Color.drawn(draws(), 400, 0.1)
    entries = [getattr(part, f.name) for part in (geometry, color) for f in fields(part)]
    entries[2] = (entries[2] * 8).round()  # the shift, in pixels
    alone = torch.stack([(entry == 0).view(400, -1).all(1) for entry in entries]).all(0)
    assert 100 < int(alone.sum()) < 300
    pairs = zip(ADA(p=0.1)(images, draws()), images, strict=True)
    left = torch.tensor([torch.equal(one, other) for one, other in pairs])
    assert torch.equal(left, alone)


# Adaptation.


def margins(count: int, r_t: float) -> Tensor:
    """As a discriminator's whose signs have this mean."""
    positive = torch.arange(count) < round(count * (1 + r_t) / 2)
    return torch.where(positive, 1.0, -1.0)[:, None] * (torch.rand(count, 1) + 0.01)


@pytest.mark.parametrize("start", [0.0, 1.0])
def test_p_goes_to_where_its_target_holds_and_stays(start: float) -> None:
    augment = ADA(p=start, target=0.6, every=4, images=200_000)
    assert augment.adaptive is not None
    path = []
    for _ in range(400):
        augment.observe(margins(1000, 0.9 - float(augment.adaptive.p)))
        path.append(float(augment.adaptive.p))
    assert all(abs(p - 0.3) <= 0.021 for p in path[200:])  # 4 · 1000 / 200,000, and a rounding
    assert float(augment.stats()["augment/r_t"]) == pytest.approx(0.6, abs=0.021)


def test_p_moves_by_one_in_so_many_images_and_no_further() -> None:
    augment = ADA(p=0.0, target=0.6, every=3, images=6000)
    path = []
    for r_t in [1.0] * 80 + [0.0] * 80:
        augment.observe(margins(100, r_t))
        path.append(float(augment.stats()["augment/p"]))
    expected = [min(1.0, (i + 1) // 3 * 3 * 100 / 6000) for i in range(80)]
    assert path[:80] == pytest.approx(expected, abs=1e-5)
    assert path[59] == 1.0
    assert path[79] == 1.0
    # Updates 79 and 80 were of the first kind, and outvote the 81st.
    assert path[80] == 1.0
    assert path[83] == pytest.approx(0.95, abs=1e-5)
    assert path[-1] == pytest.approx(max(0.0, 1 - 26 * 0.05), abs=1e-5)


def test_every_sample_has_one_voice_and_each_of_its_positions_a_part() -> None:
    adaptation = Adaptation(0.5, 0.6, every=2, images=100)
    adaptation.observe(torch.tensor([[5.0, 0.1], [3.0, -9.0], [0.2, 0.0]]))  # 1, 0, 1/2
    assert (float(adaptation.r_t), float(adaptation.p)) == (0.0, 0.5)
    adaptation.observe(torch.tensor([[-4.0]]))
    assert float(adaptation.r_t) == pytest.approx(0.5 / 4)
    assert float(adaptation.p) == pytest.approx(0.5 - 4 / 100)


def test_at_the_target_p_stays() -> None:
    adaptation = Adaptation(0.5, 0.5, every=1, images=100)
    adaptation.observe(torch.tensor([[1.0], [1.0], [1.0], [-1.0]]))
    assert (float(adaptation.p), float(adaptation.r_t)) == (0.5, 0.5)


def test_what_was_logged_does_not_change_afterwards_nor_does_it_change_p() -> None:
    augment = ADA(p=0.5, every=1, images=100)
    stats = augment.stats()
    augment.observe(margins(10, 1.0))
    assert {name: float(value) for name, value in stats.items()} == {"augment/p": 0.5, "augment/r_t": 0.0}
    for value in augment.stats().values():
        value.zero_()
    assert {name: float(value) for name, value in augment.stats().items()} == pytest.approx(
        {"augment/p": 0.6, "augment/r_t": 1.0}
    )


def test_p_is_what_images_are_augmented_with() -> None:
    augment, images = ADA(p=0.0, every=1, images=100), torch.randn(20, 3, 8, 8)
    assert torch.equal(augment(images, draws()), images)
    augment.observe(margins(40, 1.0))
    fixed = ADA(p=float(augment.stats()["augment/p"]), target=None)
    assert fixed.p == pytest.approx(0.4)
    assert torch.equal(augment(images, draws()), fixed(images, draws()))


def test_state_goes_on_bit_by_bit_from_where_it_was_saved() -> None:
    stream = [margins(100, r_t) for r_t in torch.linspace(-0.9, 0.9, 23).tolist()]
    whole, first, second = (ADA(p=0.4, target=0.1, every=4, images=3000) for _ in range(3))
    assert whole.adaptive is not None
    assert first.adaptive is not None
    assert second.adaptive is not None
    for update in stream:
        whole.observe(update)
    for update in stream[:10]:
        first.observe(update)
    second.adaptive.load_state_dict({name: value.clone() for name, value in first.adaptive.state_dict().items()})
    for update in stream[10:]:
        second.observe(update)
    assert 0 < float(whole.adaptive.p) < 1
    state, again = whole.adaptive.state_dict(), second.adaptive.state_dict()
    assert set(state) == {"p", "r_t", "signs", "samples", "updates"}
    assert all(torch.equal(state[name], again[name]) for name in state)
    images = torch.randn(8, 3, 8, 8)
    assert torch.equal(whole(images, draws()), second(images, draws()))


def test_without_a_target_there_is_no_state_and_p_may_be_set_anew() -> None:
    augment, images = ADA(p=0.8, target=None), torch.randn(20, 3, 8, 8)
    augment.observe(margins(100, 1.0))
    assert augment.adaptive is None
    assert augment.stats() == {}
    assert replace(augment, p=0.3) == ADA(p=0.3, target=None)
    assert torch.equal(replace(augment, p=0.0)(images, draws()), images)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("p", 1.1, "augment.p must be at most 1"),
        ("target", 1.0, "augment.target must be less than 1"),
        ("target", 0.0, "augment.target must be greater than 0"),
        ("target", "high", "augment.target must be a number, or null"),
        ("target", True, "augment.target must be a number, or null"),
        ("every", 0, "augment.every must be at least 1"),
        ("images", 0, "augment.images must be at least 1"),
        ("adaptive", 1, "unknown key augment.adaptive"),
    ],
)
def test_impossible_settings_are_refused(key: str, value: object, message: str) -> None:
    with pytest.raises(Refused, match=message):
        create({"_target_": "gan_cli.augment.ada.ADA", key: value}, "augment", None)
