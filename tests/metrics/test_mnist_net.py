"""The feature networks that are shipped: what their files claim, and that the kernel distance sees what it should."""

import hashlib
from functools import cache
from itertools import pairwise

import pytest
import torch
from safetensors import safe_open
from torch import Tensor

from gan_cli.data import mnist
from gan_cli.data.dataset import Dataset
from gan_cli.extractors.files import WEIGHTS
from gan_cli.extractors.mnist import NAMES, load
from gan_cli.metrics.kid import polynomial_mmd2
from gan_cli.metrics.mnist_net import MNISTNet, as_input

each = pytest.mark.parametrize("name", NAMES)
SHA256 = {
    "mnist_v1": "617e98ee75ce48fabbf3ad2d85e8e2640854047b6e036821ea1b483ce8191f7f",
    "mnist_report_v1": "79b5a604842b0d5e03cd75a238baadd0b9c4d811d4abcf6f63a85b42ac692add",
}
"""A retrained network gets a new name: values under one name stay comparable."""

data = cache(mnist.load)
network = cache(load)


def metadata(name: str) -> dict[str, str]:
    with safe_open(WEIGHTS / f"{name}.safetensors", framework="pt") as file:
        return dict(file.metadata())


def outputs(name: str, images: Tensor, batch: int = 500) -> tuple[Tensor, Tensor]:
    """The embedding and the logits."""
    found = [network(name)(chunk) for chunk in images.split(batch)]
    return torch.cat([embedding for embedding, _ in found]), torch.cat([logits for _, logits in found])


@cache
def on_test(name: str) -> tuple[Tensor, Tensor]:
    return outputs(name, data("test").samples)


@cache
def some_of_train(name: str) -> Tensor:
    """The embedding of every third training image; an odd stride, see the test of the two groups below."""
    return outputs(name, data("train").samples[::3])[0]


def labels(of: Dataset) -> Tensor:
    assert of.labels is not None
    return of.labels


@each
def test_weights_of_a_name_never_change(name: str) -> None:
    assert hashlib.sha256((WEIGHTS / f"{name}.safetensors").read_bytes()).hexdigest() == SHA256[name]


@each
def test_file_says_how_it_was_made_and_on_these_data(name: str) -> None:
    train = data("train")
    content = train.samples.numpy().tobytes() + labels(train).byte().numpy().tobytes()
    found = metadata(name)
    assert found["data_sha256"] == hashlib.sha256(content).hexdigest()
    assert {"arch", "seed", "torch", "test_accuracy", "embedding_mean", "embedding_variance"} <= found.keys()


@each
def test_accuracy_is_what_the_file_says_and_above_99_2_percent(name: str) -> None:
    _, logits = on_test(name)
    accuracy = float((logits.argmax(1) == labels(data("test"))).double().mean())
    assert accuracy == pytest.approx(float(metadata(name)["test_accuracy"]), abs=0.001)
    assert accuracy > 0.992


@each
def test_embedding_is_standardized_on_the_training_images_and_no_unit_is_dead(name: str) -> None:
    embedding = some_of_train(name).double()
    assert embedding.shape == (20_000, 64)
    assert float(embedding.mean(0).abs().max()) < 0.05
    variance = embedding.var(0)
    assert 0.9 < float(variance.min()) < float(variance.max()) < 1.1
    # A unit that is constant but for a few images has all its variance from them.
    assert float((embedding.abs() < 0.1).double().mean(0).max()) < 0.3
    low, high = (float(end) for end in metadata(name)["embedding_variance"].split(" to "))
    assert 0.99 < low < high < 1.01 or low == high == 1


@each
def test_embedding_of_held_out_images_is_that_of_training_images(name: str) -> None:
    embedding, _ = on_test(name)
    assert float(embedding.mean(0).abs().max()) < 0.15
    assert float((embedding.var(0) - 1).abs().max()) < 0.15


def test_the_two_networks_are_not_one() -> None:
    one, other = (some_of_train(name).double() for name in NAMES)
    assert float((one.T @ other / len(one)).abs().max()) < 0.98  # no unit of one is one of the other
    assert metadata(NAMES[0])["seed"] != metadata(NAMES[1])["seed"]
    wrong = [on_test(name)[1].argmax(1) != labels(data("test")) for name in NAMES]
    assert not torch.equal(*wrong)


@each
@pytest.mark.parametrize("batch", [1, 7, 64, 250])
def test_features_do_not_depend_on_the_batch(name: str, batch: int) -> None:
    images = data("test").samples[:250]
    reference, logits = (found[:250] for found in on_test(name))
    found = outputs(name, images, batch)
    assert torch.allclose(found[0], reference, rtol=1e-5, atol=1e-5)
    assert torch.allclose(found[1], logits, rtol=1e-5, atol=1e-4)


@each
def test_network_is_frozen_and_using_it_leaves_it_as_it_was(name: str) -> None:
    loaded = load(name)
    before = {key: tensor.clone() for key, tensor in loaded.state_dict().items()}
    embedding, logits = loaded(data("test").samples[:100])
    assert embedding.dtype == logits.dtype == torch.float32
    assert not embedding.requires_grad
    assert not logits.requires_grad
    assert not any(parameter.requires_grad for parameter in loaded.parameters())
    assert not any(module.training for module in loaded.modules())
    after = loaded.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(tensor, after[key]) for key, tensor in before.items())


def test_loading_draws_nothing_at_random() -> None:
    before = torch.random.get_rng_state()
    load("mnist_v1")
    assert torch.equal(torch.random.get_rng_state(), before)
    MNISTNet()
    assert not torch.equal(torch.random.get_rng_state(), before)  # what a freshly built one would have drawn


def test_unknown_name_is_refused() -> None:
    with pytest.raises(ValueError, match="no feature network 'mnist_v2', only mnist_v1 and mnist_report_v1"):
        load("mnist_v2")


def test_bytes_become_minus_one_to_one() -> None:
    images = torch.zeros(2, 1, 28, 28, dtype=torch.uint8)
    images[1] = 255
    images[1, 0, 3, 4] = 51
    seen = as_input(images)
    assert seen.dtype == torch.float32
    assert torch.equal(seen[0], torch.full((1, 28, 28), -1.0))
    assert float(seen[1, 0, 3, 4]) == pytest.approx(51 / 127.5 - 1)
    assert float(seen[1, 0, 0, 0]) == 1
    assert torch.equal(images[1, 0, 0, :2], torch.tensor([255, 255], dtype=torch.uint8))  # left as they were


@pytest.mark.parametrize(
    "images",
    [
        torch.zeros(4, 1, 28, 28),
        torch.rand(4, 1, 28, 28, generator=torch.Generator().manual_seed(0)) * 2 - 1,
        torch.full((4, 1, 28, 28), 255.0),
        torch.zeros(4, 1, 28, 28, dtype=torch.float64),
        torch.zeros(4, 1, 28, 28, dtype=torch.int64),
        torch.zeros(4, 1, 28, 28, dtype=torch.int8),
        torch.zeros(4, 1, 28, 28, dtype=torch.bool),
        torch.zeros(4, 28, 28, dtype=torch.uint8),
        torch.zeros(1, 28, 28, dtype=torch.uint8),
        torch.zeros(4, 3, 28, 28, dtype=torch.uint8),
        torch.zeros(4, 28, 28, 1, dtype=torch.uint8),
        torch.zeros(4, 1, 32, 32, dtype=torch.uint8),
        torch.zeros(4, 784, dtype=torch.uint8),
        torch.zeros(2, 4, 1, 28, 28, dtype=torch.uint8),
    ],
    ids=lambda images: f"{str(images.dtype).removeprefix('torch.')}-{'x'.join(map(str, images.shape))}",
)
def test_other_types_and_shapes_are_refused(images: Tensor) -> None:
    with pytest.raises(ValueError, match=r"takes uint8 images \(N, 1, 28, 28\) with values 0 to 255, not ") as caught:
        network("mnist_v1")(images)
    assert str(tuple(images.shape)) in str(caught.value)
    assert str(images.dtype).removeprefix("torch.") in str(caught.value)


@each
def test_every_pixel_counts_the_border_too(name: str) -> None:
    pixels = torch.eye(784).mul(255).byte().reshape(784, 1, 28, 28)
    black, _ = network(name)(torch.zeros(1, 1, 28, 28, dtype=torch.uint8))
    embedding, _ = outputs(name, pixels)
    assert float((embedding - black).norm(dim=1).min()) > 0.01


def noisy(images: Tensor, std: float) -> Tensor:
    noise = torch.randn(images.shape, generator=torch.Generator().manual_seed(0))
    return (images.float() + std * noise).round().clamp(0, 255).byte()


@each
def test_distance_grows_with_noise(name: str) -> None:
    real, images = some_of_train(name)[::7], data("test").samples[::4]
    found = [polynomial_mmd2(real, outputs(name, noisy(images, std))[0]) for std in (0, 4, 8, 16, 32)]
    assert abs(found[0]) < 0.01
    assert all(more > less + 0.003 for less, more in pairwise(found)), found
    assert found[-1] > 1


@each
def test_distance_grows_with_dropped_classes(name: str) -> None:
    real = some_of_train(name)[::7]
    embedding, of = on_test(name)[0][::2], labels(data("test"))[::2]
    for order in (range(10), range(9, -1, -1)):
        dropped = [torch.isin(of, torch.tensor(list(order)[:count], dtype=torch.int64)) for count in (0, 1, 2, 5)]
        found = [polynomial_mmd2(real, embedding[~gone]) for gone in dropped]
        assert abs(found[0]) < 0.01
        assert all(more > less + 0.02 for less, more in pairwise(found)), found


@each
def test_distance_between_samples_of_the_training_images_is_near_zero(name: str) -> None:
    one, other, *_ = some_of_train(name).split(5000)
    assert abs(polynomial_mmd2(one, other)) < 0.004  # its standard deviation is 0.001


@each
def test_distance_tells_the_two_groups_of_writers_apart(name: str) -> None:
    """MNIST mixes two collections: training images of even and of odd number, the first and the second half of test.

    A subset of even stride, or the first images of test, are therefore no fair sample.
    """
    embedding, held_out = some_of_train(name), on_test(name)[0]
    even, more_even, odd = embedding[0:5000:2], embedding[10_000:15_000:2], embedding[1:5000:2]
    first, second = held_out[:5000:2], held_out[5000::2]
    assert abs(polynomial_mmd2(even, more_even)) < 0.01
    assert polynomial_mmd2(even, odd) > 0.04
    for group, near, far in ((even, first, second), (odd, second, first)):
        assert polynomial_mmd2(group, near) < 0.02
        assert polynomial_mmd2(group, far) > 0.03
