"""The evaluation of images changes nothing, repeats itself, and asks a conditional generator for the data's classes."""

import math
import socket
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from evaluation_fakes import CPU, Stored, evaluator, judge, sampler, shuffled, stored
from torch import Tensor, nn

from gan_cli.data import stacked_mnist
from gan_cli.data.dataset import Dataset, as_network_input
from gan_cli.evaluation.choose import choose
from gan_cli.evaluation.image_evaluator import ImageEvaluator
from gan_cli.evaluation.point_evaluator import GaussianEvaluator, MixtureEvaluator
from gan_cli.schema import EvaluateConf, Extractors

LIGHT = {"kid", "precision", "recall", "density", "coverage"}


class Convolutional(nn.Module):
    """A little of everything that has a mode, a buffer or random numbers."""

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.layers = nn.Sequential(
                nn.Linear(4, 49),
                nn.BatchNorm1d(49),
                nn.Dropout(0.2),
                nn.Unflatten(1, (1, 7, 7)),
                nn.Upsample(scale_factor=4),
                nn.utils.parametrizations.spectral_norm(nn.Conv2d(1, 1, 3, padding=1)),
                nn.BatchNorm2d(1),
                nn.Tanh(),
            )

    def forward(self, latents: Tensor) -> Tensor:
        return self.layers(latents)


class OfLabel(nn.Module):
    """Draws real digits of the label that is asked for, and keeps the labels."""

    def __init__(self, data: Dataset, shift: int = 0) -> None:
        super().__init__()
        self.data, self.shift, self.asked = data, shift, torch.zeros(0, dtype=torch.int64)

    def forward(self, latents: Tensor, labels: Tensor) -> Tensor:
        self.asked = torch.cat([self.asked, labels])
        wanted = (labels + self.shift) % 10
        places = [int((self.data.labels == label).nonzero()[i]) for i, label in enumerate(wanted)]
        return as_network_input(self.data.samples[places])


def small(cache: Path, thorough: bool = False, count: int = 100, size: int = 300) -> ImageEvaluator:
    return evaluator(cache, shuffled().first(size), count, thorough)


@pytest.mark.parametrize("batch_statistics", [False, True])
@pytest.mark.parametrize("training", [True, False])
def test_evaluation_changes_nothing(tmp_path: Path, training: bool, batch_statistics: bool) -> None:
    generator = Convolutional().train(training)
    generator.layers[1].train(not training)  # one that is in another mode than the rest
    generator.layers[0].weight.requires_grad_(False)
    of = small(tmp_path, thorough=not batch_statistics)
    samples, labels = of.dataset.samples.clone(), of.dataset.labels.clone()
    network = {name: value.clone() for name, value in of.extractor.network.state_dict().items()}
    before = {name: value.clone() for name, value in generator.state_dict().items()}
    modes = [module.training for module in generator.modules()]
    gradients = [parameter.requires_grad for parameter in generator.parameters()]
    momenta = [module.momentum for module in generator.modules() if hasattr(module, "momentum")]
    state = torch.get_rng_state()
    of.evaluate(sampler(generator, batch_statistics=batch_statistics), "raw")
    assert torch.equal(torch.get_rng_state(), state)
    assert [module.training for module in generator.modules()] == modes
    assert [parameter.requires_grad for parameter in generator.parameters()] == gradients
    assert [module.momentum for module in generator.modules() if hasattr(module, "momentum")] == momenta
    assert all(parameter.grad is None for parameter in generator.parameters())
    for name, value in generator.state_dict().items():
        assert torch.equal(value, before[name]), name
    for name, value in of.extractor.network.state_dict().items():
        assert torch.equal(value, network[name]), name
    assert torch.equal(of.dataset.samples, samples)
    assert torch.equal(of.dataset.labels, labels)
    assert torch.is_grad_enabled()


def test_same_generator_scores_the_same_numbers_and_another_seed_others(tmp_path: Path) -> None:
    of, generator = small(tmp_path, thorough=True), Convolutional()
    first = of.evaluate(sampler(generator), "raw")
    torch.rand(7)
    for again in (of, small(tmp_path, thorough=True), small(tmp_path / "other", thorough=True)):
        second = again.evaluate(sampler(generator.train()), "raw")
        assert second.measures == first.measures
        assert all(torch.equal(second.pictures[name], picture) for name, picture in first.pictures.items())
    assert of.evaluate(sampler(generator, seed=1), "raw").values["kid"] != first.values["kid"]


def test_generator_in_training_mode_is_judged_in_evaluation_mode(tmp_path: Path) -> None:
    of = small(tmp_path)
    assert (
        of.evaluate(sampler(Convolutional().train()), "").values
        == of.evaluate(sampler(Convolutional().eval()), "").values
    )
    batch = of.evaluate(sampler(Convolutional(), batch_statistics=True), "").values
    assert batch != of.evaluate(sampler(Convolutional()), "").values  # the running averages are not even begun


@pytest.mark.parametrize(
    ("size", "asked", "drawn"), [(300, 100, 100), (300, 150, 150), (300, 151, 150), (301, 9999, 150)]
)
def test_at_most_half_as_many_samples_as_images(tmp_path: Path, size: int, asked: int, drawn: int) -> None:
    found = small(tmp_path, count=asked, size=size).evaluate(stored(shuffled().samples[:400]), "ema")
    assert {measure.count for measure in found.measures} == {drawn}
    assert found.reference["held_out"] == drawn
    assert found.reference["compared"] == size - drawn


def test_measures_tell_what_they_are_of(tmp_path: Path) -> None:
    of = small(tmp_path)
    found = of.evaluate(stored(shuffled().samples[1000:1100]), "ema")
    assert {measure.weights for measure in found.measures} == {"ema"}
    assert {measure.extractor for measure in found.measures} == {"mnist_v1"}
    assert found.values.keys() == LIGHT | {"class_kl", "score"}
    assert not found.pictures
    assert of.guide.metric in found.values
    assert of.guide.guard in found.values
    floors = {measure.name: measure.floor for measure in found.measures}
    assert floors == {name: of._reference.floors[name].value for name in floors}
    assert found.reference["data"] == of.dataset.digest()


def test_real_digits_of_the_label_asked_for_have_the_accuracy_of_the_network(tmp_path: Path) -> None:
    data = shuffled().first(2000)
    seen = judge()(data.samples).logits.argmax(1) == data.labels  # of digits that the network knows
    known = replace(data, samples=data.samples[seen], labels=data.labels[seen])
    of = evaluator(tmp_path, data, 700)
    right = of.evaluate(sampler(OfLabel(known), num_classes=10), "raw").values
    assert right["accuracy"] == 1
    assert of.evaluate(sampler(OfLabel(known, shift=1), num_classes=10), "raw").values["accuracy"] == 0
    assert "accuracy" not in of.evaluate(stored(data.samples[:700]), "raw").values


def test_labels_are_as_frequent_as_in_the_data(tmp_path: Path) -> None:
    data = shuffled().first(1500)
    nines = data.labels == 9
    data = replace(data, samples=data.samples[nines | (data.labels < 2)], labels=data.labels[nines | (data.labels < 2)])
    keep = torch.arange(len(data)) % 4 == 0
    keep |= data.labels == 9  # nines are the most frequent by far, and 2 to 8 are not there
    data = replace(data, samples=data.samples[keep], labels=data.labels[keep])
    of = evaluator(tmp_path, data, 100)
    generator = OfLabel(shuffled())
    of.evaluate(sampler(generator, num_classes=10), "raw")
    drawn = generator.asked[:100]
    assert torch.equal(drawn, data.labels[of._split.held_out])
    shares = drawn.bincount(minlength=10) / 100
    expected = data.labels.bincount(minlength=10) / len(data)
    assert torch.allclose(shares, expected, atol=0.15)  # 3 standard deviations of a share of 100 samples
    assert not shares[2:9].any()


def test_classes_that_the_extractor_does_not_know_have_no_accuracy(tmp_path: Path) -> None:
    data = replace(shuffled().first(300), labels=torch.arange(300) % 3, classes=("a", "b", "c"))
    found = evaluator(tmp_path, data, 100).evaluate(sampler(OfLabel(shuffled()), num_classes=3), "raw")
    assert "accuracy" not in found.values


@pytest.mark.parametrize("count", [2, 3, 5, 6, 20])
def test_very_few_samples_are_no_error(tmp_path: Path, count: int) -> None:
    found = small(tmp_path, thorough=True, count=count, size=100).evaluate(stored(shuffled().samples[:50]), "raw")
    assert found.values.keys() == {"class_kl", "score", "nn_distance", "copied"}
    assert ("manifold" in found.pictures) == (count > 5)


class Broken(nn.Module):
    """What a generator that diverged draws."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = value

    def forward(self, latents: Tensor) -> Tensor:
        return torch.full((len(latents), 1, 28, 28), self.value)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e30, 0.0])
def test_generator_that_diverged_is_measured_like_any_other(tmp_path: Path, value: float) -> None:
    found = small(tmp_path, thorough=True).evaluate(sampler(Broken(value)), "raw")
    assert found.values["coverage"] <= 0.1
    assert all(math.isfinite(measure.value) for measure in found.measures)
    assert found.values["kid"] > 0.1


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_, **__):
        raise AssertionError("the network was asked for")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)


def noise(count: int, shape: tuple[int, int, int], seed: int = 0) -> Tensor:
    random = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, *shape), generator=random, dtype=torch.uint8)


def chosen(data: Dataset, count: int = 100, thorough: bool = False, **conf):
    return choose(data, data.digest(), EvaluateConf(**conf), CPU, count, thorough)


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize("thorough", [False, True])
@pytest.mark.parametrize("kind", ["mnist", "stacked", "grey folder", "color folder"])
def test_every_kind_of_images_is_evaluated_without_a_network(tmp_path: Path, monkeypatch, kind: str, thorough) -> None:
    monkeypatch.setenv("GAN_CLI_CACHE", str(tmp_path))
    data = {
        "mnist": lambda: shuffled().first(240),
        "stacked": lambda: stacked_mnist.load(240),
        "grey folder": lambda: Dataset(noise(240, (1, 20, 24))),
        "color folder": lambda: Dataset(noise(240, (3, 32, 32)), torch.arange(240) % 2, ("a", "b")),
    }[kind]()
    of = chosen(data, thorough=thorough)
    found = of.evaluate(stored(data.samples.flip(0)), "raw")
    expected = {"mnist": ("mnist_v1", "mnist_report_v1"), "stacked": ("mnist_v1", "mnist_report_v1")}
    assert {measure.extractor for measure in found.measures} == {expected.get(kind, ("random_v1",) * 2)[thorough]}
    classes = {"mnist": {"class_kl", "score"}, "stacked": {"class_kl", "modes"}}.get(kind, set())
    assert found.values.keys() == LIGHT | classes | ({"nn_distance", "copied"} if thorough else set())
    pictures = {"neighbors", "closest_pairs", "manifold"} | ({"classes"} if kind == "mnist" else set())
    assert found.pictures.keys() == (pictures if thorough else set())
    assert list((tmp_path / "references").glob("*.safetensors"))


def test_data_without_a_measure_have_none() -> None:
    assert chosen(Dataset(torch.zeros(1000, 2))) is None
    assert chosen(Dataset(noise(99, (3, 8, 8)))) is None
    assert chosen(Dataset(noise(100, (3, 8, 8)))) is not None


def test_known_distributions_are_measured_by_themselves() -> None:
    from gan_cli.data import gaussian2d, mixtures

    assert isinstance(chosen(mixtures.ring(num_samples=10)), MixtureEvaluator)
    of = chosen(gaussian2d.load(num_samples=10), count=123)
    assert isinstance(of, GaussianEvaluator)
    assert of.count == 123


def test_extractor_that_is_asked_for_is_taken_and_more_images_when_thorough() -> None:
    data = shuffled().first(200)
    of = chosen(data, extractor=Extractors.random_v1)
    assert of.extractor.name == "random_v1"
    assert chosen(data, extractor=Extractors.random_v1, thorough=True).extractor.name == "random_v1"
    assert chosen(data, thorough=True).most > of.most
    assert (chosen(data, thorough=True).thorough, of.thorough) == (True, False)
    assert chosen(data, count=77).count == 77


def test_stored_generator_draws_what_it_holds() -> None:
    images = noise(70, (1, 28, 28))
    assert torch.equal(((sampler(Stored(images))(range(70)) + 1) * 127.5).round().byte(), images)
