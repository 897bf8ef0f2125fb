"""What classifiers and counts of classes say of samples: shares, their divergence, and the classifier's score."""

import math

import torch
from torch import Tensor


def histogram(labels: Tensor, num_classes: int) -> Tensor:
    """The share of each class, float64 (num_classes,) on the CPU.

    Args:
        labels: (N,), integers from 0 to num_classes - 1.
        num_classes: how many classes there are, seen or not.

    Raises:
        ValueError: no labels, or some that are no class.
    """
    if labels.dim() != 1 or len(labels) == 0 or labels.is_floating_point():
        raise ValueError(f"the classes of at least one sample are counted, not {labels.dtype} {tuple(labels.shape)}")
    if int(labels.min()) < 0 or int(labels.max()) >= num_classes:
        raise ValueError(f"labels must be 0 to {num_classes - 1}, got {int(labels.min())} to {int(labels.max())}")
    return torch.bincount(labels.cpu(), minlength=num_classes).double() / len(labels)


def kl_divergence(p: Tensor, q: Tensor) -> float:
    """The Kullback-Leibler divergence of shares p from shares q, in nats: Σ p ln(p/q).

    0 ln 0 is 0, and the divergence is infinite where p has something that q has not. With p the samples' shares and q
    the data's it is the reverse KL of the literature on mode collapse, and at most ln K for K equally likely classes.
    Of a perfect generator's n samples it is (K-1)/2n in the mean, and not 0.

    Args:
        p, q: (K,), each with sum 1. Shares that are not finite give nan.

    Raises:
        ValueError: of another number of classes.
    """
    if p.dim() != 1 or p.shape != q.shape:
        raise ValueError(f"shares of the same classes are compared, not {tuple(p.shape)} and {tuple(q.shape)}")
    p, q = p.detach().double().cpu(), q.detach().double().cpu()
    # Summed exactly, so that the order of the classes does not matter. Of max's arguments a first nan is kept.
    return max(math.fsum((torch.xlogy(p, p) - torch.xlogy(p, q)).tolist()), 0.0)


def class_score(logits: Tensor) -> float:
    """The classifier's score of samples, which is the Inception score with another classifier.

        exp(1/N Σ_x KL(p(y|x) ‖ p(y))) = exp(1/N Σ_x Σ_y p(y|x) ln p(y|x) - Σ_y p(y) ln p(y)),   p(y) = 1/N Σ_x p(y|x)

    Between 1, where all samples are of one class or none is certain, and K, where each is surely of one class and all
    classes are equally frequent. The second form is finite for a generator that collapsed onto one certain class,
    where 0 ln 0 of the first is nan in some libraries. All samples at once, not the mean over ten splits.

    Args:
        logits: (N, K), of a classifier; finite ones give a finite score, others nan.

    Raises:
        ValueError: no logits.

    Source: Salimans et al. 2016, arXiv:1606.03498, section 4; Bińkowski et al. 2018, arXiv:1801.01401, section 4, for a
    classifier of digits.
    """
    if logits.dim() != 2 or logits.numel() == 0:
        raise ValueError(f"the score is of logits (N, K) of at least one sample, not {tuple(logits.shape)}")
    p = logits.detach().double().softmax(1)
    marginal = p.mean(0)
    gain = torch.xlogy(p, p).sum(1).mean() - torch.xlogy(marginal, marginal).sum()
    return float(gain.clamp(min=0).exp())  # rounding may go below 0
