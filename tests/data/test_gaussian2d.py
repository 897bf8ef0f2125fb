import math

import pytest
import torch

from gan_cli.data import gaussian2d
from gan_cli.errors import Refused

MANY = 200_000
TRANSFORMS = [
    (((1.0, 2.0), (-0.1, 0.5)), (1.0, 2.0)),  # D2L's
    (((3.0, 0.0), (0.0, 0.2), (1.0, -1.0)), (-5.0, 0.0)),  # three noises, two coordinates
    (((1.0, 0.5, 0.0), (0.0, 1.0, 0.0)), (0.0, 0.0, 7.0)),  # two noises on a plane in space
]
transforms = pytest.mark.parametrize(("transform", "shift"), TRANSFORMS)


@transforms
def test_mean_is_b_and_covariance_is_a_transposed_a(transform, shift):
    points = gaussian2d.load(MANY, transform, shift).samples.double()
    matrix = torch.tensor(transform, dtype=torch.float64)
    covariance = matrix.T @ matrix
    variances = covariance.diag()
    error_of_mean = (variances / MANY).sqrt()
    error_of_covariance = ((covariance**2 + variances.outer(variances)) / MANY).sqrt()
    tiny = 1e-6  # of float32, where a coordinate does not vary at all
    assert ((points.mean(0) - torch.tensor(shift)).abs() < 4.5 * error_of_mean + tiny).all()
    assert ((points.T.cov() - covariance).abs() < 4.5 * error_of_covariance + tiny).all()


def test_whitened_points_are_standard_normal_in_every_direction():
    transform, shift = TRANSFORMS[0]
    points = gaussian2d.load(MANY, transform, shift).samples
    noise = (points - torch.tensor(shift)) @ torch.linalg.inv(torch.tensor(transform))
    for angle in (0.0, 0.7, 1.6, 2.5):
        direction = torch.tensor([math.cos(angle), math.sin(angle)])
        along = (noise @ direction).sort().values
        ranks = (torch.arange(MANY) + 0.5) / MANY
        assert (torch.special.ndtr(along) - ranks).abs().max() < 2.2 / math.sqrt(MANY)


@transforms
def test_points_are_an_affine_map_of_the_same_noise(transform, shift):
    matrix = torch.tensor(transform)
    noise = gaussian2d.load(50, torch.eye(len(matrix)).tolist(), [0.0] * len(matrix), data_seed=3).samples
    points = gaussian2d.load(50, transform, shift, data_seed=3).samples
    torch.testing.assert_close(points, noise @ matrix + torch.tensor(shift))


def test_points_depend_on_the_data_seed_alone():
    first = gaussian2d.load(data_seed=4).samples
    torch.manual_seed(77)
    before = torch.get_rng_state()
    assert torch.equal(gaussian2d.load(data_seed=4).samples, first)
    assert torch.equal(torch.get_rng_state(), before)
    assert not torch.isin(gaussian2d.load(data_seed=5).samples, first).all(1).any()


@pytest.mark.parametrize("count", [1, 1000])
def test_as_many_different_points_as_asked_for(count):
    points = gaussian2d.load(count).samples
    assert points.dtype == torch.float32
    assert len(points.unique(dim=0)) == count


@pytest.mark.parametrize(
    ("transform", "shift"),
    [
        (((1.0, 2.0), (0.5,)), (1.0, 2.0)),
        (((1.0, 2.0), (0.5, 1.0)), (1.0,)),
        (((1.0,), (0.5,)), (1.0, 2.0)),
        ((), (1.0, 2.0)),
        (((),), ()),
    ],
    ids=["ragged", "short-shift", "long-shift", "no-rows", "no-columns"],
)
def test_a_transform_that_does_not_fit_its_shift_is_refused(transform, shift):
    with pytest.raises(Refused, match=r"data\.transform"):
        gaussian2d.load(10, transform, shift)
