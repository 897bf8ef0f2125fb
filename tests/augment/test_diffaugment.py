"""DiffAugment: closed forms of its parts; and what every augmentation is, ADA among them."""

from collections.abc import Sequence
from dataclasses import fields
from itertools import combinations

import pytest
import torch
from omegaconf import OmegaConf
from torch import Tensor, nn
from torch.testing import assert_close

from gan_cli.augment import Augment
from gan_cli.augment.ada import ADA
from gan_cli.augment.diffaugment import DiffAugment, cut_out, recolored, translated
from gan_cli.conf_dir import CONF_DIR
from gan_cli.errors import Refused
from gan_cli.streams import Draws, Streams
from gan_cli.targets import create

CPU = torch.device("cpu")
MANY = 20_000
AUGMENTS = [DiffAugment(), ADA(p=1.0, target=None), ADA(p=0.5, target=0.6)]
every_augment = pytest.mark.parametrize("augment", AUGMENTS, ids=repr)


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


def draws(index: int = 0, purpose: str = "discriminator", seed: int = 0) -> Draws:
    return Streams(seed, CPU).draws(purpose, index)


class Given(Draws):
    """Draws of which some are given, by their names."""

    def __new__(cls, **_: object) -> "Given":
        return super().__new__(cls)

    def __init__(self, **given: object) -> None:
        super().__init__(Streams(0, CPU), "given", 0)
        object.__setattr__(self, "given", given)

    def uniform(self, name: str, shape: Sequence[int]) -> Tensor:
        value = self.given.get(name.removeprefix("augment/"))  # type: ignore[attr-defined]
        return super().uniform(name, shape) if value is None else torch.as_tensor(value).expand(shape)


# Color.


def test_color_is_brightness_then_saturation_then_contrast_of_each_image() -> None:
    images = torch.rand(5, 3, 4, 6, dtype=torch.float64) * 2 - 1
    names = ("brightness", "saturation", "contrast")
    drawn = zip(*(draws().uniform(f"augment/{name}", (5, 1, 1, 1)).flatten().tolist() for name in names), strict=True)
    for image, seen, numbers in zip(images, recolored(images, draws()), drawn, strict=True):
        brightness, saturation, contrast = numbers
        expected = image + brightness - 0.5
        grey = expected.sum(0) / 3
        expected = torch.stack([2 * saturation * (channel - grey) + grey for channel in expected])
        mean = expected.sum() / expected.numel()
        assert_close(seen, (0.5 + contrast) * (expected - mean) + mean)


def test_neutral_numbers_change_no_color() -> None:
    images = torch.rand(5, 3, 4, 6, dtype=torch.float64) * 2 - 1
    assert_close(recolored(images, Given(brightness=0.5, saturation=0.5, contrast=0.5)), images)


def test_saturation_and_contrast_keep_the_mean_and_no_saturation_is_grey() -> None:
    images = torch.rand(5, 3, 4, 6, dtype=torch.float64) * 2 - 1
    mean = images.mean((1, 2, 3))
    assert_close(recolored(images, Given(brightness=0.5)).mean((1, 2, 3)), mean)
    grey = recolored(images, Given(brightness=0.5, saturation=0.0, contrast=0.5))
    assert_close(grey, images.mean(1, keepdim=True).expand_as(images))


def test_saturation_leaves_grey_images_alone() -> None:
    images = torch.rand(5, 1, 4, 6) * 2 - 1
    assert torch.equal(recolored(images, Given(saturation=0.0)), recolored(images, Given(saturation=0.9)))


# Translation.


@pytest.mark.parametrize(("height", "width"), [(16, 16), (9, 20)])
def test_translation_is_a_roll_with_the_rest_blanked(height: int, width: int) -> None:
    images = torch.rand(40, 3, height, width) + 1
    uniform = draws().uniform("augment/translation", (40, 2))
    most = (round(0.25 * height), round(0.25 * width))
    shifts = (uniform * (2 * torch.tensor(most) + 1)).floor().int() - torch.tensor(most)
    assert len(shifts.unique(dim=0)) > 20
    for image, seen, (down, right) in zip(images, translated(images, 0.25, draws()), shifts.tolist(), strict=True):
        expected = image.roll((down, right), (1, 2))
        expected[:, : max(down, 0)] = 0
        expected[:, height + min(down, 0) :] = 0
        expected[:, :, : max(right, 0)] = 0
        expected[:, :, width + min(right, 0) :] = 0
        assert torch.equal(seen, expected)


def test_every_shift_is_equally_likely() -> None:
    images = torch.zeros(MANY, 1, 16, 16)
    images[:, :, 8, 8] = 1
    places = translated(images, 0.125, draws()).flatten(1).argmax(1)
    counts = torch.bincount(places, minlength=256).view(16, 16)
    inside = counts[6:11, 6:11].double()
    assert int(inside.sum()) == MANY
    share = 1 / 25
    assert float((inside - share * MANY).abs().max()) < 4 * (MANY * share * (1 - share)) ** 0.5


def test_a_shift_by_the_whole_image_leaves_nothing() -> None:
    images = torch.ones(1, 1, 4, 4)
    assert not translated(images, 1.0, Given(translation=0.0)).any()
    assert torch.equal(translated(images, 1.0, Given(translation=0.5)), images)


# Cutout.


@pytest.mark.parametrize(("share", "size", "side"), [(0.5, 8, 4), (0.4, 8, 3), (0.5, 9, 5), (1.0, 6, 6), (0.05, 8, 0)])
def test_cutout_blanks_a_square_around_each_point_of_the_image_equally(share: float, size: int, side: int) -> None:
    centers = size + 1 - side % 2
    numbers = (torch.arange(centers) + 0.5) / centers
    down, right = torch.meshgrid(numbers, numbers, indexing="ij")
    given = Given(cutout=torch.stack([down.flatten(), right.flatten()], 1))
    images = torch.rand(centers**2, 2, size, size) + 1
    blank = (cut := cut_out(images, share, given)) == 0
    assert torch.equal(cut, images * ~blank)
    assert torch.equal(blank[:, 0], blank[:, 1])
    rows, columns = blank[:, 0].any(2), blank[:, 0].any(1)
    assert torch.equal(blank[:, 0], rows[:, :, None] & columns[:, None, :])
    # The strip of center c, cut at the borders.
    for center in range(centers):
        start = center - side // 2
        expected = [start <= place < start + side for place in range(size)]
        assert rows[center * centers].tolist() == expected
        assert columns[center].tolist() == expected
    assert int(blank[:, 0].sum((1, 2)).max()) == side**2
    often = blank[:, 0].sum(0)
    assert torch.equal(often, often.flip(0))
    assert torch.equal(often, often.T)


def test_cutout_is_around_a_uniform_point() -> None:
    blank = cut_out(torch.ones(MANY, 1, 8, 8), 0.5, draws())[:, 0] == 0
    # Of 9 equally likely strips of 4, a place in the middle lies in 4, the outermost in 3; rows and columns agree.
    for place, strips in ((0, 3), (3, 4), (4, 4), (7, 3)):
        share = (strips / 9) ** 2
        error = (share * (1 - share) / MANY) ** 0.5
        assert float(blank[:, place, place].double().mean()) == pytest.approx(share, abs=4 * error)


# The whole.


def test_each_part_can_be_turned_off() -> None:
    images = torch.rand(6, 3, 8, 8)
    assert DiffAugment(color=False, translation=0.0, cutout=0.0)(images, draws()) is images
    parts = {
        DiffAugment(True, 0.0, 0.0): recolored(images, draws()),
        DiffAugment(False, 0.25, 0.0): translated(images, 0.25, draws()),
        DiffAugment(False, 0.0, 0.25): cut_out(images, 0.25, draws()),
        DiffAugment(): cut_out(translated(recolored(images, draws()), 0.125, draws()), 0.5, draws()),
    }
    for augment, expected in parts.items():
        assert torch.equal(augment(images, draws()), expected)
    assert not any(torch.equal(one, other) for one, other in combinations([images, *parts.values()], 2))


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("translation", 1.5, "augment.translation must be at most 1"),
        ("cutout", -0.1, "augment.cutout must be at least 0"),
        ("color", "yes", "augment.color must be true or false"),
    ],
)
def test_impossible_settings_are_refused(key: str, value: object, message: str) -> None:
    with pytest.raises(Refused, match=message):
        create({"_target_": "gan_cli.augment.diffaugment.DiffAugment", key: value}, "augment", None)


# Every augmentation.


@pytest.mark.parametrize(("name", "augment"), [("diffaugment", DiffAugment()), ("ada", ADA())])
def test_configuration_file_spells_out_the_defaults(name: str, augment: DiffAugment | ADA) -> None:
    node = OmegaConf.to_container(OmegaConf.load(f"{CONF_DIR}/augment/{name}.yaml"))
    assert isinstance(node, dict)
    assert create({str(key): value for key, value in node.items()}, "augment", None) == augment
    assert set(node) - {"_target_"} == {field.name for field in fields(augment) if field.init}


@every_augment
def test_equal_draws_make_equal_changes_and_other_draws_others(augment: Augment) -> None:
    images = torch.rand(6, 3, 8, 8)
    seen = augment(images, draws())
    assert torch.equal(augment(images, draws()), seen)
    for other in (draws(index=1), draws(purpose="generator"), draws(seed=1)):
        assert not torch.equal(augment(images, other), seen)


@every_augment
def test_each_image_is_changed_in_its_own_way(augment: Augment) -> None:
    images = torch.rand(1, 3, 8, 8).expand(12, -1, -1, -1)
    seen = augment(images, draws())
    assert seen.shape == images.shape
    same = [torch.equal(one, other) for one, other in combinations(seen, 2)]
    assert sum(same) <= (1 if augment == AUGMENTS[2] else 0)  # at p = 1/2 one or two may be left as they are


@every_augment
@pytest.mark.parametrize("channels", [1, 3])
def test_what_is_seen_of_an_image_depends_on_no_other(augment: Augment, channels: int) -> None:
    images = torch.rand(6, channels, 8, 8)
    changed = images.clone()
    changed[2] = torch.rand(channels, 8, 8)
    seen, after = augment(images, draws()), augment(changed, draws())
    moved = [not torch.equal(one, other) for one, other in zip(seen, after, strict=True)]
    assert moved == [i == 2 for i in range(6)]


@pytest.mark.exhaustive(1)
@every_augment
@pytest.mark.parametrize("channels", [1, 3])
def test_derivatives_are_those_of_finite_differences_twice(augment: Augment, channels: int) -> None:
    images = torch.randn(2, channels, 3, 4, dtype=torch.float64, requires_grad=True)

    def seen(images: Tensor) -> Tensor:
        return augment(images, draws())

    assert torch.autograd.gradcheck(seen, images)
    assert torch.autograd.gradgradcheck(lambda images: seen(images).tanh(), images)


@every_augment
def test_a_penalty_on_the_gradient_reaches_the_critic_through_it(augment: Augment) -> None:
    critic = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Tanh(), nn.Flatten(), nn.Linear(4 * 36, 1))
    images = torch.rand(6, 3, 8, 8, requires_grad=True)
    (slope,) = torch.autograd.grad(critic(augment(images, draws())).sum(), images, create_graph=True)
    slope.square().sum().backward()
    weight = critic[0].weight
    assert isinstance(weight, nn.Parameter)
    assert weight.grad is not None
    assert bool(weight.grad.abs().min() > 0)


@every_augment
def test_it_is_a_function_to_torch_func_and_leaves_its_input_alone(augment: Augment) -> None:
    images = torch.rand(4, 3, 6, 6)
    before = images.clone()

    def energy(images: Tensor) -> Tensor:
        return augment(images, draws()).square().sum()

    gradient = torch.func.grad(energy)(images)
    assert torch.equal(images, before)
    (expected,) = torch.autograd.grad(energy(leaf := images.clone().requires_grad_()), leaf)
    assert_close(gradient, expected)


@every_augment
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("channels", [1, 3])
def test_type_is_kept_and_mixed_precision_changes_nothing(augment: Augment, dtype: torch.dtype, channels: int) -> None:
    images = (torch.rand(6, channels, 8, 8, dtype=torch.float64) * 2 - 1).to(dtype)
    seen = augment(images, draws())
    assert seen.dtype == dtype
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(augment(images, draws()), seen)
    exact = augment(images.double(), draws())
    assert_close(seen.double(), exact, rtol=0, atol={torch.bfloat16: 0.1}.get(dtype, 1e-5))
