"""The training images most like given ones, in the features of a network."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from gan_cli.data.dataset import Dataset
from gan_cli.evaluation.cache import Tensors, cached
from gan_cli.evaluation.reference import pictures, standardized
from gan_cli.evaluation.seen import look
from gan_cli.extractors import CHUNK, Extractor
from gan_cli.metrics.neighbors import nearest_several
from gan_cli.metrics.standardize import standardizer

VERSION = 1
"""To be raised with every change of what is kept in the cache."""


@dataclass(frozen=True)
class LookAlikes:
    """For each of n images, its K nearest training images, the nearest first.

    Attributes:
        distances: float64 (n, K), Euclidean, in features.
        places: int64 (n, K), in the data.
        mirrored: bool (n, K), whether it is the mirror image that is so near.
        images: uint8 (n, K, C, H, W), mirrored where that is so.
    """

    distances: Tensor
    places: Tensor
    mirrored: Tensor
    images: Tensor


def look_alikes(
    given: Tensor, count: int, dataset: Dataset, data_digest: str, extractor: Extractor, cache: Path
) -> LookAlikes:
    """Search all training images, as they are and mirrored; their features are computed, or found in the cache.

    Features of networks whose units have no comparable scales are divided by their deviation over the training images.

    Args:
        given: uint8 (n, C, H, W).
        count: K, at most the number of training images.
    """

    def made() -> Tensors:
        every = torch.arange(len(dataset))
        return {
            "plain": look(pictures(dataset, every), extractor).embedding,
            "mirrored": look(pictures(dataset, every, mirrored=True), extractor).embedding,
        }

    key = {"what": "look-alikes", "version": VERSION, "data": data_digest, "extractor_digest": extractor.digest}
    found = cached(cache, key, made)
    asked = look(given.split(CHUNK), extractor)
    plain, mirrored = found["plain"], found["mirrored"]
    if extractor.standardize:
        standard = standardizer(plain)
        plain, mirrored = standard(plain).float(), standard(mirrored).float()
        asked = standardized(asked, standard)
    distances, places, which = nearest_several(asked.embedding, (plain, mirrored), count)
    return LookAlikes(distances, places, which == 1, _shown(dataset, places, which == 1))


def _shown(dataset: Dataset, places: Tensor, mirrored: Tensor) -> Tensor:
    real = dataset.samples[places.flatten().to(dataset.samples.device)].cpu().unflatten(0, tuple(places.shape))
    return torch.where(mirrored[..., None, None, None], real.flip(-1), real)
