"""Samples beside the training images that they are most like."""

import csv
import io
from collections.abc import Sequence

import torch
from torch import Tensor

from gan_cli import images
from gan_cli.captions import captioned
from gan_cli.data.dataset import Dataset
from gan_cli.evaluation.look_alikes import LookAlikes


def draw(drawn: Tensor, indices: Sequence[int], found: LookAlikes, dataset: Dataset) -> tuple[bytes, bytes]:
    """A sheet with a sample in each row and its nearest training images behind it, and a table of their distances.

    Args:
        drawn: uint8 (n, C, H, W), the samples of these indices.

    Returns:
        A PNG and a CSV.
    """
    count = found.places.shape[1]
    grid = images.grid_of_bytes(torch.cat([drawn[:, None], found.images], 1).flatten(0, 1), count + 1)
    words = ["sample", *(str(rank) for rank in range(1, count + 1))]
    sheet = images.png(captioned(grid, words, [str(index) for index in indices]))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["index", "rank", "distance", "training_image", "mirrored", "class"])
    rows = zip(found.distances.tolist(), found.places.tolist(), found.mirrored.tolist(), strict=True)
    for index, (distances, places, mirrored) in zip(indices, rows, strict=True):
        for rank, (distance, place, flipped) in enumerate(zip(distances, places, mirrored, strict=True), start=1):
            label = "" if dataset.labels is None else dataset.classes[int(dataset.labels[place])]
            writer.writerow([index, rank, distance, place, str(flipped).lower(), label])
    return sheet, text.getvalue().encode()
