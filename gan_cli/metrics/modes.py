"""How many modes of a known mixture were found, and how many samples lie in one."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

WITHIN = 3.0
"""Standard deviations from a mode within which a sample is of high quality."""

PERFECT_IN_THE_PLANE = 1 - math.exp(-(WITHIN**2) / 2)
"""The share of high quality of the mixture itself, in two dimensions and without overlap: 98.9 %."""


@dataclass(frozen=True)
class ModeCoverage:
    """What a set of samples covers of a mixture.

    Attributes:
        modes: how many modes have at least one sample of high quality.
        high_quality: share of the samples that are of high quality.
    """

    modes: int
    high_quality: float


def mode_coverage(samples: Tensor, means: Tensor, std: float) -> ModeCoverage:
    """Assign each sample to its nearest mode; it is of high quality less than three standard deviations from it.

    Args:
        samples: (N, D); one that is not finite is of low quality.
        means: (K, D), the modes.
        std: their standard deviation in every coordinate.

    Source: Srivastava et al. 2017 (VEEGAN, arXiv:1705.07761), as in Lin et al. 2018 (PacGAN, arXiv:1712.04086).
    """
    distances = torch.cdist(samples.double(), means.double(), compute_mode="donot_use_mm_for_euclid_dist")
    nearest, mode = distances.min(dim=1)
    good = nearest < WITHIN * std
    return ModeCoverage(len(mode[good].unique()), float(good.double().mean()))
