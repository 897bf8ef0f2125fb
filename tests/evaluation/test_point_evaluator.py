"""Points against their known distribution: affine generators exactly, others by samples, modes by counting."""

import math

import pytest
import torch
from evaluation_fakes import sampler
from torch import Tensor, nn

from gan_cli.data import mixtures
from gan_cli.data.dataset import Gaussian, Mixture
from gan_cli.evaluation.point_evaluator import GaussianEvaluator, MixtureEvaluator, exact_moments
from gan_cli.metrics.modes import MODE_SAMPLES, PERFECT_IN_THE_PLANE

MEAN = torch.tensor([1.0, -0.5], dtype=torch.float64)
COVARIANCE = torch.tensor([[2.0, 0.6], [0.6, 0.5]], dtype=torch.float64)
TRUTH = Gaussian(MEAN, COVARIANCE)


def affine(weight: Tensor, bias: Tensor) -> nn.Module:
    layer = nn.Linear(weight.shape[1], weight.shape[0])
    with torch.no_grad():
        layer.weight.copy_(weight)
        layer.bias.copy_(bias)
    return layer


def evaluated(generator: nn.Module, truth: Gaussian = TRUTH, count: int = 500, **options):
    return {m.name: m for m in GaussianEvaluator(truth, count).evaluate(sampler(generator, **options), "raw").measures}


class Through(nn.Module):
    """A generator that is a function."""

    def __init__(self, function) -> None:
        super().__init__()
        self.function = function

    def forward(self, latents: Tensor) -> Tensor:
        return self.function(latents)


def test_affine_generator_scores_the_closed_form_exactly() -> None:
    truth = Gaussian(torch.zeros(2, dtype=torch.float64), torch.eye(2, dtype=torch.float64))
    found = evaluated(affine(torch.tensor([[2.0, 0.0], [0.0, 0.5]]), torch.tensor([3.0, 4.0])), truth, dim=2)
    assert found["w2"].value == pytest.approx(25 + 1 + 0.25, rel=1e-12)  # |m|² + Σ (σ - 1)²
    # ½ [tr C - d - ln det C + |m|²]
    assert found["kl"].value == pytest.approx((4.25 - 2 - 0 + 25) / 2, rel=1e-12)
    assert [(m.count, m.floor, m.weights, m.extractor) for m in found.values()] == [(0, 0.0, "raw", None)] * 2


def test_perfect_affine_generator_scores_zero() -> None:
    factor = torch.linalg.cholesky(COVARIANCE)
    found = evaluated(affine(factor, MEAN), dim=2)
    assert found["w2"].value == pytest.approx(0, abs=1e-12)  # the weights are float32
    assert found["kl"].value == pytest.approx(0, abs=1e-12)


def test_uniform_latents_have_a_third_of_the_variance() -> None:
    truth = Gaussian(torch.zeros(2, dtype=torch.float64), torch.eye(2, dtype=torch.float64) / 3)
    assert evaluated(affine(torch.eye(2), torch.zeros(2)), truth, dim=2, distribution="uniform")["w2"].value < 1e-15
    moments = exact_moments(sampler(affine(torch.eye(2), torch.zeros(2)), dim=2, distribution="uniform"))
    drawn = sampler(nn.Identity(), dim=2, distribution="uniform")(range(20_000)).double()
    # the variance of a uniform variable's square is 4/45: four standard deviations
    assert torch.allclose(drawn.T.cov(), moments.covariance, atol=4 * math.sqrt(4 / 45 / 20_000))


@pytest.mark.parametrize("dim", [1, 2, 7])
def test_several_layers_that_are_affine_together_are_seen_through(dim: int) -> None:
    torch.manual_seed(0)
    norm = nn.BatchNorm1d(5)
    norm.running_mean.uniform_(-1, 1)
    norm.running_var.uniform_(0.5, 2)
    generator = nn.Sequential(nn.Linear(dim, 5), norm, nn.Linear(5, 2)).train()
    moments = exact_moments(sampler(generator, dim=dim))
    drawn = sampler(generator, dim=dim)(range(20_000)).double()
    assert moments.count == 0
    scale = float(moments.covariance.diagonal().max())
    assert torch.allclose(drawn.mean(0), moments.mean, atol=5 * math.sqrt(scale / 20_000))
    assert torch.allclose(drawn.T.cov(), moments.covariance, atol=8 * scale / math.sqrt(20_000))
    assert all(module.training for module in generator.modules())
    assert generator[0].weight.dtype == torch.float32


def test_moments_are_those_of_the_batch_statistics_where_these_are_asked_for() -> None:
    torch.manual_seed(0)
    generator = nn.Sequential(nn.BatchNorm1d(2), nn.Linear(2, 2))
    generator[0].running_var.fill_(9.0)  # far from those of any batch
    running, batch = evaluated(generator, dim=2), evaluated(generator, dim=2, batch_statistics=True)
    assert running["w2"].count == 0
    assert batch["w2"].count == 500
    assert batch["w2"].value != pytest.approx(running["w2"].value, rel=0.1)
    assert evaluated(generator[1], dim=2, batch_statistics=True)["w2"].count == 0  # nothing to take statistics of


@pytest.mark.parametrize(
    "generator",
    [
        nn.Sequential(nn.Linear(2, 2), nn.Tanh()),
        nn.Sequential(nn.Linear(2, 8), nn.LeakyReLU(0.9), nn.Linear(8, 2)),
        nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.5)),
        Through(lambda z: z + 1e-6 * z**2),
        Through(lambda z: z.clamp(-1.5, 1.5)),  # the identity at 0 and at the unit vectors
        Through(lambda z: z + 0.01 * torch.randn_like(z)),
        Through(lambda z: z @ torch.eye(2)),  # fails in float64
        Through(lambda z: z.float()),  # does not answer in it
        Through(lambda z: torch.zeros(len(z), 2)),
        Through(lambda z: z * float("nan")),
    ],
    ids=[
        "tanh",
        "relu",
        "dropout",
        "slightly curved",
        "clamped",
        "noisy",
        "float32 only",
        "float32 answer",
        "constant of float32",
        "nan",
    ],
)
def test_any_other_generator_is_sampled(generator: nn.Module) -> None:
    state = torch.get_rng_state()
    found = evaluated(generator, dim=2, count=300)
    assert torch.equal(torch.get_rng_state(), state)
    assert {m.count for m in found.values()} == {300}
    assert all(m.floor > 0 for m in found.values())


def test_conditional_generator_is_sampled() -> None:
    class Conditional(nn.Module):
        def forward(self, latents: Tensor, labels: Tensor) -> Tensor:
            return latents + labels[:, None]

    assert {m.count for m in evaluated(Conditional(), dim=2, num_classes=3).values()} == {500}


def test_generator_of_one_dimension_too_few_is_infinitely_far() -> None:
    found = evaluated(affine(torch.tensor([[1.0, 0.0], [2.0, 0.0]]), torch.zeros(2)), dim=2)
    assert found["kl"].value == math.inf
    assert math.isfinite(found["w2"].value)
    constant = evaluated(Through(lambda z: 0 * z), dim=2)
    assert constant["kl"].value == math.inf
    # The distance from a point: |m|² + tr C.
    assert constant["w2"].value == pytest.approx(float(MEAN.square().sum() + COVARIANCE.trace()))


def test_sampling_the_truth_scores_near_the_floor() -> None:
    factor = torch.linalg.cholesky(COVARIANCE).float()
    tricked = Through(lambda z: MEAN.float() + z.to(torch.float32) @ factor.T)  # refuses float64: sampled
    values, floors = [], []
    for seed in range(8):
        found = evaluated(tricked, dim=2, count=1000, seed=seed)
        assert found["kl"].count == 1000
        values.append(found["kl"].value)
        floors.append(found["kl"].floor)
    assert len(set(floors)) == 1  # of its own draws
    # 2n KL is χ² with d(d+3)/2 = 5 degrees of freedom: mean 5, standard deviation √10 and of 8 means √(10/8).
    assert 2000 * sum(values) / 8 == pytest.approx(5, abs=4 * math.sqrt(10 / 8))
    assert 2000 * floors[0] < 20.6  # p = 0.001


RING, GRID = mixtures.ring(num_samples=1).mixture, mixtures.grid(num_samples=1).mixture


class Perfect(nn.Module):
    """Draws from the mixture: the mode from a uniform number, the rest from two normal ones."""

    def __init__(self, mixture: Mixture, modes: int) -> None:
        super().__init__()
        self.mixture, self.modes = mixture, modes

    def forward(self, latents: Tensor) -> Tensor:
        modes = (torch.special.ndtr(latents[:, 0].double()) * self.modes).long().clamp(max=self.modes - 1)
        return (self.mixture.means[modes] + self.mixture.std * latents[:, 1:3].double()).float()


def counted(mixture: Mixture, modes: int, seed: int = 0):
    found = MixtureEvaluator(mixture).evaluate(sampler(Perfect(mixture, modes), dim=3, seed=seed), "ema")
    return {m.name: m for m in found.measures}


@pytest.mark.parametrize(("mixture", "modes"), [(RING, 8), (GRID, 25)], ids=["ring", "grid"])
def test_true_sampler_and_the_floor_have_what_the_mixture_has(mixture: Mixture, modes: int) -> None:
    repeats = [counted(mixture, modes, seed) for seed in range(10)]
    found = repeats[0]
    assert {m.count for m in found.values()} == {MODE_SAMPLES}
    assert {m.weights for m in found.values()} == {"ema"}
    for told in ([m["modes"].value for m in repeats], [found["modes"].floor]):
        assert set(told) == {modes}
    sd = math.sqrt(PERFECT_IN_THE_PLANE * (1 - PERFECT_IN_THE_PLANE) / MODE_SAMPLES)
    assert found["high_quality"].floor == pytest.approx(0.989, abs=4 * sd)
    assert sum(m["high_quality"].value for m in repeats) / 10 == pytest.approx(0.989, abs=4 * sd / math.sqrt(10))
    # 2N KL is about χ² with K - 1 degrees of freedom, N the samples of high quality.
    kl, spread = (modes - 1) / 2 / MODE_SAMPLES, math.sqrt(2 * (modes - 1)) / 2 / MODE_SAMPLES
    assert sum(m["mode_kl"].value for m in repeats) / 10 == pytest.approx(
        kl, abs=4 * spread / math.sqrt(10) + 0.02 * kl
    )
    assert 0 < 2 * MODE_SAMPLES * found["mode_kl"].floor < {8: 24.3, 25: 51.2}[modes]  # p = 0.001, one draw


@pytest.mark.parametrize("found_modes", [1, 2, 5])
def test_collapsed_generator_has_the_modes_that_it_has(found_modes: int) -> None:
    found = counted(RING, found_modes)
    assert found["modes"].value == found_modes
    assert found["high_quality"].value > 0.98
    assert found["mode_kl"].value == pytest.approx(math.log(8 / found_modes), abs=0.01)


@pytest.mark.parametrize("value", [100.0, math.nan, math.inf])
def test_generator_that_diverged_has_no_mode(value: float) -> None:
    generator = Through(lambda z: torch.full((len(z), 2), value))
    found = MixtureEvaluator(GRID).evaluate(sampler(generator), "raw").values
    assert found == {"modes": 0, "high_quality": 0.0, "mode_kl": math.log(25)}


def test_guides_name_what_is_measured() -> None:
    for of in (MixtureEvaluator(RING), GaussianEvaluator(TRUTH, 100)):
        values = of.evaluate(sampler(nn.Linear(3, 2), dim=3), "raw").values
        assert of.guide.metric in values
        assert of.guide.guard is None or of.guide.guard in values


def test_evaluations_repeat_themselves_and_leave_the_generator_alone() -> None:
    torch.manual_seed(0)
    generator = nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 2)).train()
    before = {name: value.clone() for name, value in generator.state_dict().items()}
    state = torch.get_rng_state()
    for of in (MixtureEvaluator(RING), GaussianEvaluator(TRUTH, 100)):
        first = of.evaluate(sampler(generator, dim=3), "raw")
        assert of.evaluate(sampler(generator, dim=3), "raw").measures == first.measures
        assert not first.pictures
        assert not first.reference
    assert torch.equal(torch.get_rng_state(), state)
    assert all(module.training for module in generator.modules())
    for name, value in generator.state_dict().items():
        assert torch.equal(value, before[name])
