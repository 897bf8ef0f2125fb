import math

import pytest
import torch

from gan_cli.latents import Latents
from gan_cli.streams import Streams

CPU = torch.device("cpu")
distributions = pytest.mark.parametrize("distribution", ["uniform", "normal"])


def made(distribution: str, dim: int = 8, seed: int = 0) -> Latents:
    return Latents(dim, distribution, Streams(seed, CPU))


@distributions
def test_latents_are_one_row_a_sample_from_the_chosen_distribution(distribution):
    latents = made(distribution, dim=5)("D", 0, 20_000)
    assert latents.shape == (20_000, 5)
    for column in latents.T:
        values = column.sort().values
        cdf = torch.special.ndtr(values) if distribution == "normal" else (values + 1) / 2
        ranks = (torch.arange(len(values)) + 0.5) / len(values)
        assert (cdf - ranks).abs().max() < 2.2 / math.sqrt(len(values))  # p = 0.0001


@distributions
def test_dimensions_of_a_latent_are_uncorrelated(distribution):
    correlations = torch.corrcoef(made(distribution)("D", 0, 20_000).T) - torch.eye(8)
    assert correlations.abs().max() < 5 / math.sqrt(20_000)


@distributions
def test_same_purpose_and_index_give_the_same_latents_whatever_was_drawn_before(distribution):
    used = made(distribution)
    for purpose, index in (("D", 2), ("G", 3), ("D", 3)):
        used(purpose, index, 5)
    torch.manual_seed(9)
    assert torch.equal(used("D", 3, 16), made(distribution)("D", 3, 16))


@distributions
@pytest.mark.parametrize(("seed", "purpose", "index"), [(1, "D", 3), (0, "G", 3), (0, "D", 4)])
def test_latents_change_with_seed_purpose_and_index(distribution, seed, purpose, index):
    assert not torch.equal(made(distribution, seed=seed)(purpose, index, 16), made(distribution)("D", 3, 16))


@distributions
def test_latents_share_no_numbers_with_another_draw_of_the_same_purpose(distribution):
    other = getattr(Streams(0, CPU), distribution)("D", 0, (16, 8))
    assert torch.isin(made(distribution)("D", 0, 16), other).float().mean() < 0.1
