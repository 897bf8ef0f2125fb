"""What to look at beside the numbers."""

import torch
from torch import Tensor

from gan_cli import images, plots
from gan_cli.data.dataset import Dataset
from gan_cli.evaluation.memorization import Neighbors
from gan_cli.evaluation.reference import Reference
from gan_cli.evaluation.scores import NEIGHBORS, PAIRWISE_MOST
from gan_cli.evaluation.seen import Seen
from gan_cli.metrics.neighbors import closest_pairs
from gan_cli.metrics.prdc import membership

_COLUMNS, _ROWS = 8, 4
_OF_A_CLASS, _MOST_CLASSES = 10, 20
_POINTS = 2000  # of each kind in a scatter plot


def of(drawn: Tensor, seen: Seen, found: Neighbors, dataset: Dataset, reference: Reference) -> dict[str, Tensor]:
    """All pictures, uint8 (C, H, W), by their names.

    Args:
        drawn: uint8 (n, C, H, W), the samples.
        seen: the same.
        found: their nearest training images.
    """
    shown = {
        "neighbors": neighbors(drawn, found, dataset),
        "closest_pairs": pairs(drawn, seen),
    }
    if len(seen) > NEIGHBORS:
        shown["manifold"] = manifold(seen, reference)
    if seen.classes is not None and reference.compared.shares is not None:
        num_classes = len(reference.compared.shares)
        if num_classes <= _MOST_CLASSES:
            shown["classes"] = by_class(drawn, seen.classes, num_classes)
    return shown


def neighbors(drawn: Tensor, found: Neighbors, dataset: Dataset) -> Tensor:
    """32 samples, and below each row of them the nearest training images, mirrored where the mirror image is nearer."""
    count = min(_ROWS * _COLUMNS, len(drawn))
    places = found.places[:count]
    real = dataset.samples[places.to(dataset.samples.device)].cpu()
    real = torch.where(found.mirrored[:count, None, None, None], real.flip(-1), real)
    rows = []
    for start in range(0, count, _COLUMNS):
        rows += [_row(drawn[start : min(start + _COLUMNS, count)]), _row(real[start : start + _COLUMNS])]
    return images.grid_of_bytes(torch.cat(rows), _COLUMNS)


def pairs(drawn: Tensor, seen: Seen) -> Tensor:
    """The 16 pairs of samples that are most alike, side by side: near-duplicates mean that few different ones exist."""
    indices, _ = closest_pairs(seen.embedding[:PAIRWISE_MOST], min(2 * _COLUMNS, len(seen) // 2))
    return images.grid_of_bytes(drawn[indices.flatten()], _COLUMNS)


def by_class(drawn: Tensor, classes: Tensor, num_classes: int) -> Tensor:
    """Ten samples of each class, as the network sees them, a class in a row; black where there are fewer."""
    rows = [_row(drawn[classes == label][:_OF_A_CLASS], _OF_A_CLASS) for label in range(num_classes)]
    return images.grid_of_bytes(torch.cat(rows), _OF_A_CLASS)


def manifold(seen: Seen, reference: Reference) -> Tensor:
    """Samples and real images in the plane in which the real ones vary most, and which of them precision and recall
    miss: samples away from all real images, real images that no sample is near."""
    size = min(PAIRWISE_MOST, len(seen), len(reference.compared.embedding))
    real, fake = reference.compared.embedding[:size], seen.embedding[:size]
    fake_inside, real_inside = membership(real, fake, NEIGHBORS)
    mean = reference.compared.moments.mean
    plane = torch.linalg.eigh(reference.compared.moments.covariance)[1][:, -2:].flip(1)
    places = {name: (points.double() - mean) @ plane for name, points in (("real", real), ("samples", fake))}
    groups = {
        "real": places["real"][real_inside],
        "samples": places["samples"][fake_inside],
        "real, missed": places["real"][~real_inside],
        "samples, off": places["samples"][~fake_inside],
    }
    title = f"precision {fake_inside.double().mean():.2f}, recall {real_inside.double().mean():.2f}"
    return plots.scatter({name: points[:_POINTS] for name, points in groups.items()}, title, places["real"])


def _row(shown: Tensor, length: int = _COLUMNS) -> Tensor:
    """A row of a grid, filled with black."""
    return torch.cat([shown, shown.new_zeros(length - len(shown), *shown.shape[1:])])
