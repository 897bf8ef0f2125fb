"""What is told of a set of samples beside real ones: one function, for generated samples and for the floor alike."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from gan_cli.evaluation.seen import Seen
from gan_cli.metrics.classes import class_score, histogram, kl_divergence
from gan_cli.metrics.frechet import Moments, frechet_distance
from gan_cli.metrics.kid import polynomial_mmd2
from gan_cli.metrics.prdc import prdc

IMAGES_PER_FEATURE = 10
"""No Fréchet distance of fewer on either side: its bias, which grows with the square of the features, would outweigh
what it tells."""

KID_LEAST, PRDC_LEAST = 100, 50
PAIRWISE_MOST = 5_000
"""Samples on either side of which all pairs are looked at."""

NEIGHBORS = 5


@dataclass(frozen=True)
class Score:
    """A value, and of how many samples it is."""

    value: float
    count: int


@dataclass(frozen=True)
class Compared:
    """What samples are compared with.

    Attributes:
        embedding: float32 (m, d) of real samples.
        moments: of the same.
        shares: float64 (K,), of the classes; None from a network that tells none apart.
        uniform: whether every class is a mode of which all are equally likely, and are counted.
    """

    embedding: Tensor
    moments: Moments
    shares: Tensor | None
    uniform: bool


def scores(seen: Seen, real: Compared) -> dict[str, Score]:
    """All that these samples are enough for, by name.

    fid, kid; precision, recall, density, coverage; class_kl, score; modes; accuracy.
    """
    told: dict[str, Score] = {}
    n, features = seen.embedding.shape
    if min(n, len(real.embedding)) >= IMAGES_PER_FEATURE * features:
        told["fid"] = Score(frechet_distance(Moments.of(seen.embedding), real.moments), n)
    pair = seen.embedding[:PAIRWISE_MOST], real.embedding[:PAIRWISE_MOST]
    if min(map(len, pair)) >= KID_LEAST:
        told["kid"] = Score(polynomial_mmd2(*pair), len(pair[0]))
    size = min(PAIRWISE_MOST, n, len(real.embedding))
    if size >= PRDC_LEAST:
        found = prdc(real.embedding[:size], seen.embedding[:size], NEIGHBORS)
        values = {"precision": found.precision, "recall": found.recall}
        values |= {"density": found.density, "coverage": found.coverage}
        told |= {name: Score(value, size) for name, value in values.items()}
    return told | _of_classes(seen, real)


def _of_classes(seen: Seen, real: Compared) -> dict[str, Score]:
    told: dict[str, Score] = {}
    if seen.classes is None or real.shares is None:
        return told
    n, num_classes = len(seen), len(real.shares)
    shares = histogram(seen.classes, num_classes)
    target = torch.full_like(shares, 1 / num_classes) if real.uniform else real.shares
    told["class_kl"] = Score(kl_divergence(shares, target), n)
    if real.uniform:
        told["modes"] = Score(int((shares > 0).sum()), n)
    if seen.logits is not None:
        told["score"] = Score(class_score(seen.logits), n)
    if seen.labels is not None:
        told["accuracy"] = Score(float((seen.classes == seen.labels).double().mean()), n)
    return {name: score for name, score in told.items() if not math.isnan(score.value)}
