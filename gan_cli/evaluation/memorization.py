"""Whether samples are copies: how near they are to training images, as they are and mirrored."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from gan_cli.data.dataset import Dataset
from gan_cli.evaluation.cache import Tensors, cached
from gan_cli.evaluation.reference import Reference, pictures, standardized
from gan_cli.evaluation.scores import Score
from gan_cli.evaluation.seen import Seen, look
from gan_cli.extractors import Extractor
from gan_cli.metrics.neighbors import copied_share, cosine_nearest, mifid, nearest

SEARCHED = 2_000
"""Samples whose nearest training image is searched for; most of the cost of an evaluation."""

_CLOSER = 0.5  # of the real images' own distance: nearer on average than this is suspicious, whatever the feature space


@dataclass(frozen=True)
class Neighbors:
    """The training image nearest to each sample.

    Attributes:
        distances: float64 (n,), Euclidean, in features.
        places: int64 (n,), in the data.
        mirrored: bool (n,), whether it is the mirror image that is so near.
    """

    distances: Tensor
    places: Tensor
    mirrored: Tensor


@dataclass(frozen=True)
class Memory:
    """The training images to search, and how near real images are to other ones.

    Attributes:
        features: float32 (N, d), and of the mirror images.
        places: int64 (N,), theirs in the data.
        baseline: float64 (n,), of held-out images to the nearest training image, or mirror image of one, but the own.
        cosine_baseline: the mean of 1 - |cos| of the same, not mirrored.
    """

    features: Tensor
    mirrored: Tensor
    places: Tensor
    baseline: Tensor
    cosine_baseline: float

    @classmethod
    def of(cls, dataset: Dataset, extractor: Extractor, reference: Reference, cache: Path) -> "Memory":
        """Computed, or found in the cache. Only images of the reference are searched, all of them held-out or not."""

        def made() -> Tensors:
            seen = look(pictures(dataset, places, mirrored=True), extractor)
            mirrored = standardized(seen, reference.standardizer).embedding
            count = min(SEARCHED, len(reference.held_out))
            real = features[:count]
            others = (
                nearest(real, features[count:]),
                nearest(real, mirrored[count:]),
                nearest(real, real, leave_out=True),
                nearest(real, mirrored[:count], leave_out=True),
            )
            cosines = torch.minimum(cosine_nearest(real, features[count:]), cosine_nearest(real, real, leave_out=True))
            baseline = torch.stack([distances for distances, _ in others]).amin(0)
            return {"mirrored": mirrored, "baseline": baseline, "cosine": cosines.mean().reshape(1)}

        places = reference.split.places
        features = torch.cat([reference.held_out, reference.compared.embedding])
        found = cached(cache, {**reference.key, "what": "memory"}, made)
        return cls(features, found["mirrored"], places, found["baseline"], float(found["cosine"]))

    def search(self, seen: Seen) -> Neighbors:
        """The nearest training image of each of the first samples, or mirror image of one."""
        some = seen.embedding[:SEARCHED]
        plain, plain_places = nearest(some, self.features)
        flipped, flipped_places = nearest(some, self.mirrored)
        mirrored = flipped < plain
        places = torch.where(mirrored, flipped_places, plain_places)
        return Neighbors(torch.minimum(plain, flipped), self.places[places], mirrored)

    def scores(self, seen: Seen, found: Neighbors, fid: float | None) -> dict[str, Score]:
        """nn_distance, copied, and mifid where there is a fid."""
        told = {
            "nn_distance": Score(float(found.distances.mean()), len(found.distances)),
            "copied": Score(copied_share(found.distances, self.baseline), len(found.distances)),
        }
        if fid is not None:
            similarity = float(cosine_nearest(seen.embedding[:SEARCHED], self.features).mean())
            told["mifid"] = Score(mifid(fid, similarity, _CLOSER * self.cosine_baseline), len(seen))
        return told

    def floors(self, floors: Mapping[str, Score]) -> dict[str, Score]:
        """What the held-out images score."""
        count = len(self.baseline)
        told = {
            "nn_distance": Score(float(self.baseline.mean()), count),
            "copied": Score(copied_share(self.baseline, self.baseline), count),
        }
        if "fid" in floors:
            told["mifid"] = floors["fid"]
        return told
