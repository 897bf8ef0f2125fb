"""Points measured against the distribution that they should have, where that is known."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from gan_cli.data.dataset import Gaussian, Mixture
from gan_cli.evaluation.evaluator import Evaluation, Guide
from gan_cli.evaluation.measure import Measure
from gan_cli.metrics.frechet import Moments, frechet_distance
from gan_cli.metrics.gaussian import affine_moments, gaussian_kl
from gan_cli.metrics.modes import MODE_SAMPLES, mode_coverage
from gan_cli.sampling import Sampler
from gan_cli.streams import Draws, Streams

_MOST_LATENTS = 1024  # of a generator that is looked at for being affine
_FLOOR_SETS = 20
_VARIANCE = {"normal": 1.0, "uniform": 1 / 3}


@dataclass(frozen=True)
class MixtureEvaluator:
    """Counts modes."""

    mixture: Mixture
    guide: Guide = Guide("mode_kl", guard="high_quality")

    def evaluate(self, sampler: Sampler, weights: str) -> Evaluation:
        """modes, high_quality and mode_kl."""
        told, floors = self._told(sampler(range(MODE_SAMPLES)).cpu()), self._floors
        return Evaluation([Measure(name, told[name], floors[name], MODE_SAMPLES, weights) for name in told])

    def assist(self, sampler: Sampler) -> None:
        """Nothing: points are drawn in no time."""

    @cached_property
    def _floors(self) -> dict[str, float]:
        return _mean_scores(self._told, self._real)

    def _told(self, points: Tensor) -> dict[str, float]:
        found = mode_coverage(points, self.mixture.means, self.mixture.std)
        return {"modes": found.modes, "high_quality": found.high_quality, "mode_kl": found.kl}

    def _real(self, number: int) -> Tensor:
        draws, means = _draws(number), self.mixture.means
        chosen = (draws.uniform("mode", (MODE_SAMPLES,)) * len(means)).long()
        return means[chosen] + self.mixture.std * draws.normal("noise", (MODE_SAMPLES, means.shape[1])).double()


@dataclass(frozen=True)
class GaussianEvaluator:
    """Distances between normal distributions: the data's, and the one with the mean and covariance of the samples.

    An affine generator's are computed from its weights, without drawing samples.

    Attributes:
        count: samples to draw of any other.
    """

    gaussian: Gaussian
    count: int
    guide: Guide = Guide("kl")

    def evaluate(self, sampler: Sampler, weights: str) -> Evaluation:
        """w2, the squared 2-Wasserstein distance, and kl, the divergence of the samples from the data."""
        exact = exact_moments(sampler)
        if exact is not None:
            told, floors, count = self._told(exact), {"w2": 0.0, "kl": 0.0}, 0
        else:
            told = self._told(Moments.of(sampler(range(self.count)).cpu()))
            floors, count = self._floors, self.count
        return Evaluation([Measure(name, told[name], floors[name], count, weights) for name in told])

    def assist(self, sampler: Sampler) -> None:
        """Nothing: points are drawn in no time."""

    @cached_property
    def _floors(self) -> dict[str, float]:
        return _mean_scores(lambda points: self._told(Moments.of(points)), self._real)

    def _told(self, found: Moments) -> dict[str, float]:
        truth = Moments(self.gaussian.mean, self.gaussian.covariance, 0)
        return {"w2": frechet_distance(found, truth), "kl": gaussian_kl(found, truth)}

    def _real(self, number: int) -> Tensor:
        values, vectors = torch.linalg.eigh(self.gaussian.covariance)
        noise = _draws(number).normal("noise", (self.count, len(values))).double()
        points: Tensor = self.gaussian.mean + noise * values.clamp(min=0).sqrt() @ vectors.T
        return points


def exact_moments(sampler: Sampler) -> Moments | None:
    """The moments of an affine generator's samples, from its weights; None of any other generator.

    Whether it is affine is asked of the function, not of its layers: a generator is that agrees, in float64, with the
    affine function through its values at 0 and at the unit vectors, at latents far from all of these.
    """
    size, modules = sampler.latents.dim, list(sampler.generator.modules())
    if sampler.num_classes or size > _MOST_LATENTS or any(_noisy(module) for module in modules):
        return None
    if sampler.batch_statistics and any(isinstance(module, _BatchNorm) for module in modules):
        return None  # these are of samples, and not among the weights
    generator = copy.deepcopy(sampler.generator).double().cpu().eval()
    probes = 10 * _draws(0).normal("probes", (64, size)).double()
    try:
        with torch.no_grad(), sampler.latents.streams.modules("evaluation/affine"):
            bias, weight = _affine(generator, size)
            found = generator(probes)
            expected = bias + probes @ weight.T
    except RuntimeError:  # a network of the user's that does not work in float64, or does not answer in it
        return None
    if found.shape != expected.shape or not torch.allclose(found, expected, rtol=1e-9, atol=1e-9):
        return None
    return affine_moments(bias, weight, _VARIANCE[sampler.latents.distribution])


def _affine(generator: Callable[[Tensor], Tensor], size: int) -> tuple[Tensor, Tensor]:
    """b and W of the affine function W z + b through a function's values at 0 and at the unit vectors."""
    values = generator(torch.cat([torch.zeros(1, size), torch.eye(size)]).double())
    return values[0], (values[1:] - values[0]).T


def _noisy(module: nn.Module) -> bool:
    """Whether a layer draws at random when samples are made."""
    return isinstance(module, nn.modules.dropout._DropoutNd)


def _mean_scores(told: Callable[[Tensor], dict[str, float]], real: Callable[[int], Tensor]) -> dict[str, float]:
    """What true samples score in the mean: true samples are cheap here, and one set of them may be an unlucky one."""
    found = [told(real(number)) for number in range(_FLOOR_SETS)]
    return {name: fmean(scores[name] for scores in found) for name in found[0]}


def _draws(number: int) -> Draws:
    return Streams(0, torch.device("cpu")).draws("evaluation/real", number)
