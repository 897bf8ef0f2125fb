"""Nearest neighbors of samples in the training data, and what they say of memorization."""

from collections.abc import Sequence

import torch
from torch import Tensor

_COLUMNS = 8192
_NUMBERS = 2**22  # of features gathered at a time, 32 MB


def nearest(x: Tensor, y: Tensor, leave_out: bool = False, chunk: int = 1024) -> tuple[Tensor, Tensor]:
    """The Euclidean distance of each x to its nearest y, float64 (N,), and which y that is, int64 (N,).

    Searched by |y|²/2 - xᵀy, a product of matrices in float64. Every y that its rounding error could hide is measured
    again by subtraction, so that the distances are those of the definition, and that of a copy is 0 exactly. Of equally
    near ones any may be named.

    Args:
        x, y: (N, d) and (M, d), on one device that has float64.
        leave_out: x and y are the same set, and no sample is its own neighbor.
        chunk: rows of x at a time, against 8,192 of y: 64 MB of float64.

    Raises:
        ValueError: an empty set, sets of another shape, features that are not finite, or with `leave_out` two sets of
            different sizes or of one sample.
    """
    x, y = _checked(x, y, leave_out)
    half_norms = y.square().sum(1) / 2
    found = [
        _nearest_rows(rows, y, half_norms, own=start * chunk if leave_out else None)
        for start, rows in enumerate(x.split(chunk))
    ]
    squares, indices = zip(*found, strict=True)
    return torch.cat(squares).sqrt(), torch.cat(indices)


def nearest_several(x: Tensor, sets: Sequence[Tensor], count: int) -> tuple[Tensor, Tensor, Tensor]:
    """The nearest of M things to each x, where each thing is known in several forms and its nearest form counts.

    Measured by subtraction throughout: exact, and a copy's distance is 0, at a cost that suits few x.

    Args:
        x: (N, d).
        sets: the forms, each (M, d): row i of each is thing i.
        count: K, from 1 to M.

    Returns:
        Euclidean distances, float64 (N, K), the nearest first; which things, int64; in which form, int64.

    Raises:
        ValueError: sets of different sizes, a count that they do not have, or features that are not finite.
    """
    if not sets or len({tuple(form.shape) for form in sets}) > 1 or not 1 <= count <= len(sets[0]):
        raise ValueError(f"{count} neighbors cannot be found in sets {[tuple(form.shape) for form in sets]}")
    best, things = x.new_empty(len(x), 0, dtype=torch.float64), x.new_empty(len(x), 0, dtype=torch.int64)
    forms = things
    for first in range(0, len(sets[0]), _COLUMNS):
        some = [_checked(x, form[first : first + _COLUMNS], leave_out=False) for form in sets]
        exactly = "donot_use_mm_for_euclid_dist"
        distances, form = torch.stack([torch.cdist(a, b, compute_mode=exactly) for a, b in some]).min(0)
        places = torch.arange(first, first + distances.shape[1], device=x.device).expand_as(distances)
        best, things, forms = (torch.cat(pair, 1) for pair in ((best, distances), (things, places), (forms, form)))
        order = best.argsort(dim=1, stable=True)[:, :count]
        best, things, forms = (found.gather(1, order) for found in (best, things, forms))
    return best, things, forms


def cosine_nearest(x: Tensor, y: Tensor, leave_out: bool = False, chunk: int = 1024) -> Tensor:
    """The least 1 - |cos(x, y)| of each x over all y, float64 (N,) from 0 to 1.

    Its mean over generated samples x, against real ones y, is the distance of MiFID. (torchmetrics 1.9 takes the mean
    over real ones, and so does not see a generator that repeats a single training image.) Features that are all zero
    have no direction, and distance 1; the authors' code leaves them out.

    Arguments and errors are those of `nearest`.

    Source: Bai et al. 2021, arXiv:2106.03062, equation (4).
    """
    x, y = (torch.nn.functional.normalize(points, dim=1) for points in _checked(x, y, leave_out))
    largest = []
    for start, rows in enumerate(x.split(chunk)):
        found = rows.new_zeros(len(rows))
        for first, columns in enumerate(y.split(_COLUMNS)):
            cosines = (rows @ columns.T).abs_()
            if leave_out:
                cosines.diagonal(start * chunk - first * _COLUMNS).fill_(0)
            found = torch.maximum(found, cosines.amax(1))
        largest.append(found)
    return (1 - torch.cat(largest)).clamp_(0, 1)


def mifid(fid: float, similarity_distance: float, threshold: float) -> float:
    """The Fréchet distance, divided by how near the samples are to training images where that is suspiciously near.

        FID / (s + 1e-15) if s < threshold else FID

    Args:
        fid: Fréchet distance.
        similarity_distance: s, the mean of `cosine_nearest` over generated samples, against the training images.
        threshold: fits one feature space and no other: below what real images that were held out score in it.

    Source: Bai et al. 2021, arXiv:2106.03062, equations (5) and (6); their 0.1 is for Inception.
    """
    return fid if similarity_distance >= threshold else fid / (similarity_distance + 1e-15)


def copied_share(distances: Tensor, baseline: Tensor, quantile: float = 0.005) -> float:
    """The share of samples that are nearer to a training image than real images are to each other.

    A sample counts as a copy where it is nearer than the given quantile of the baseline, or where it is an exact copy.
    About that share of fresh real images counts, too. Where more than that share of the training images has an exact
    duplicate the quantile is 0 and only exact copies count: a perfect generator then scores what the data score
    themselves, `copied_share(baseline, baseline)`, and nothing below it says anything.

    Args:
        distances: (N,), of samples to the nearest training image.
        baseline: (M,), of training images to the nearest other one.
        quantile: from 0 to 1; at least 1/M, or the nearest of all real pairs alone would decide.

    Raises:
        ValueError: no distances.
    """
    if distances.numel() == 0 or baseline.numel() == 0:
        raise ValueError("the share of copies is that of at least one distance, with a baseline of at least one")
    threshold = torch.quantile(baseline.detach().double(), quantile)
    distances = distances.detach().double()
    return float(((distances < threshold) | (distances == 0)).double().mean())


def closest_pairs(x: Tensor, count: int, chunk: int = 1024) -> tuple[Tensor, Tensor]:
    """The closest pairs within a set, nearest first: int64 (count, 2) with i < j in each, and float64 distances.

    A look at them is the birthday test: near-duplicates among few samples mean few different ones. Pairs are sought by
    products of matrices and measured again by subtraction; between distances that differ by less than its rounding
    error (1e-8 of the features' size) another pair than the closest may be named.

    Args:
        x: (N, d), on a device that has float64.
        count: at most N(N-1)/2.
        chunk: rows at a time, against 8,192 others.

    Raises:
        ValueError: fewer pairs than asked for, none asked for, or features that are not finite.

    Source: Arora & Zhang 2017, arXiv:1706.08224, section 3.
    """
    if x.dim() != 2 or not 1 <= count <= len(x) * (len(x) - 1) // 2:
        raise ValueError(f"{count} pairs cannot be chosen from samples of shape {tuple(x.shape)}")
    x, _ = _checked(x, x, leave_out=True)
    norms = x.square().sum(1)
    pairs = torch.empty(0, 2, dtype=torch.int64, device=x.device)
    squares = x.new_empty(0)
    for start, rows in enumerate(x.split(chunk)):
        for first, columns in enumerate(x.split(_COLUMNS)):
            i, j = start * chunk, first * _COLUMNS
            if j + len(columns) <= i:
                continue
            sums = norms[i : i + len(rows), None] + norms[j : j + len(columns)]
            approximate = torch.addmm(sums, rows, columns.T, alpha=-2)
            approximate.masked_fill_(torch.ones_like(approximate, dtype=torch.bool).tril_(i - j), torch.inf)
            ranked = approximate.flatten().topk(min(4 * count + 64, approximate.numel()), largest=False)
            chosen = ranked.indices[ranked.values.isfinite()]
            some = torch.stack([i + chosen // len(columns), j + chosen % len(columns)], 1)
            pairs, squares = torch.cat([pairs, some]), torch.cat([squares, _squares(x, x, some[:, 0], some[:, 1])])
            order = squares.argsort(stable=True)[:count]
            pairs, squares = pairs[order], squares[order]
    return pairs, squares.sqrt()


def _nearest_rows(rows: Tensor, y: Tensor, half_norms: Tensor, own: int | None) -> tuple[Tensor, Tensor]:
    """Squared distance and index of each row's nearest y; `own` is the first row's own index, if that is left out."""
    best, index = rows.new_full((len(rows),), torch.inf), torch.zeros(len(rows), dtype=torch.int64, device=rows.device)
    every = torch.arange(len(rows), device=rows.device)
    # |fl(aᵀb) - aᵀb| ≤ d eps |a| |b| in whatever order the products are summed; four for two scores, and for safety.
    rounding, lengths = 4 * (rows.shape[1] + 4) * torch.finfo(rows.dtype).eps, rows.norm(dim=1)
    for first, columns in enumerate(y.split(_COLUMNS)):
        start = first * _COLUMNS
        halves = half_norms[start : start + len(columns)]
        scores = torch.addmm(halves, rows, columns.T, alpha=-1)
        if own is not None:
            scores.diagonal(own - start).fill_(torch.inf)  # column = row + offset
        least, position = scores.min(1)
        others = least < torch.inf  # not so where a sample's own is the only one of these columns
        _measure(rows, y, every[others], (start + position)[others], best, index)
        largest = halves.max()
        slack = rounding * (lengths * (2 * largest).sqrt() + largest)
        # Nothing is nearer than an exact copy. Without this, samples that are all the same would be measured pairwise.
        hidden = (scores <= (least + slack)[:, None]) & (others & (best > 0))[:, None]
        hidden[every, position] = False
        row, column = hidden.nonzero(as_tuple=True)
        _measure(rows, y, row, start + column, best, index)
    return best, index


def _measure(rows: Tensor, y: Tensor, row: Tensor, column: Tensor, best: Tensor, index: Tensor) -> None:
    """Measure pairs by subtraction, and keep those that are nearer than what was found before, in best and index."""
    squares = _squares(rows, y, row, column)
    best.scatter_reduce_(0, row, squares, "amin")
    hit = squares == best[row]
    index[row[hit]] = column[hit]


def _squares(x: Tensor, y: Tensor, i: Tensor, j: Tensor) -> Tensor:
    """The squared distances of the pairs x_i, y_j."""
    size = max(1, _NUMBERS // x.shape[1])
    pairs = zip(i.split(size), j.split(size), strict=True)
    return torch.cat([(x[some] - y[others]).square_().sum(1) for some, others in pairs])


def _checked(x: Tensor, y: Tensor, leave_out: bool) -> tuple[Tensor, Tensor]:
    """Both in float64."""
    if x.dim() != 2 or y.dim() != 2 or x.shape[1] != y.shape[1] or min(x.numel(), y.numel()) == 0:
        raise ValueError(f"neighbors are sought between sets (N, d), not {tuple(x.shape)} and {tuple(y.shape)}")
    if leave_out and (len(x) != len(y) or len(x) < 2):
        raise ValueError(f"a set of at least two is searched without each one's own, not {len(x)} in {len(y)}")
    x, y = x.detach().double(), y.detach().double()
    if not x.isfinite().all() or not y.isfinite().all():
        raise ValueError("features that are not finite have no neighbors")
    return x, y
