import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from gan_cli.streams import Streams

CPU = torch.device("cpu")
MANY = 100_000

DRAWS: dict[str, Callable[[Streams, str, int], Tensor]] = {
    "normal": lambda streams, purpose, index: streams.normal(purpose, index, (64,)),
    "uniform": lambda streams, purpose, index: streams.uniform(purpose, index, (64,)),
    "permutation": lambda streams, purpose, index: streams.permutation(purpose, index, 64),
    "modules": lambda streams, purpose, index: drawn_by_modules(streams, purpose, index),
}
draws = pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS)


def drawn_by_modules(streams: Streams, purpose: str, index: int) -> Tensor:
    with streams.modules(purpose, index):
        return torch.nn.functional.dropout(torch.ones(64), 0.5)


def distance_from_cdf(sample: Tensor, cdf: Tensor) -> float:
    """Kolmogorov and Smirnov's statistic; `cdf` is the claimed distribution's at the sorted sample."""
    below = torch.arange(len(sample)) / len(sample)
    return float(torch.maximum(cdf - below, below + 1 / len(sample) - cdf).max())


@draws
def test_draw_depends_on_seed_purpose_and_index_alone(draw):
    fresh = draw(Streams(3, CPU), "x", 7)
    used = Streams(3, CPU)
    for kind in DRAWS.values():
        for purpose, index in (("x", 6), ("y", 7), ("x", 7)):
            kind(used, purpose, index)
    torch.manual_seed(123)
    torch.rand(5)
    assert torch.equal(draw(used, "x", 7), fresh)


@draws
@pytest.mark.parametrize(
    ("seed", "purpose", "index"), [(4, "x", 7), (2**63 - 1, "x", 7), (3, "X", 7), (3, "", 7), (3, "x", 8), (3, "x", 0)]
)
def test_draw_changes_with_every_part_of_its_key(draw, seed, purpose, index):
    assert not torch.equal(draw(Streams(seed, CPU), purpose, index), draw(Streams(3, CPU), "x", 7))


@draws
@pytest.mark.parametrize(
    ("one", "other"), [((1, "1x", 1), (11, "x", 1)), ((1, "x1", 1), (1, "x", 11)), ((1, "2/x", 3), (1, "x", 3))]
)
def test_keys_that_join_to_the_same_letters_are_different_keys(draw, one, other):
    (seed, purpose, index), (other_seed, other_purpose, other_index) = one, other
    first = draw(Streams(seed, CPU), purpose, index)
    assert not torch.equal(first, draw(Streams(other_seed, CPU), other_purpose, other_index))


@draws
def test_draw_leaves_the_global_generator_as_it_was(draw):
    before = torch.get_rng_state()
    draw(Streams(0, CPU), "x", 0)
    assert torch.equal(torch.get_rng_state(), before)


def test_normal_draw_is_standard_normal(streams):
    sample = streams.normal("x", 0, (MANY,)).sort().values
    assert distance_from_cdf(sample, torch.special.ndtr(sample)) < 1.95 / math.sqrt(MANY)  # p = 0.001


def test_uniform_draw_is_uniform_from_minus_one_to_one(streams):
    sample = streams.uniform("x", 0, (MANY,)).sort().values
    assert sample[0] >= -1
    assert sample[-1] < 1
    assert distance_from_cdf(sample, (sample + 1) / 2) < 1.95 / math.sqrt(MANY)


@pytest.mark.parametrize("kind", ["normal", "uniform"])
def test_draws_of_different_steps_are_uncorrelated(streams, kind):
    numbers = torch.stack([getattr(streams, kind)("x", index, (MANY,)) for index in range(4)])
    off_diagonal = torch.corrcoef(numbers) - torch.eye(4)
    assert off_diagonal.abs().max() < 5 / math.sqrt(MANY)


@pytest.mark.parametrize("size", [1, 2, 1000])
def test_permutation_visits_every_sample_once(streams, size):
    assert torch.equal(streams.permutation("x", 0, size).sort().values, torch.arange(size))


def test_every_order_is_equally_likely(streams):
    orders = torch.stack([streams.permutation("x", index, 3) for index in range(1200)])
    counts = (orders @ torch.tensor([9, 3, 1])).unique(return_counts=True)[1]
    assert len(counts) == 6
    chi_squared = float(((counts - 200) ** 2 / 200).sum())
    assert chi_squared < 20.5  # p = 0.001 for 5 degrees of freedom


def test_modules_seeds_what_torch_modules_draw_from(streams):
    with streams.modules("x", 5):
        inside = torch.rand(4)
    with torch.random.fork_rng(devices=[]):
        streams.seed_modules("x", 5)
        assert torch.equal(torch.rand(4), inside)


def test_modules_restores_the_global_generator_after_a_failure(streams):
    def failing() -> None:
        with streams.modules("x"):
            torch.rand(3)
            raise RuntimeError("inside")

    before = torch.get_rng_state()
    with pytest.raises(RuntimeError, match="inside"):
        failing()
    assert torch.equal(torch.get_rng_state(), before)


@draws
def test_streams_of_a_name_are_others_and_always_the_same(draw):
    streams = Streams(3, CPU)
    first = draw(streams.of("x"), "y", 7)
    assert torch.equal(draw(Streams(3, CPU).of("x"), "y", 7), first)
    meant_for_others = [
        draw(streams, "y", 7),
        draw(streams, "x/y", 7),
        draw(streams.of("y"), "y", 7),
        draw(streams.of("x").of("x"), "y", 7),
        draw(Streams(4, CPU).of("x"), "y", 7),
    ]
    assert not any(torch.equal(first, other) for other in meant_for_others)
    assert streams.of("x").device == CPU


def test_streams_of_a_name_have_a_seed_of_their_own():
    seeds = {Streams(seed, CPU).of(name).seed for seed in range(100) for name in ("", "x", "y")}
    assert len(seeds) == 300
    assert all(100 < seed < 2**63 for seed in seeds)  # none of the seeds that a person types


def test_draws_of_a_name_are_uncorrelated_with_those_they_are_derived_from(streams):
    numbers = torch.stack([of.normal("x", 0, (MANY,)) for of in (streams, streams.of("x"), streams.of("x").of("x"))])
    off_diagonal = torch.corrcoef(numbers) - torch.eye(3)
    assert off_diagonal.abs().max() < 5 / math.sqrt(MANY)
