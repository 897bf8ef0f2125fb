"""What stands before the critic: an exact mirror for half of the images, the augmentation, noise as wide as it says."""

from dataclasses import dataclass, field

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from gan_cli.augment import Augment
from gan_cli.augment.diffaugment import DiffAugment
from gan_cli.augment.none import NoAugment
from gan_cli.streams import Draws, Streams
from gan_cli.view import View

CPU = torch.device("cpu")
EVERYTHING = View(flip=True, augment=DiffAugment(), noise=0.3)


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


def draws(index: int = 0, purpose: str = "discriminator/real") -> Draws:
    return Streams(0, CPU).draws(purpose, index)


@dataclass(frozen=True)
class Halved(Augment):
    """Half of each image; notes what it was given."""

    given: list[Tensor] = field(default_factory=list)

    def __call__(self, images: Tensor, draws: Draws) -> Tensor:
        self.given.append(images)
        return images / 2


def test_equal_draws_show_equal_changes_and_all_others_others() -> None:
    images = torch.rand(8, 3, 6, 6)
    seen = EVERYTHING(images, draws())
    assert torch.equal(EVERYTHING(images, draws()), seen)
    for other in (draws(1), draws(0, "discriminator/fake"), draws(0, "generator/fake")):
        assert not torch.equal(EVERYTHING(images, other), seen)
    # The changes are the images' own and not of what they show: noise is the same beside other images.
    other_images = torch.rand(8, 3, 6, 6)
    noisy = View(noise=0.3)
    assert_close(noisy(images, draws()) - images, noisy(other_images, draws()) - other_images, rtol=0, atol=1e-6)


@pytest.mark.parametrize("shape", [(5, 3, 4, 6), (5, 2)])
def test_without_flip_augmentation_and_noise_samples_are_seen_bit_by_bit_and_nothing_is_drawn(
    shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> Tensor:
        raise AssertionError("nothing is to be drawn")

    monkeypatch.setattr(Draws, "uniform", refuse)
    monkeypatch.setattr(Draws, "normal", refuse)
    samples = torch.randn(shape)
    assert torch.equal(View()(samples, draws()), samples)
    assert torch.equal(View(flip=False, augment=NoAugment(), noise=0.0)(samples, draws()), samples)


def test_flip_is_the_exact_mirror_of_about_half_of_the_images() -> None:
    count = 4000
    images = torch.randn(count, 2, 3, 5)
    mirrored = {}
    for index in range(2):
        seen = View(flip=True)(images, draws(index))
        as_it_is = (seen == images).flatten(1).all(1)
        mirrored[index] = (seen == images.flip(3)).flatten(1).all(1)
        assert torch.equal(as_it_is, ~mirrored[index])
        # A fair coin for each image: its standard deviation is sqrt(count) / 2.
        assert abs(int(mirrored[index].sum()) - count / 2) < 5 * count**0.5 / 2
    both = int((mirrored[0] & mirrored[1]).sum())
    assert abs(both - count / 4) < 5 * (count * 3 / 16) ** 0.5  # drawn anew
    neighbors = int((mirrored[0][1:] == mirrored[0][:-1]).sum())
    assert abs(neighbors - count / 2) < 5 * count**0.5 / 2  # and for each image apart


@pytest.mark.parametrize("shape", [(500, 3, 8, 8), (20_000, 2)])
def test_noise_is_standard_normal_times_its_deviation_and_independent_in_every_number(shape: tuple[int, ...]) -> None:
    samples = torch.randn(shape, dtype=torch.float64)
    noise = ((View(noise=0.25)(samples, draws()) - samples) / 0.25).flatten(1)
    count = noise.numel()
    assert abs(float(noise.mean())) < 5 / count**0.5
    assert float(noise.square().mean()) == pytest.approx(1, abs=5 * (2 / count) ** 0.5)
    assert float(noise.pow(4).mean()) == pytest.approx(3, abs=5 * (96 / count) ** 0.5)  # normal, not uniform
    # Between one number of a sample and the next, and between one sample and the next.
    for one, next_ in ((noise[:, :-1], noise[:, 1:]), (noise[:-1], noise[1:])):
        assert abs(float((one * next_).mean())) < 5 / one.numel() ** 0.5
    other = ((View(noise=0.25)(samples, draws(1)) - samples) / 0.25).flatten(1)
    assert abs(float((noise * other).mean())) < 5 / count**0.5


def test_noise_scales_with_its_deviation_which_may_be_set_anew() -> None:
    view, samples = View(noise=0.5), torch.zeros(6, 1, 4, 4)
    half = view(samples, draws())
    view.noise = 0.25
    assert torch.equal(view(samples, draws()), half / 2)
    view.noise = 0.0
    assert torch.equal(view(samples, draws()), samples)


def test_order_is_flip_then_augmentation_then_noise() -> None:
    images, halved = torch.randn(64, 1, 3, 4), Halved()
    seen = View(flip=True, augment=halved, noise=0.1)(images, draws())
    (given,) = halved.given
    assert torch.equal(given, View(flip=True)(images, draws()))  # neither halved nor noisy
    assert not torch.equal(given, images)
    noise = View(noise=0.1)(torch.zeros_like(images), draws())
    assert_close(seen - given / 2, noise, rtol=0, atol=1e-6)  # not halved


def test_derivative_of_a_view_is_that_of_mirroring_and_noise_passes_gradients_on() -> None:
    images = torch.randn(16, 2, 3, 4, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(16, 2, 3, 4, dtype=torch.float64)
    (gradient,) = torch.autograd.grad((View(flip=True, noise=0.5)(images, draws()) * weight).sum(), images)
    assert torch.equal(gradient, View(flip=True)(weight, draws()))  # a mirror is its own transpose


def test_derivatives_through_everything_are_those_of_finite_differences() -> None:
    images = torch.randn(3, 3, 4, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: EVERYTHING(x, draws()), images)


def test_what_is_seen_of_a_sample_depends_on_no_other() -> None:
    images = torch.rand(6, 3, 4, 4)
    changed = images.clone()
    changed[2] = 0
    same = (EVERYTHING(images, draws()) == EVERYTHING(changed, draws())).flatten(1).all(1)
    assert same.tolist() == [True, True, False, True, True, True]
