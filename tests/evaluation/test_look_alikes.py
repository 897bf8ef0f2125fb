from pathlib import Path

import pytest
import torch

from gan_cli.data import mnist
from gan_cli.evaluation.look_alikes import LookAlikes, look_alikes
from gan_cli.extractors import open_extractor


@pytest.mark.parametrize("name", ["mnist_v1", "random_v1"])
def test_a_training_image_among_the_samples_is_found_and_so_is_a_mirrored_one(name: str, tmp_path: Path) -> None:
    data = mnist.load("test").first(300)
    extractor = open_extractor(name, data.sample_shape)
    given = torch.cat([data.samples[[250, 7]], data.samples[[31]].flip(-1)])

    def found() -> LookAlikes:
        return look_alikes(given, 4, data, data.digest(), extractor, tmp_path)

    first = found()
    assert first.places[:, 0].tolist() == [250, 7, 31]
    assert first.mirrored[:, 0].tolist() == [False, False, True]
    # The last bits of features may depend on their batch.
    assert float((first.distances[:, 0] / first.distances[:, 1]).max()) < 1e-4
    assert torch.equal(first.images[:, 0], given)
    assert (first.distances.diff(dim=1) >= 0).all()
    assert len(list(tmp_path.iterdir())) == 1
    again = found()  # from the cache
    assert torch.equal(again.distances, first.distances)
    assert torch.equal(again.places, first.places)


def test_images_compared_with_themselves_are_themselves_at_no_distance(tmp_path: Path) -> None:
    data = mnist.load("test").first(40)
    extractor = open_extractor("mnist_v1", data.sample_shape)
    found = look_alikes(data.samples, 1, data, data.digest(), extractor, tmp_path)  # the same batch, to the bit
    assert found.distances.flatten().tolist() == [0.0] * 40
    assert found.places.flatten().tolist() == list(range(40))
