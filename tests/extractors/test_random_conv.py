"""That random convolutions see what is wrong with a set of pictures; standardized, as an evaluation uses them."""

import importlib.util
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from torch import Tensor

from gan_cli.data import pokemon
from gan_cli.extractors import open_extractor
from gan_cli.extractors.files import WEIGHTS
from gan_cli.metrics.kid import polynomial_mmd2
from gan_cli.metrics.random_net import EMBEDDING_DIM, POOLED, RandomNet
from gan_cli.metrics.standardize import standardizer


def features(images: Tensor) -> Tensor:
    return open_extractor("random_v1", (3, 64, 64))(images).embedding


def distance(images: Tensor, reference: Tensor) -> float:
    found = features(reference)
    scaled = standardizer(found)
    return polynomial_mmd2(scaled(found), scaled(features(images)))


def noisy(images: Tensor, std: float) -> Tensor:
    noise = torch.randn(images.shape, generator=torch.Generator().manual_seed(0))
    return (images.float() + std * noise).round().clamp(0, 255).byte()


def blurred(images: Tensor) -> Tensor:
    """A 3 × 3 binomial filter."""
    row = torch.tensor([1.0, 2.0, 1.0])
    kernel = (row[:, None] * row / 16)[None, None]
    padded = torch.nn.functional.pad(images.float(), [1] * 4, mode="replicate").flatten(0, 1).unsqueeze(1)
    return torch.nn.functional.conv2d(padded, kernel).reshape(images.shape).round().byte()


def repeated(images: Tensor) -> Tensor:
    return images[: len(images) // 10].repeat(10, 1, 1, 1)


def without(images: Tensor) -> Tensor:
    return images


WRONG: dict[str, Callable[[Tensor], Tensor]] = {
    "noise": lambda images: noisy(images, 16),
    "blur": blurred,
    "repeats": repeated,
    "flip": lambda images: images.flip(2),
    "colors": lambda images: images[:, [2, 1, 0]],
}


@cache
def blobs() -> Tensor:
    """Discs with an outline on white: mostly red, in the upper half, one in size and place to no other."""
    random = torch.Generator().manual_seed(0)
    count = 1000
    place, size, color = torch.rand(3, count, 3, 1, 1, generator=random)
    grid = torch.linspace(0, 1, 64)
    away = ((grid - 0.2 - 0.6 * place[:, 0]) ** 2 + (grid[:, None] - 0.2 - 0.3 * place[:, 1]) ** 2).sqrt()
    radius = 0.08 + 0.1 * size[:, 0]
    own = color * torch.tensor([0.95, 0.5, 0.4])[:, None, None]
    images = torch.where((away < radius)[:, None], own, torch.ones(count, 3, 64, 64))
    images = torch.where(((away - radius).abs() < 0.015)[:, None], torch.zeros(()), images)
    return images.mul(255).round().byte()


@cache
def between_blobs() -> list[float]:
    """The distance of disjoint sets of blobs."""
    order = [torch.randperm(1000, generator=torch.Generator().manual_seed(seed)) for seed in range(4)]
    return [distance(blobs()[chosen[:500]], blobs()[chosen[500:]]) for chosen in order]


@pytest.mark.parametrize("wrong", WRONG)
def test_each_defect_is_far_beyond_chance(wrong: str) -> None:
    reference, others = blobs().split(500)
    chance = max(map(abs, between_blobs()))
    assert distance(WRONG[wrong](others), reference) > 5 * chance


def test_distance_of_one_distribution_is_about_zero() -> None:
    found = torch.tensor(between_blobs())
    assert float(found.abs().max()) < 0.02
    assert float(found.min()) < 0.005


def test_distance_grows_with_noise() -> None:
    reference, others = blobs().split(500)
    found = [distance(noisy(others, std), reference) for std in (0, 8, 16, 32)]
    assert found == sorted(found)
    assert found[0] < found[1] - 0.01


def test_no_unit_is_dead_and_the_layers_have_comparable_scales() -> None:
    spread = features(blobs()).double().std(0)
    assert len(spread) == EMBEDDING_DIM == 256
    assert float(spread.min() / spread.max()) > 0.003
    assert open_extractor("random_v1", (3, 64, 64)).standardize


def test_no_unit_is_nearly_always_the_same() -> None:
    # What made a ReLU useless: a unit that is 0 on nearly all images, and whose variance comes from the few others.
    found = features(blobs()).double()
    scaled = (found - found.mean(0)) / found.std(0)
    assert float(scaled.abs().max()) < 15


def test_filters_of_a_layer_are_orthogonal() -> None:
    with safe_open(WEIGHTS / "random_v1.safetensors", framework="pt") as file:
        assert {"seed", "torch"} <= file.metadata().keys()
        for name in file.keys():  # noqa: SIM118 (it is no mapping)
            filters = file.get_tensor(name).flatten(1).double()
            products = filters @ filters.T / filters.square().sum(1).mean()
            assert torch.allclose(products, torch.eye(len(filters), dtype=torch.float64), atol=1e-5)


def test_script_draws_the_same_weights_each_time() -> None:
    path = Path(__file__).parents[2] / "benchmarks" / "random_net.py"
    spec = importlib.util.spec_from_file_location("random_net_script", path)
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    with safe_open(WEIGHTS / "random_v1.safetensors", framework="pt") as file:
        stored = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        same_torch = file.metadata()["torch"] == torch.__version__
    drawn, again = script.draw(script.SEED).state_dict(), script.draw(script.SEED).state_dict()
    assert drawn.keys() == stored.keys()
    assert all(torch.equal(tensor, again[name]) for name, tensor in drawn.items())
    if same_torch:
        assert all(torch.allclose(tensor, stored[name], atol=1e-6) for name, tensor in drawn.items())


def test_bytes_become_minus_one_to_one_and_the_activation_is_as_stated() -> None:
    network = RandomNet()
    with torch.no_grad():
        for layer in network.layers:
            layer.weight.zero_()  # type: ignore[union-attr, operator]
        network.layers[0].weight[0, 0, 1, 1] = 1  # type: ignore[index]
        for value, expected in ((255, 1.0), (0, 0.2), (51, 0.2 * 0.6)):
            found = network(torch.full((1, 3, 64, 64), value, dtype=torch.uint8))
            assert float(found[0, 0]) == pytest.approx(expected, abs=1e-6)
            assert int(found.count_nonzero()) == POOLED[0] ** 2


@pytest.mark.parametrize("images", [torch.zeros(2, 3, 64, 64), torch.zeros(2, 1, 64, 64, dtype=torch.uint8)])
def test_network_takes_bytes_of_its_own_size_alone(images: Tensor) -> None:
    with pytest.raises(ValueError, match=r"takes uint8 images \(N, 3, 64, 64\) with values 0 to 255, not "):
        RandomNet()(images)


@pytest.mark.slow
def test_real_sprites(sprites: Path) -> None:
    """500 against 500 others, several times: every defect beyond three standard deviations of chance."""
    samples = pokemon.load(str(sprites)).samples
    found: dict[str, list[float]] = {name: [] for name in ("nothing", *WRONG)}
    for seed in range(6):
        order = torch.randperm(len(samples), generator=torch.Generator().manual_seed(seed))
        reference, others = samples[order[:500]], samples[order[500:1000]]
        for name, wrong in {"nothing": without, **WRONG}.items():
            found[name].append(distance(wrong(others), reference))
    nothing = torch.tensor(found.pop("nothing"), dtype=torch.float64)
    assert abs(float(nothing.mean())) < 0.01
    assert float(nothing.std()) < 0.01
    for name, values in found.items():
        assert min(values) > 3 * float(nothing.std()), name
