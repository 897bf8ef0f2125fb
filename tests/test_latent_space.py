"""Ways between latents, loops, sheets and truncation: closed forms."""

import math

import pytest
import torch
from torch import Tensor

from gan_cli.latent_space.loop import loop
from gan_cli.latent_space.paths import lerp, path_for, slerp
from gan_cli.latent_space.surface import square, surface
from gan_cli.latent_space.truncation import TruncatedLatents, truncated
from gan_cli.latents import Latents
from gan_cli.streams import Streams

TIME = torch.linspace(0, 1, 11, dtype=torch.float64)


def normal(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(3))


def angle(a: Tensor, b: Tensor) -> Tensor:
    u, v = torch.nn.functional.normalize(a.double(), dim=-1), torch.nn.functional.normalize(b.double(), dim=-1)
    return 2 * torch.atan2((u - v).norm(dim=-1), (u + v).norm(dim=-1))


@pytest.mark.parametrize("dim", [2, 3, 96])
def test_on_an_arc_the_angle_grows_with_time_and_the_norm_goes_evenly(dim: int) -> None:
    a, b = normal(2, dim).double()
    way = slerp(a, b, TIME)
    assert torch.allclose(angle(way, a), TIME * angle(a, b), atol=1e-12)
    assert torch.allclose(way.norm(dim=-1), (1 - TIME) * a.norm() + TIME * b.norm(), rtol=1e-12)
    # Never out of the plane of both.
    basis = torch.linalg.qr(torch.stack([a, b], 1))[0]
    assert torch.allclose(way @ basis @ basis.T, way, atol=1e-12)


def test_between_equal_norms_the_arc_is_the_formula_of_the_paper() -> None:
    a, b = torch.nn.functional.normalize(normal(2, 5).double(), dim=-1)
    omega, t = torch.acos(a @ b), TIME[:, None]
    paper = ((1 - t) * omega).sin() / omega.sin() * a + (t * omega).sin() / omega.sin() * b
    assert torch.allclose(slerp(a, b, TIME), paper, atol=1e-12)
    assert torch.allclose(slerp(a, b, TIME).norm(dim=-1), torch.ones(11).double(), rtol=1e-12)


@pytest.mark.parametrize("path", [slerp, lerp])
def test_ends_are_exact_and_pairs_are_taken_one_by_one(path) -> None:
    a, b = normal(2, 40, 7)
    assert torch.equal(path(a, b, torch.zeros(40)), a)
    assert torch.equal(path(a, b, torch.ones(40)), b)
    t = torch.linspace(0, 1, 40)
    together = path(a, b, t)
    assert together.dtype == torch.float32
    for number in range(40):
        assert torch.equal(together[number], path(a[number], b[number], t[number]))


@pytest.mark.parametrize("near", [0.0, 1e-14, 1e-9, 1e-4])
def test_parallel_and_opposite_directions_have_an_arc(near: float) -> None:
    a = normal(6).double()
    other = torch.linalg.qr(torch.stack([a, normal(2, 6)[1].double()], 1))[0][:, 1]
    for sign in (1, -1):
        b = 2 * sign * (a + near * a.norm() * other)
        way = slerp(a, b, TIME)
        assert way.isfinite().all()
        assert torch.allclose(angle(way, a), TIME * angle(a, b), atol=1e-9)
        assert torch.allclose(way.norm(dim=-1), (1 - TIME) * a.norm() + TIME * b.norm(), rtol=1e-9)


def test_an_arc_from_or_to_zero_is_straight() -> None:
    b = normal(5).double()
    assert torch.allclose(slerp(torch.zeros(5).double(), b, TIME), TIME[:, None] * b)
    assert torch.allclose(slerp(b, torch.zeros(5).double(), TIME), (1 - TIME)[:, None] * b)
    assert torch.equal(slerp(torch.zeros(5), torch.zeros(5), TIME), torch.zeros(11, 5))
    line = slerp(torch.tensor([-2.0]), torch.tensor([2.0]), TIME)  # in one dimension there is no way round
    assert line.isfinite().all()
    assert (line.abs() <= 2).all()


def test_normal_latents_keep_their_sphere_and_uniform_ones_their_cube(streams: Streams) -> None:
    z = Latents(64, "normal", streams)("sample", 0, 64)
    middle = torch.full((32,), 0.5)
    arcs, lines = path_for("normal")(z[:32], z[32:], middle), lerp(z[:32], z[32:], middle)
    assert float(arcs.norm(dim=1).mean()) == pytest.approx(float(z.norm(dim=1).mean()), rel=1e-5)
    assert lines.norm(dim=1).mean() < 0.8 * z.norm(dim=1).mean()  # √½
    corners = torch.tensor([[1.0, -1.0, 1.0], [-1.0, -1.0, 1.0]])
    assert path_for("uniform")(corners[0], corners[1], TIME).abs().max() <= 1


@pytest.mark.parametrize("stops", [1, 2, 5])
def test_a_loop_meets_every_stop_and_has_no_seam(stops: int) -> None:
    anchors, steps = normal(stops, 3, 16), 40
    way = loop(anchors, steps, slerp)
    assert way.shape == (stops * steps, 3, 16)
    assert torch.equal(way[::steps], anchors)
    moves = (way.roll(-1, 0) - way).norm(dim=-1)  # the last is the one from the last frame to the first
    # The speed is at most 1.5 times that of an even way, and a way at most half round the largest sphere, and outwards.
    assert moves.max() < 1.5 / steps * (math.pi + 1) * anchors.norm(dim=-1).max()
    # At the stops, the first among them, it comes to rest and sets out slowly, as in the middle of a leg it does not.
    if stops > 2:
        at_stops = moves.reshape(stops, steps, 3)
        assert (at_stops[:, [0, -1]] < 0.1 * at_stops[:, [steps // 2]]).all()


def test_a_loop_begun_at_another_stop_is_the_same_loop() -> None:
    anchors = normal(4, 8)
    assert torch.allclose(loop(anchors.roll(-1, 0), 10, slerp), loop(anchors, 10, slerp).roll(-10, 0))


def test_a_surface_has_its_corners_and_is_a_path_along_each_edge() -> None:
    corners = normal(4, 9)
    sheet = surface(corners, 6, slerp)
    assert sheet.shape == (6, 6, 9)
    assert torch.equal(sheet[[0, 0, -1, -1], [0, -1, 0, -1]], corners)
    along = torch.linspace(0, 1, 6, dtype=torch.float64)
    for edge, (a, b) in ((sheet[0], (0, 1)), (sheet[-1], (2, 3)), (sheet[:, 0], (0, 2)), (sheet[:, -1], (1, 3))):
        assert torch.allclose(edge, slerp(corners[a], corners[b], along), atol=1e-6)
    assert surface(2 * corners.sigmoid() - 1, 30, lerp).abs().max() < 1


def test_a_square_has_parts_of_equal_probability() -> None:
    for distribution, cdf in (("uniform", lambda z: (z + 1) / 2), ("normal", torch.special.ndtr)):
        found = cdf(square(5, distribution))
        middle = (torch.arange(5) + 0.5) / 5
        assert torch.allclose(found[..., 0], middle.expand(5, 5), atol=1e-6)  # to the right
        assert torch.allclose(found[..., 1], middle.flip(0)[:, None].expand(5, 5), atol=1e-6)  # upwards


@pytest.mark.parametrize("t", [0.02, 0.5, 1.0, 2.0])
def test_truncated_values_have_the_moments_of_the_truncated_normal(t: float) -> None:
    z = normal(400_000)
    cut = truncated(z, t).double()
    assert cut.abs().max() <= t
    density, inside = math.exp(-t * t / 2) / math.sqrt(2 * math.pi), math.erf(t / math.sqrt(2))
    variance = 1 - 2 * t * density / inside
    assert float(cut.mean()) == pytest.approx(0, abs=5 * math.sqrt(variance / len(z)))
    assert float(cut.square().mean()) == pytest.approx(variance, rel=0.01)
    # The whole distribution: what is left of Φ between the thresholds.
    ranks = (torch.arange(len(z)) + 0.5) / len(z)
    cdf = (torch.special.ndtr(cut.sort().values) - torch.special.ndtr(torch.tensor(-t).double())) / inside
    assert (cdf - ranks).abs().max() < 2.2 / math.sqrt(len(z))


def test_truncation_keeps_order_and_sign_and_moves_continuously_to_nothing() -> None:
    z = torch.cat([normal(10_000), torch.tensor([0.0, 30.0, -30.0])])
    before = None
    for t in (0.1, 0.5, 1.0, 1.001, 2.0, 6.0):
        cut = truncated(z, t)
        assert torch.equal(cut.sign(), z.sign())
        assert (cut[z.argsort()].diff() >= 0).all()
        assert before is None or (cut.abs() >= before.abs()).all()
        before = cut
    assert (truncated(z, 1.001) - truncated(z, 1.0)).abs().max() < 0.0011
    assert torch.allclose(truncated(z, 40.0), z, rtol=1e-6, atol=0)


def test_truncated_latents_depend_on_their_own_normal_values_alone(streams: Streams) -> None:
    plain, cut = Latents(4, "normal", streams), TruncatedLatents(4, "normal", streams, 0.7)
    assert torch.equal(cut("sample", 3, 64), truncated(plain("sample", 3, 64), 0.7))
