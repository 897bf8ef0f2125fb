"""MNIST's networks as extractors, for one digit and for three."""

import pytest
import torch
from torch import Tensor

from gan_cli.data import mnist
from gan_cli.extractors import open_extractor
from gan_cli.extractors.mnist import NAMES, load

each = pytest.mark.parametrize("name", NAMES)


def digits() -> Tensor:
    return mnist.load("test").samples[:30]


@each
def test_one_digit_is_what_the_network_says(name: str) -> None:
    extractor = open_extractor(name, (1, 28, 28))
    found, (embedding, logits) = extractor(digits()), load(name)(digits())
    assert (extractor.dim, extractor.num_classes) == (64, 10)
    assert not extractor.uniform_classes
    assert not extractor.standardize
    assert torch.equal(found.embedding, embedding)
    assert found.logits is not None
    assert torch.equal(found.logits, logits)


@each
def test_three_digits_are_each_ones_features_in_a_row(name: str) -> None:
    extractor = open_extractor(name, (3, 28, 28))
    assert (extractor.dim, extractor.num_classes) == (192, 1000)
    assert extractor.uniform_classes
    a, b, c = digits().split(10)
    found = extractor(torch.cat([a, b, c], 1)).embedding
    expected = torch.cat([load(name)(channel)[0] for channel in (a, b, c)], 1)
    assert torch.allclose(found, expected, rtol=1e-5, atol=1e-5)


@each
def test_class_of_three_digits_is_their_number_and_its_probability_the_product(name: str) -> None:
    a, b, c = digits().split(10)
    logits = open_extractor(name, (3, 28, 28))(torch.cat([a, b, c], 1)).logits
    assert logits is not None
    of = [load(name)(channel)[1] for channel in (a, b, c)]
    classes = [found.argmax(1) for found in of]
    assert torch.equal(logits.argmax(1), 100 * classes[0] + 10 * classes[1] + classes[2])
    p, q, r = (found.double().softmax(1) for found in of)
    product = torch.einsum("na,nb,nc->nabc", p, q, r).flatten(1)
    assert torch.allclose(logits.double().softmax(1), product, rtol=1e-4, atol=1e-7)


def test_stacked_labels_are_those_of_the_data() -> None:
    data = mnist.load("test")
    assert data.labels is not None
    images, labels = data.samples[:600].reshape(200, 3, 28, 28), data.labels[:600].reshape(200, 3)
    logits = open_extractor("mnist_v1", (3, 28, 28))(images).logits
    assert logits is not None
    # As gan_cli.data.stacked_mnist numbers them.
    right = logits.argmax(1) == labels @ torch.tensor([100, 10, 1])
    assert float(right.double().mean()) > 0.94


@pytest.mark.parametrize(("opened", "given"), [(1, 3), (3, 1)])
def test_other_channels_than_it_was_opened_for_are_refused(opened: int, given: int) -> None:
    extractor = open_extractor("mnist_v1", (opened, 28, 28))
    with pytest.raises(ValueError, match=rf"takes uint8 images \(N, {opened}, height, width\)"):
        extractor(torch.zeros(2, given, 28, 28, dtype=torch.uint8))


def test_enlarged_digit_is_read_the_same() -> None:
    extractor = open_extractor("mnist_v1", (1, 56, 56))
    small = digits()
    large = small.repeat_interleave(2, 2).repeat_interleave(2, 3)
    one, other = extractor(small).logits, extractor(large).logits
    assert one is not None
    assert other is not None
    assert torch.equal(one.argmax(1), other.argmax(1))
