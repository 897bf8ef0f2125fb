"""What every extractor promises, held to each that needs no file of the user's."""

import hashlib
import socket
from functools import cache

import pytest
import torch
from torch import Tensor

from gan_cli.errors import Refused
from gan_cli.extractors import NAMES, Extractor, open_extractor
from gan_cli.extractors.extractor import as_rgb, fingerprint, resized
from gan_cli.extractors.files import WEIGHTS

SHIPPED = ("mnist_v1", "mnist_report_v1", "random_v1")
CASES = [(name, channels) for name in SHIPPED for channels in (1, 3)]
each = pytest.mark.parametrize(("name", "channels"), CASES)
DIGESTS = {
    ("mnist_v1", 1): "10f669c838ad21d0",
    ("mnist_v1", 3): "263009c11745c8b0",
    ("mnist_report_v1", 1): "7edbb1aaa3678d4e",
    ("mnist_report_v1", 3): "5364a624228dab8a",
    ("random_v1", 1): "7872387c5b9ab558",
    ("random_v1", 3): "7872387c5b9ab558",
}
"""A change of weights or arithmetic needs a new name or version: values of one digest stay comparable."""


@cache
def opened(name: str, channels: int = 3) -> Extractor:
    return open_extractor(name, (channels, 64, 64))


def pictures(count: int, channels: int = 3, size: tuple[int, int] = (64, 64), seed: int = 0) -> Tensor:
    """Smooth random colors with a few sharp edges."""
    random = torch.Generator().manual_seed(seed)
    coarse = torch.randint(0, 256, (count, channels, 5, 5), generator=random, dtype=torch.uint8)
    images = torch.nn.functional.interpolate(coarse.float(), size, mode="bilinear").byte()
    images[:, :, : size[0] // 3] = 255
    return images


@each
def test_features_have_the_shape_and_type_that_the_extractor_states(name: str, channels: int) -> None:
    extractor = opened(name, channels)
    found = extractor(pictures(3, channels))
    assert extractor.name == name
    assert found.embedding.shape == (3, extractor.dim)
    assert found.embedding.dtype == torch.float32
    assert not found.embedding.requires_grad
    if extractor.num_classes:
        assert found.logits is not None
        assert found.logits.shape == (3, extractor.num_classes)
        assert found.logits.dtype == torch.float32
    else:
        assert found.logits is None


@each
def test_digests_are_those_of_the_release(name: str, channels: int) -> None:
    assert opened(name, channels).digest == DIGESTS[name, channels]


def test_random_weights_of_a_name_never_change() -> None:
    content = (WEIGHTS / "random_v1.safetensors").read_bytes()
    assert hashlib.sha256(content).hexdigest() == "54e6e75e665d811d57384f4cc7e6ade545936fe8b4ed4c8758100a513b1777dd"


@each
@pytest.mark.parametrize("batch", [250, 64, 7])
def test_features_do_not_depend_on_the_batch(name: str, channels: int, batch: int) -> None:
    extractor, images = opened(name, channels), pictures(260, channels)
    whole = extractor(images)
    parts = [extractor(chunk) for chunk in images.split(batch)]
    embedding = torch.cat([part.embedding for part in parts])
    assert float((embedding - whole.embedding).norm() / whole.embedding.norm()) < 1e-5
    assert torch.allclose(embedding, whole.embedding, rtol=1e-5, atol=1e-5 * float(whole.embedding.abs().max()))


@each
def test_using_an_extractor_changes_nothing_in_it_and_draws_nothing(name: str, channels: int) -> None:
    random = torch.random.get_rng_state()
    extractor = open_extractor(name, (channels, 64, 64))
    before = {key: tensor.clone() for key, tensor in extractor.network.state_dict().items()}
    images = pictures(5, channels)
    kept = images.clone()
    extractor(images)
    after = extractor.network.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(tensor, after[key]) for key, tensor in before.items())
    assert torch.equal(images, kept)
    assert not any(parameter.requires_grad for parameter in extractor.network.parameters())
    assert not any(module.training for module in extractor.network.modules())
    assert torch.equal(torch.random.get_rng_state(), random)


@each
@pytest.mark.parametrize("size", [(64, 64), (28, 28), (9, 100)])
def test_any_resolution_is_that_of_the_network_in_the_end(name: str, channels: int, size: tuple[int, int]) -> None:
    extractor, images = opened(name, channels), pictures(2, channels, size)
    own = resized(images, 64 if name == "random_v1" else 28)
    assert torch.equal(extractor(images).embedding, extractor(own).embedding)


@pytest.mark.parametrize(
    "images",
    [
        torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0)),
        torch.zeros(2, 3, 64, 64, dtype=torch.int64),
        torch.zeros(2, 3, 64, 64, dtype=torch.int8),
        torch.zeros(2, 3, 64, 64, dtype=torch.bool),
        torch.zeros(3, 64, 64, dtype=torch.uint8),
        torch.zeros(2, 64, 64, 3, dtype=torch.uint8),
        torch.zeros(2, 4, 64, 64, dtype=torch.uint8),
        torch.zeros(0, 3, 64, 64, dtype=torch.uint8),
        torch.zeros(2, 3, 0, 64, dtype=torch.uint8),
    ],
    ids=lambda images: f"{str(images.dtype).removeprefix('torch.')}-{'x'.join(map(str, images.shape))}",
)
@pytest.mark.parametrize("name", ["mnist_v1", "random_v1"])
def test_anything_but_bytes_is_refused(name: str, images: Tensor) -> None:
    with pytest.raises(ValueError, match=rf"{name} takes uint8 images \(N, .*\) with values 0 to 255, not ") as caught:
        opened(name)(images)
    assert str(tuple(images.shape)) in str(caught.value)


def test_images_of_another_device_are_refused() -> None:
    with pytest.raises(ValueError, match="random_v1 is on cpu, the images are on meta"):
        opened("random_v1")(torch.zeros(2, 3, 64, 64, dtype=torch.uint8, device="meta"))


def test_another_device_gets_a_copy() -> None:
    extractor = open_extractor("random_v1", (3, 64, 64))
    assert extractor.to(torch.device("cpu")) is extractor
    moved = extractor.to(torch.device("meta"))
    assert (moved.device.type, extractor.device.type) == ("meta", "cpu")
    assert moved.digest == extractor.digest
    extractor(pictures(1))


@pytest.mark.parametrize("name", ["mnist_v1", "random_v1"])
def test_training_in_bfloat16_does_not_reach_the_features(name: str) -> None:
    images = pictures(4)
    with torch.autocast("cpu", torch.bfloat16):
        inside = opened(name)(images).embedding
    assert inside.dtype == torch.float32
    assert torch.equal(inside, opened(name)(images).embedding)


def test_extractor_is_no_part_of_a_module_that_holds_it() -> None:
    holder = torch.nn.Module()
    holder.judge = opened("random_v1")
    assert list(holder.parameters()) == []
    assert holder.state_dict() == {}


def test_nothing_is_downloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a connection")

    for function in ("socket", "create_connection", "getaddrinfo"):
        monkeypatch.setattr(socket, function, refuse)
    for name, channels in CASES:
        open_extractor(name, (channels, 64, 64))(pictures(1, channels))


def test_digests_tell_weights_names_and_arithmetic_apart() -> None:
    weights = {"a": torch.zeros(2, 3), "b": torch.ones(1)}
    one = fingerprint("x/1", weights)
    assert len(one) == 16
    assert fingerprint("x/1", dict(reversed(weights.items()))) == one
    others = [
        fingerprint("x/2", weights),
        fingerprint("x/1", weights | {"a": torch.zeros(3, 2)}),
        fingerprint("x/1", weights | {"a": torch.zeros(2, 3, dtype=torch.int32)}),
        fingerprint("x/1", weights | {"b": torch.tensor([1 + 1e-6])}),
        fingerprint("x/1", {"a": weights["a"], "c": weights["b"]}),
        fingerprint("x/1", {"a": weights["a"]}),
    ]
    assert len({one, *others}) == 7


def test_resizing_averages_and_rounds() -> None:
    images = torch.zeros(1, 1, 56, 56, dtype=torch.uint8)
    images[..., ::2] = (
        255  # stripes of one pixel: 127.5 everywhere but at the border, never 0 or 255 as without a filter
    )
    found = resized(images, 28)
    assert found.dtype == torch.uint8
    assert set(found[0, 0, :, 1:-1].unique().tolist()) <= {127, 128}
    assert resized(found, 28) is found
    flat = torch.full((1, 3, 17, 40), 201, dtype=torch.uint8)
    assert torch.equal(resized(flat, 64), torch.full((1, 3, 64, 64), 201, dtype=torch.uint8))


def test_grey_is_three_equal_channels() -> None:
    grey = pictures(3, 1)
    assert torch.equal(as_rgb(grey), torch.cat([grey] * 3, 1))
    extractor = opened("random_v1")
    assert torch.equal(extractor(grey).embedding, extractor(as_rgb(grey)).embedding)


def test_unknown_name_is_refused_with_those_there_are() -> None:
    with pytest.raises(Refused, match=r"there is no evaluate\.extractor=mnist_v2: use one of mnist_v1, ") as caught:
        open_extractor("mnist_v2", (1, 28, 28))
    assert all(name in str(caught.value) for name in NAMES)


@pytest.mark.parametrize("shape", [(2,), (4, 64, 64), (64, 64, 3)])
@pytest.mark.parametrize("name", NAMES)
def test_samples_that_are_no_images_are_refused(name: str, shape: tuple[int, ...]) -> None:
    with pytest.raises(Refused, match=rf"evaluate.extractor={name} is for grey or RGB images, the samples have shape"):
        open_extractor(name, shape)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "inception"])
def test_file_of_weights_that_would_not_be_used_is_refused(name: str) -> None:
    with pytest.raises(Refused, match=f"inception_weights is for evaluate.extractor=inception, here it is {name}"):
        open_extractor(name, (3, 64, 64), WEIGHTS / "mnist_v1.safetensors")
