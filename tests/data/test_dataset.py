import numpy as np
import pytest
import torch
from PIL import Image

from gan_cli.data import dataset as module
from gan_cli.data.dataset import Dataset, as_network_input


def noise(*shape: int) -> torch.Tensor:
    return torch.randint(0, 256, shape, generator=torch.Generator().manual_seed(1), dtype=torch.uint8)


def test_every_stored_byte_maps_onto_minus_one_to_one_and_back():
    stored = torch.arange(256, dtype=torch.uint8)
    seen = as_network_input(stored)
    torch.testing.assert_close(seen, torch.linspace(-1, 1, 256))
    assert (seen[0], seen[255]) == (-1, 1)
    assert torch.equal(((seen + 1) * 127.5).round().to(torch.uint8), stored)


def test_vectors_reach_the_network_as_they_are():
    vectors = torch.tensor([[-300.0, 0.25], [7.0, 1e9]])
    assert torch.equal(as_network_input(vectors), vectors)


@pytest.mark.parametrize(("count", "kept"), [(None, 5), (5, 5), (2, 2), (99, 5)])
def test_first_keeps_the_first_samples_with_their_labels_and_all_class_names(count, kept):
    samples, labels = noise(5, 1, 2, 2), torch.arange(5)
    limited = Dataset(samples, labels, ("a", "b")).first(count)
    assert torch.equal(limited.samples, samples[:kept])
    assert torch.equal(limited.labels, labels[:kept])
    assert len(limited) == kept
    assert limited.classes == ("a", "b")


def test_first_of_data_without_labels_has_none():
    assert Dataset(noise(5, 1, 2, 2)).first(2).labels is None


@pytest.mark.parametrize("resolution", [5, 8, 23])
@pytest.mark.parametrize("channels", [1, 3])
def test_resizing_agrees_with_pillow(resolution, channels):
    images = noise(3, channels, 12, 16)
    resized = Dataset(images).resized(resolution).samples
    assert resized.dtype == torch.uint8
    for ours, image in zip(resized, images, strict=True):
        for channel, plane in zip(ours, image, strict=True):
            picture = Image.fromarray(plane.numpy()).resize((resolution, resolution), Image.Resampling.BILINEAR)
            reference = torch.from_numpy(np.array(picture))
            torch.testing.assert_close(channel.int(), reference.int(), rtol=0, atol=1)


def test_resizing_in_chunks_changes_nothing(monkeypatch):
    data = Dataset(noise(10, 3, 6, 6), torch.arange(10), ("a",))
    whole = data.resized(4)
    monkeypatch.setattr(module, "_CHUNK", 3)
    chunked = data.resized(4)
    assert torch.equal(chunked.samples, whole.samples)
    assert torch.equal(chunked.labels, data.labels)
    assert chunked.classes == data.classes


@pytest.mark.parametrize(
    ("samples", "resolution"), [(noise(2, 1, 6, 6), None), (noise(2, 1, 6, 6), 6), (torch.rand(2, 6), 3)]
)
def test_data_that_need_no_resizing_are_not_copied(samples, resolution):
    assert Dataset(samples).resized(resolution).samples is samples


@pytest.mark.parametrize(("shape", "is_images"), [((4, 3, 8, 6), True), ((4, 2), False)])
def test_sample_shape_leaves_out_the_number_of_samples(shape, is_images):
    data = Dataset(torch.zeros(shape))
    assert (len(data), *data.sample_shape) == shape
    assert data.is_images == is_images


@pytest.mark.parametrize("labels", [None, torch.arange(2)])
def test_to_takes_samples_and_labels_along(labels):
    moved = Dataset(noise(2, 1, 2, 2), labels, ("a", "b")).to(torch.device("meta"))
    assert moved.samples.device.type == "meta"
    assert moved.labels is None if labels is None else moved.labels.device.type == "meta"
    assert moved.classes == ("a", "b")


def test_digest_is_the_same_for_equal_data_however_they_lie_in_memory():
    samples, labels = noise(4, 3, 5, 6), torch.arange(4)
    digest = Dataset(samples.clone(), labels.clone(), ("a",)).digest()
    by_channel = samples.contiguous(memory_format=torch.channels_last)
    every_other = torch.stack([labels, labels + 9], 1)[:, 0]
    assert Dataset(by_channel, every_other, ("b",)).digest() == digest
    assert len(digest) == 16
    assert int(digest, 16) >= 0


def one_bit_flipped(samples: torch.Tensor) -> torch.Tensor:
    changed = samples.clone()
    changed[3, 0, 2, 1] ^= 1
    return changed


@pytest.mark.parametrize(
    "changed",
    [
        lambda samples, labels: (samples, None),
        lambda samples, labels: (samples, labels.flip(0)),
        lambda samples, labels: (samples.flip(0), labels),
        lambda samples, labels: (samples[:-1], labels[:-1]),
        lambda samples, labels: (samples.reshape(4, 3, 6, 5), labels),
        lambda samples, labels: (one_bit_flipped(samples), labels),
    ],
    ids=["no-labels", "other-labels", "other-order", "fewer", "other-shape", "one-bit"],
)
def test_digest_changes_with_whatever_changes_in_samples_or_labels(changed):
    samples, labels = noise(4, 3, 5, 6), torch.arange(4)
    assert Dataset(*changed(samples, labels)).digest() != Dataset(samples, labels).digest()


def test_digest_tells_vectors_from_each_other_to_the_last_bit():
    vectors = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    moved = vectors.clone()
    moved[1, 1] = torch.nextafter(moved[1, 1], torch.tensor(9.0))
    assert Dataset(moved).digest() != Dataset(vectors).digest() == Dataset(vectors.clone()).digest()
