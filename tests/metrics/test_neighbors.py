"""Nearest neighbors against all pairs measured one by one, and planted copies that must be found."""

import math

import pytest
import torch
from torch import Tensor

from gan_cli.metrics.neighbors import closest_pairs, copied_share, cosine_nearest, mifid, nearest, nearest_several

SIGMAS = 4.5


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def distances(x: Tensor, y: Tensor) -> Tensor:
    """By subtraction, without a product of matrices."""
    return (x.double()[:, None] - y.double()).square().sum(2).sqrt()


def test_by_hand() -> None:
    x, y = torch.tensor([[0.0, 0.0], [3.0, 4.0]]), torch.tensor([[6.0, 8.0], [3.0, 4.0], [0.0, 1.0]])
    found, index = nearest(x, y)
    assert found.tolist() == [1, 0]
    assert index.tolist() == [2, 1]
    assert found.dtype == torch.float64
    assert index.dtype == torch.int64
    found, index = nearest(y, y, leave_out=True)
    assert found.tolist() == [5, pytest.approx(math.sqrt(18)), pytest.approx(math.sqrt(18))]
    assert index.tolist() == [1, 2, 1]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("n", "m", "dim"), [(1, 1, 1), (7, 300, 1), (300, 200, 3), (150, 400, 64), (60, 70, 512)])
@pytest.mark.parametrize("offset", [0.0, 100.0])
def test_equals_all_pairs(n: int, m: int, dim: int, offset: float, dtype: torch.dtype) -> None:
    x, y = ((normal(count, dim, seed=seed) + offset).to(dtype) for seed, count in ((1, n), (2, m)))
    found, index = nearest(x, y)
    expected, where = distances(x, y).min(1)
    torch.testing.assert_close(found, expected, rtol=1e-14, atol=0)
    assert torch.equal(index, where)


@pytest.mark.parametrize("dim", [2, 64])
def test_leaving_out_equals_all_other_pairs(dim: int) -> None:
    x = normal(400, dim)
    found, index = nearest(x, x, leave_out=True, chunk=37)
    expected, where = distances(x, x).fill_diagonal_(math.inf).min(1)
    torch.testing.assert_close(found, expected, rtol=1e-14, atol=0)
    assert torch.equal(index, where)


def test_more_samples_than_are_searched_at_a_time() -> None:
    x = normal(20_000, 2)
    found, index = nearest(x, x, leave_out=True)
    assert not (index == torch.arange(20_000)).any()
    some = torch.tensor([0, 1, 1023, 1024, 8191, 8192, 8193, 16_384, 19_999])
    all_others = distances(x[some], x)
    all_others[torch.arange(len(some)), some] = math.inf
    torch.testing.assert_close(found[some], all_others.min(1).values, rtol=1e-14, atol=0)
    assert torch.equal(index[some], all_others.argmin(1))
    without, _ = nearest(x[some], x)
    assert not without.any()


def test_last_sample_alone_in_the_last_columns() -> None:
    x = normal(8193, 1)
    found, index = nearest(x, x, leave_out=True)
    assert int(index[-1]) != 8192
    assert float(found[-1]) == float((x[:-1] - x[-1]).abs().min())


@pytest.mark.parametrize("chunk", [1, 7, 100, 101, 10_000])
def test_chunk_does_not_matter(chunk: int) -> None:
    x, y = normal(100, 5, seed=1), normal(80, 5, seed=2)
    for ours, theirs in zip(nearest(x, y, chunk=chunk), nearest(x, y), strict=True):
        assert torch.equal(ours, theirs)
    assert torch.allclose(cosine_nearest(x, y, chunk=chunk), cosine_nearest(x, y), rtol=0, atol=1e-14)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("offset", [0.0, 1.0, 1e3, 1e6])
@pytest.mark.parametrize("dim", [1, 64, 512])
def test_distance_of_an_exact_copy_is_exactly_zero(dim: int, offset: float, dtype: torch.dtype) -> None:
    y = (normal(300, dim) + offset).to(dtype)
    order = torch.randperm(300, generator=torch.Generator().manual_seed(1))
    found, index = nearest(y[order], y)
    assert not found.any()
    assert torch.equal(y[index], y[order])


@pytest.mark.parametrize("offset", [1.0, 1e4, 1e6])
@pytest.mark.parametrize("dim", [1, 64])
def test_nearest_among_samples_that_differ_by_rounding(dim: int, offset: float) -> None:
    # Products of matrices cannot tell these apart: their squares are offset² and differ by 1e-24 of it.
    y = offset * (1 + 1e-12 * normal(200, dim, seed=1))
    x = offset * (1 + 1e-12 * normal(50, dim, seed=2))
    found, _ = nearest(x, y)
    expected = distances(x, y).min(1).values
    assert float(expected.max()) > 0
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=0)


def test_samples_that_are_all_the_same_have_another_at_zero() -> None:
    x = normal(1, 64).expand(3000, -1)
    found, index = nearest(x, x, leave_out=True)
    assert not found.any()
    assert not (index == torch.arange(3000)).any()


def test_pair_of_duplicates_finds_itself_and_the_rest_their_neighbors() -> None:
    x = torch.cat([normal(50, 8), normal(50, 8)[7:8]])
    found, index = nearest(x, x, leave_out=True)
    assert float(found[7]) == float(found[50]) == 0
    assert (int(index[7]), int(index[50])) == (50, 7)
    assert int((found == 0).sum()) == 2


def test_cosine_by_hand() -> None:
    x = torch.tensor([[1.0, 0.0], [-2.0, 0.0], [0.0, 0.0], [1.0, 1.0]])
    y = torch.tensor([[5.0, 0.0], [3.0, 4.0]])
    found = cosine_nearest(x, y)
    assert found.tolist() == pytest.approx([0, 0, 1, 1 - 7 / math.sqrt(50)], abs=1e-15)
    # A sample and its opposite are near, as in the authors' code.
    assert cosine_nearest(x[:2], x[:2], leave_out=True).tolist() == [0, 0]


@pytest.mark.parametrize(("n", "m", "dim"), [(1, 1, 1), (300, 200, 3), (150, 400, 64)])
def test_cosine_equals_torch_pair_by_pair(n: int, m: int, dim: int) -> None:
    x, y = normal(n, dim, seed=1), normal(m, dim, seed=2)
    cosines = torch.nn.functional.cosine_similarity(x[:, None], y[None], dim=2)
    found = cosine_nearest(x, y)
    torch.testing.assert_close(found, (1 - cosines.abs()).min(1).values, rtol=0, atol=1e-14)
    assert float(found.min()) >= 0
    assert float(found.max()) <= 1
    if n > 1:
        own = torch.nn.functional.cosine_similarity(x[:, None], x[None], dim=2).fill_diagonal_(0)
        without = cosine_nearest(x, x, leave_out=True, chunk=37)
        torch.testing.assert_close(without, (1 - own.abs()).min(1).values, rtol=0, atol=1e-14)
        assert float(cosine_nearest(x, x).max()) < 1e-15


def test_mifid_by_hand() -> None:
    assert mifid(10.0, 0.05, 0.1) == pytest.approx(200, rel=1e-12)
    assert mifid(10.0, 0.1, 0.1) == 10
    assert mifid(10.0, 0.5, 0.1) == 10
    assert mifid(10.0, 0.0, 0.1) == pytest.approx(1e16, rel=1e-12)
    assert math.isnan(mifid(10.0, math.nan, 0.1))


def test_generator_that_repeats_one_training_image_explodes() -> None:
    # The mean over real images, torchmetrics' order, would be that of unrelated images and no penalty.
    train = normal(500, 16)
    one = train[3:4].expand(500, -1)
    threshold = 0.5 * float(cosine_nearest(train, train, leave_out=True).mean())
    assert mifid(10.0, float(cosine_nearest(one, train).mean()), threshold) > 1e10
    assert mifid(10.0, float(cosine_nearest(train, one).mean()), threshold) == 10
    assert mifid(10.0, float(cosine_nearest(normal(500, 16, seed=1), train).mean()), threshold) == 10


def test_copied_share_by_hand() -> None:
    baseline = torch.arange(1.0, 102.0)  # the quantile 0.1 is 11
    assert copied_share(torch.tensor([0.0, 10.9, 11.0, 50.0]), baseline, 0.1) == 0.5
    assert copied_share(torch.tensor([12.0]), baseline, 0.1) == 0


def test_exact_copies_count_where_the_training_images_have_duplicates_too() -> None:
    baseline = torch.cat([torch.zeros(10), torch.arange(1.0, 91.0)])
    found = torch.cat([torch.zeros(30), torch.full((70,), 1e-3)])
    assert copied_share(found, baseline, 0.005) == 0.3
    assert copied_share(baseline, baseline, 0.005) == 0.1  # what the data score themselves
    assert copied_share(torch.full((5,), 1e-3), baseline, 0.0) == 0


@pytest.mark.parametrize("quantile", [0.005, 0.05, 0.5])
def test_about_that_quantile_of_fresh_real_images_count(quantile: float) -> None:
    train, fresh = normal(4000, 8, seed=1), normal(4000, 8, seed=2)
    baseline, _ = nearest(train, train, leave_out=True)
    found = copied_share(nearest(fresh, train)[0], baseline, quantile)
    # The threshold is as noisy as the count, and neighbors of one point depend on each other a little.
    error = math.sqrt(2 * quantile * (1 - quantile) / 4000)
    assert abs(found - quantile) < SIGMAS * error


@pytest.mark.parametrize("planted", [0.0, 0.01, 0.3, 1.0])
@pytest.mark.parametrize("jitter", [0.0, 1e-3, 0.1], ids=["exact", "rounded", "noisy"])
def test_planted_share_of_copies_is_recovered(planted: float, jitter: float) -> None:
    count, quantile = 2000, 0.005
    mix = normal(64, 64, seed=9) / 8
    train, fresh = (normal(3000, 64, seed=1) @ mix).float(), (normal(count, 64, seed=2) @ mix).float()
    copies = round(planted * count)
    fresh[:copies] = train[torch.randperm(3000, generator=torch.Generator().manual_seed(3))[:copies]]
    fresh[:copies] += jitter * normal(copies, 64, seed=4).float()
    baseline, _ = nearest(train, train, leave_out=True)
    found, _ = nearest(fresh, train)
    assert float(baseline.min()) > 8 * jitter * 1.5  # farther than the jitter moves a copy
    if jitter == 0:
        assert not found[:copies].any()
    # All copies count, and of the others about the quantile: a binomial number, with a threshold as noisy.
    expected = planted + (1 - planted) * quantile
    error = math.sqrt((1 - planted) * quantile * (1 / count + (1 - planted) / 3000))
    assert abs(copied_share(found, baseline, quantile) - expected) <= SIGMAS * error + 1 / count


@pytest.mark.parametrize(("found", "baseline"), [(0, 3), (3, 0)])
def test_share_of_nothing_is_refused(found: int, baseline: int) -> None:
    with pytest.raises(ValueError, match="at least one"):
        copied_share(torch.ones(found), torch.ones(baseline))


def test_closest_pairs_by_hand() -> None:
    pairs, found = closest_pairs(torch.tensor([[0.0], [10.0], [1.0], [12.0]]), 3)
    assert pairs.tolist() == [[0, 2], [1, 3], [1, 2]]
    assert found.tolist() == [1, 2, 9]


@pytest.mark.parametrize(("n", "dim", "count"), [(2, 3, 1), (30, 1, 435), (300, 2, 50), (200, 64, 1000)])
@pytest.mark.parametrize("chunk", [13, 1024])
def test_closest_pairs_equal_all_pairs(n: int, dim: int, count: int, chunk: int) -> None:
    x = normal(n, dim)
    pairs, found = closest_pairs(x, count, chunk=chunk)
    expected = torch.pdist(x).sort().values[:count]
    torch.testing.assert_close(found, expected, rtol=1e-13, atol=0)
    assert (pairs[:, 0] < pairs[:, 1]).all()
    assert len(pairs.unique(dim=0)) == count
    torch.testing.assert_close((x[pairs[:, 0]] - x[pairs[:, 1]]).norm(dim=1), found, rtol=1e-13, atol=0)


def test_closest_pairs_across_what_is_searched_at_a_time() -> None:
    x = normal(9000, 16).float()
    x[8500], x[8999], x[1030] = x[17], x[8998], x[1020]
    pairs, found = closest_pairs(x, 4)
    assert sorted(pairs[:3].tolist()) == [[17, 8500], [1020, 1030], [8998, 8999]]
    assert found[:3].tolist() == [0, 0, 0]
    assert float(found[3]) > 0.1


def test_closest_pairs_of_samples_that_are_all_the_same() -> None:
    pairs, found = closest_pairs(normal(1, 64).expand(2000, -1), 20)
    assert not found.any()
    assert len(pairs.unique(dim=0)) == 20


@pytest.mark.parametrize(("shape", "count"), [((5, 3), 11), ((5, 3), 0), ((1, 3), 1), ((5,), 1)])
def test_pairs_that_do_not_exist_are_refused(shape: tuple[int, ...], count: int) -> None:
    with pytest.raises(ValueError, match="pairs cannot be chosen"):
        closest_pairs(torch.zeros(shape), count)


SEARCHES = [nearest, cosine_nearest]


@pytest.mark.parametrize("search", SEARCHES)
@pytest.mark.parametrize(("x", "y"), [((0, 3), (5, 3)), ((5, 3), (0, 3)), ((5, 3), (5, 2)), ((5,), (5,))])
def test_sets_that_cannot_be_compared_are_refused(search, x: tuple[int, ...], y: tuple[int, ...]) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match="neighbors are sought"):
        search(torch.zeros(x), torch.zeros(y))


@pytest.mark.parametrize("search", SEARCHES)
def test_leaving_out_of_another_set_is_refused(search) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match="without each one's own"):
        search(torch.zeros(5, 3), torch.zeros(6, 3), leave_out=True)
    with pytest.raises(ValueError, match="without each one's own"):
        search(torch.zeros(1, 3), torch.zeros(1, 3), leave_out=True)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("search", SEARCHES)
def test_features_that_are_not_finite_are_refused(search, bad: float) -> None:  # type: ignore[no-untyped-def]
    x, y = normal(5, 3), normal(5, 3, seed=1)
    x[2, 1] = bad
    for one, other in ((x, y), (y, x)):
        with pytest.raises(ValueError, match="not finite"):
            search(one, other)
    with pytest.raises(ValueError, match="not finite"):
        closest_pairs(x, 1)


def test_features_are_left_as_they_were() -> None:
    x, y = normal(20, 3).requires_grad_(), normal(20, 3, seed=1)
    before = x.detach().clone(), y.clone()
    nearest(x, y)
    cosine_nearest(x, y)
    closest_pairs(x, 5)
    assert torch.equal(x, before[0])
    assert torch.equal(y, before[1])


def test_several_neighbors_are_those_of_the_definition_and_each_thing_counts_once() -> None:
    random = torch.Generator().manual_seed(5)
    x, y, z = (
        torch.randn(size, 6, generator=random).double() for size in (7, 9000, 9000)
    )  # more than are taken at once
    distances, things, forms = nearest_several(x, (y, z), 5)
    every = torch.stack([(x[:, None] - form[None]).square().sum(2).sqrt() for form in (y, z)])
    least, which = every.min(0)
    order = least.argsort(dim=1)[:, :5]
    assert torch.equal(things, order)
    assert torch.allclose(distances, least.gather(1, order), rtol=1e-12)
    assert torch.equal(forms, which.gather(1, order))
    assert torch.allclose(nearest(x, torch.cat([y, z]))[0], distances[:, 0], rtol=1e-12)


def test_a_copy_is_the_nearest_of_several_at_no_distance_and_all_can_be_asked_for() -> None:
    y = torch.randn(50, 4, generator=torch.Generator().manual_seed(5)) + 1e6
    distances, things, forms = nearest_several(y[[7, 3]], (y + 1, y), 50)
    assert (things[:, 0].tolist(), forms[:, 0].tolist(), distances[:, 0].tolist()) == ([7, 3], [1, 1], [0, 0])
    assert all(row.sort().values.tolist() == list(range(50)) for row in things)
    for count, sets in ((0, (y,)), (51, (y,)), (1, (y, y[:3])), (1, ())):
        with pytest.raises(ValueError, match="cannot be found"):
            nearest_several(y, sets, count)
