"""Batches of homogeneous matrices, one matrix for each image: affine maps that are composed before they are applied."""

import torch
from torch import Tensor


def matrix(*rows: tuple[Tensor | float, ...]) -> Tensor:
    """Rows of numbers and of tensors (N,), at least one of these, as matrices (N, rows, columns)."""
    like = next(entry for row in rows for entry in row if isinstance(entry, Tensor))
    entries = [entry if isinstance(entry, Tensor) else torch.full_like(like, entry) for row in rows for entry in row]
    return torch.stack(entries, -1).view(-1, len(rows), len(rows[0]))


def product(first: Tensor, *others: Tensor) -> Tensor:
    """The matrix product of (N, k, k) each, the last being applied first.

    By sums and not by `matmul`: that rounds to TF32 where a GPU is allowed to, and to bfloat16 under autocast, and
    then a whole number of pixels would not stay one.
    """
    for other in others:
        first = (first[:, :, :, None] * other[:, None, :, :]).sum(2)
    return first
