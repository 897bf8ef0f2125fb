"""Two domains from MNIST that share no digit; the colored one is MNIST in colors that people see and can take away."""

from colorsys import hsv_to_rgb, rgb_to_hsv

import pytest
import torch
from torch import Tensor

from gan_cli.data import digits_recoloured, mnist
from gan_cli.data.dataset import Dataset
from gan_cli.data.digits_recoloured import recolored, uncolored
from gan_cli.data.unpaired import Unpaired
from gan_cli.extractors import mnist as classifiers


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return mnist.load("test")


@pytest.fixture(scope="module")
def pair() -> Unpaired:
    return digits_recoloured.load("test")


def labels_of(dataset: Dataset) -> Tensor:
    assert dataset.labels is not None
    return dataset.labels


def colors(samples: Tensor) -> tuple[Tensor, Tensor]:
    """Ground and ink of each image, (N, 3) in [0, 1]: its color in a corner, and where it is farthest from that."""
    ground = samples[:, :, 0, 0].double() / 255
    flat = samples.flatten(2).double() / 255
    farthest = (flat - ground[:, :, None]).norm(dim=1).argmax(1)
    return ground, flat[torch.arange(len(flat)), :, farthest]


def test_the_domains_are_every_second_digit_and_the_others(digits, pair):
    assert len(pair.a) == len(pair.b) == 5000
    assert pair.a.samples.dtype == pair.b.samples.dtype == torch.uint8
    assert pair.sample_shape == (3, 28, 28)
    assert torch.equal(pair.a.samples, digits.samples[0::2].expand(-1, 3, -1, -1))
    assert torch.equal(labels_of(pair.a), labels_of(digits)[0::2])
    assert torch.equal(labels_of(pair.b), labels_of(digits)[1::2])
    whole = {image.tobytes() for image in digits.samples.numpy()}
    assert len(whole) == len(digits)  # no digit is twice in MNIST, so none is in both halves


def test_the_training_images_are_of_the_training_split():
    pair, digits = digits_recoloured.load(), mnist.load()
    assert len(pair.a) == len(pair.b) == 30_000
    assert torch.equal(pair.a.samples[:100, 0], digits.samples[:200:2, 0])
    assert torch.equal(labels_of(pair.b), labels_of(digits)[1::2])
    assert torch.equal(pair.b.samples[:300], recolored(digits.samples[1:601:2]))


def test_an_image_is_a_mixture_of_its_two_colors_by_the_brightness_of_its_digit(digits, pair):
    for number in range(200):
        samples, digit = pair.b.samples[number].double(), digits.samples[2 * number + 1, 0].double() / 255
        (ground,), (ink,) = colors(pair.b.samples[number : number + 1])
        mixed = ground[:, None, None] + digit / digit.max() * (ink - ground)[:, None, None]
        assert float((samples - 255 * mixed).abs().max()) < 1.5


def test_grounds_are_bright_and_inks_dark_of_the_other_side_of_the_wheel(pair):
    grounds, inks = colors(pair.b.samples[:2000])
    hues = []
    for ground, ink in zip(grounds.tolist(), inks.tolist(), strict=True):
        hue, saturation, value = rgb_to_hsv(*ground)
        ink_hue, ink_saturation, ink_value = rgb_to_hsv(*ink)
        assert 0.19 < saturation < 0.41
        assert value > 0.91
        assert ink_saturation > 0.7
        assert 0.24 < ink_value < 0.52
        assert 0.37 < (ink_hue - hue) % 1 < 0.63
        hues.append(hue)
    assert (grounds - inks).norm(dim=1).min() > 0.5
    counts = (torch.tensor(hues) * 10).long().bincount(minlength=10)  # 200 of each tenth, give or take 13
    assert counts.min() > 140
    assert counts.max() < 260


@pytest.mark.parametrize("hue", [0.0, 0.1, 1 / 6, 0.3, 1 / 3, 0.5, 0.6, 2 / 3, 0.8, 0.99])
def test_colors_are_those_of_the_hexcone(hue):
    for saturation, value in ((0.0, 0.7), (0.3, 1.0), (1.0, 0.4)):
        made = digits_recoloured._rgb(*(torch.tensor([number]) for number in (hue, saturation, value)))
        assert made.flatten().tolist() == pytest.approx(hsv_to_rgb(hue, saturation, value), abs=1e-6)


def test_colors_depend_on_the_data_seed_and_the_place_alone(digits):
    first = recolored(digits.samples[:500], 4)
    torch.manual_seed(77)
    assert torch.equal(recolored(digits.samples[:500], 4), first)
    assert torch.equal(recolored(digits.samples[:16], 4), first[:16])
    assert not (recolored(digits.samples[:500], 5) == first).flatten(1).all(1).any()
    other = recolored(digits.samples[500:1000], 4)
    assert torch.equal(other[:, :, 0, 0], first[:, :, 0, 0])


def test_more_images_than_are_mixed_at_once_are_mixed_alike(digits, monkeypatch):
    expected = recolored(digits.samples[:100])
    monkeypatch.setattr(digits_recoloured, "_CHUNK", 33)
    assert torch.equal(recolored(digits.samples[:100]), expected)


def test_colors_can_be_taken_away(digits, pair):
    original = digits.samples.float()
    original = (original * 255 / original.amax((1, 2, 3), keepdim=True)).round().int()
    assert torch.equal(uncolored(pair.a.samples).int(), original[0::2])
    assert int((uncolored(pair.b.samples).int() - original[1::2]).abs().max()) <= 2
    assert not uncolored(torch.full((2, 3, 28, 28), 200, dtype=torch.uint8)).any()


@pytest.mark.parametrize("name", classifiers.NAMES)
def test_the_classifiers_read_digits_whose_colors_were_taken_away(name, pair):
    judge = classifiers.load(name)
    for side in (pair.a, pair.b):
        first = side.first(1000)
        read = judge(uncolored(first.samples))[1].argmax(1)
        assert float((read == labels_of(first)).float().mean()) >= 0.985
