"""Real images to compare with, and as many others that tell what a perfect generator would score."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from gan_cli.data.dataset import Dataset
from gan_cli.evaluation.cache import Tensors, cached
from gan_cli.evaluation.scores import Compared, Score, scores
from gan_cli.evaluation.seen import Seen, look
from gan_cli.extractors import CHUNK, Extractor
from gan_cli.metrics.classes import histogram
from gan_cli.metrics.frechet import Moments
from gan_cli.metrics.standardize import Standardizer, standardizer
from gan_cli.streams import Streams

VERSION = 2
"""To be raised with every change of what is computed here or in `scores`: what older code has stored is void then."""


@dataclass(frozen=True)
class Split:
    """Which real images are compared with, and which stand in for a perfect generator.

    The images are shuffled first: in files they stand in an order, and MNIST's own is far from random.

    Attributes:
        held_out: int64, as many as samples are drawn, at most half of all.
        compared: int64, others, up to a limit.
    """

    held_out: Tensor
    compared: Tensor

    @property
    def places(self) -> Tensor:
        """All of them, the held-out ones first."""
        return torch.cat([self.held_out, self.compared])

    @classmethod
    def of(cls, size: int, count: int, most: int) -> "Split":
        """The split of `size` images for `count` samples, with at most `most` to compare with; always the same one."""
        order = Streams(0, torch.device("cpu")).permutation("evaluation/split", 0, size)
        held_out = min(count, size // 2)
        return cls(order[:held_out], order[held_out : held_out + most])


@dataclass(frozen=True)
class Reference:
    """Statistics of real images under an extractor.

    Attributes:
        compared: what samples are compared with.
        held_out: float32 (n, d), the features of the others.
        floors: what the others score, by name.
        standardizer: makes features of samples comparable; None where they are as they come.
        split: the images' places in the data.
        key: what these statistics were computed from.
    """

    compared: Compared
    held_out: Tensor
    floors: Mapping[str, Score]
    standardizer: Standardizer | None
    split: Split
    key: Mapping[str, str | int]

    @classmethod
    def of(cls, dataset: Dataset, data_digest: str, extractor: Extractor, split: Split, cache: Path) -> "Reference":
        """Computed, or found in the cache.

        Args:
            dataset: images; its samples may be on any device.
            data_digest: its fingerprint.
        """
        key: dict[str, str | int] = {
            "what": "reference",
            "version": VERSION,
            "data": data_digest,
            "extractor": extractor.name,
            "extractor_digest": extractor.digest,
            "held_out": len(split.held_out),
            "compared": len(split.compared),
        }
        found = cached(cache, key, lambda: _made(dataset, extractor, split))
        floors = {
            name.removeprefix("floor/"): Score(float(value[0]), int(value[1]))
            for name, value in found.items()
            if name.startswith("floor/")
        }
        standard = (
            Standardizer(found["standard/mean"], found["standard/scale"], found["standard/kept"])
            if extractor.standardize
            else None
        )
        compared = _compared(found, extractor)
        return cls(compared, found["held_out"], floors, standard, split, key)


def pictures(dataset: Dataset, indices: Tensor, mirrored: bool = False) -> Iterator[Tensor]:
    """Images of the data by their places, in batches, on the data's device."""
    for chosen in indices.split(CHUNK):
        batch = dataset.samples[chosen.to(dataset.samples.device)]
        yield batch.flip(-1) if mirrored else batch


def knows(extractor: Extractor, dataset: Dataset) -> bool:
    """Whether the extractor's classes are those of the data, and not others of which there are as many."""
    fits = extractor.name in (dataset.judges.select, dataset.judges.report)
    return fits and extractor.num_classes == len(dataset.classes)


def standardized(seen: Seen, standard: Standardizer | None) -> Seen:
    """The same images, with features on the reference's scale where they are not so by themselves."""
    return seen if standard is None else replace(seen, embedding=standard(seen.embedding).float())


def _made(dataset: Dataset, extractor: Extractor, split: Split) -> Tensors:
    real = look(pictures(dataset, split.compared), extractor)
    labels = None if dataset.labels is None else dataset.labels.cpu()[split.held_out]
    held_out = look(pictures(dataset, split.held_out), extractor, labels if knows(extractor, dataset) else None)
    made: Tensors = {}
    if extractor.standardize:
        standard = standardizer(real.embedding)
        real, held_out = standardized(real, standard), standardized(held_out, standard)
        made |= {"standard/mean": standard.mean, "standard/scale": standard.scale, "standard/kept": standard.kept}
    moments = Moments.of(real.embedding)
    made |= {"compared": real.embedding, "held_out": held_out.embedding}
    made |= {"mean": moments.mean, "covariance": moments.covariance}
    if real.classes is not None:
        made["shares"] = histogram(real.classes, extractor.num_classes)
    for name, score in scores(held_out, _compared(made, extractor)).items():
        made[f"floor/{name}"] = torch.tensor([score.value, score.count], dtype=torch.float64)
    return made


def _compared(tensors: Tensors, extractor: Extractor) -> Compared:
    moments = Moments(tensors["mean"], tensors["covariance"], len(tensors["compared"]))
    return Compared(tensors["compared"], moments, tensors.get("shares"), extractor.uniform_classes)
