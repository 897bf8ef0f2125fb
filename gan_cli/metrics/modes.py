"""How many modes of a known mixture were found, and how many samples lie in one."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from gan_cli.metrics.classes import histogram, kl_divergence

WITHIN = 3.0
"""Standard deviations from a mode within which a sample is of high quality."""

MODE_SAMPLES = 2500
"""Of so many samples modes are counted in the papers that define the count."""

PERFECT_IN_THE_PLANE = 1 - math.exp(-(WITHIN**2) / 2)
"""The share of high quality of the mixture itself, in two dimensions and without overlap: 98.9 %."""


@dataclass(frozen=True)
class ModeCoverage:
    """What a set of samples covers of a mixture.

    Attributes:
        modes: how many modes have at least one sample of high quality.
        high_quality: share of the samples that are of high quality.
        kl: reverse KL, in nats, of the modes' shares of the samples of high quality from equal shares: 0 where all are
            equally frequent, ln K where a single one of K was found, or none. Of a perfect sampler's N samples it is
            (K-1)/2N in the mean.
    """

    modes: int
    high_quality: float
    kl: float


def mode_coverage(samples: Tensor, means: Tensor, std: float) -> ModeCoverage:
    """Assign each sample to its nearest mode; it is of high quality less than three standard deviations from it.

    Samples of low quality belong to no mode, in the divergence of the modes' shares either: PacGAN's code leaves them
    out (`MetricLogger` in its synthetic_data_experiments), and divides by the samples of high quality.

    Args:
        samples: (N, D); one that is not finite is of low quality.
        means: (K, D), the modes.
        std: their standard deviation in every coordinate.

    Source: Srivastava et al. 2017 (VEEGAN, arXiv:1705.07761), as in Lin et al. 2018 (PacGAN, arXiv:1712.04086).
    """
    distances = torch.cdist(samples.double(), means.double(), compute_mode="donot_use_mm_for_euclid_dist")
    nearest, mode = distances.min(dim=1)
    good = nearest < WITHIN * std
    if not good.any():
        return ModeCoverage(0, 0.0, math.log(len(means)))
    shares = histogram(mode[good], len(means))
    kl = kl_divergence(shares, torch.full_like(shares, 1 / len(means)))
    return ModeCoverage(int((shares > 0).sum()), float(good.double().mean()), kl)
