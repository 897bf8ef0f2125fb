import pytest
import torch
from torch import nn

from gan_cli.latents import Latents
from gan_cli.sampling import CHUNK, Sampler, by_class
from gan_cli.streams import Streams


def normalizing_generator() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 16), nn.BatchNorm1d(16), nn.Dropout(0.5), nn.Linear(16, 3))


def test_sample_is_the_same_whatever_is_drawn_beside_it(streams: Streams) -> None:
    generator, latents = normalizing_generator(), Latents(4, "normal", streams)
    many = Sampler(generator, latents)(range(3 * CHUNK + 5))
    for indices in ([0], [70, 3, 3, 190], range(60, 70)):
        assert torch.equal(Sampler(generator, latents)(indices), many[list(indices)])


def test_samples_differ_from_each_other_and_between_seeds(streams: Streams) -> None:
    generator = normalizing_generator()
    many = Sampler(generator, Latents(4, "normal", streams))(range(2 * CHUNK))
    assert len(many.unique(dim=0)) == 2 * CHUNK
    other = Sampler(generator, Latents(4, "normal", Streams(1, streams.device)))(range(CHUNK))
    assert not torch.equal(other, many[:CHUNK])


def test_sampling_leaves_the_generator_and_the_global_generator_as_they_were(streams: Streams) -> None:
    generator = normalizing_generator()
    generator.train()
    before = {name: tensor.clone() for name, tensor in generator.state_dict().items()}
    state = torch.get_rng_state()
    Sampler(generator, Latents(4, "uniform", streams))(range(10))
    assert generator.training
    assert torch.equal(torch.get_rng_state(), state)
    for name, tensor in generator.state_dict().items():
        assert torch.equal(tensor, before[name])


@pytest.mark.parametrize("batch_statistics", [False, True])
def test_a_settled_generator_makes_alone_what_the_sampler_drew(batch_statistics: bool, streams: Streams) -> None:
    generator = normalizing_generator()
    assert isinstance(generator[2], nn.Dropout)
    generator[2].p = 0.0  # the statistics of a batch that drops would be others
    sampler = Sampler(generator, Latents(4, "normal", streams), batch_statistics=batch_statistics)
    drawn = sampler(range(CHUNK))
    sampler.settle()
    latents = sampler.latents("sample", 0, CHUNK)
    assert not any(module.training for module in generator.modules())
    assert torch.equal(generator(latents), drawn)


def test_a_settled_generator_drops_nothing(streams: Streams) -> None:
    generator = normalizing_generator()
    sampler = Sampler(generator, Latents(4, "normal", streams))
    sampler.settle()
    for _ in range(2):
        assert torch.equal(sampler(range(CHUNK)), generator(sampler.latents("sample", 0, CHUNK)))


def test_mode_is_put_back_when_the_reader_stops_early(streams: Streams) -> None:
    generator = normalizing_generator()
    chunks = Sampler(generator, Latents(4, "uniform", streams)).chunks(range(1000))
    next(chunks)
    assert not generator.training
    chunks.close()
    assert generator.training


class Labelled(nn.Module):
    """Draws the latent's first number and the label."""

    def forward(self, latents: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return torch.stack([latents[:, 0], labels.float()], 1)


def test_labels_follow_the_index_or_are_the_one_that_is_asked_for(streams: Streams) -> None:
    latents = Latents(4, "normal", streams)
    indices = [0, 1, 2, 3, 63, 64, 65, 200]
    in_turn = Sampler(Labelled(), latents, num_classes=3)(indices)
    assert in_turn[:, 1].tolist() == [index % 3 for index in indices]
    twos = Sampler(Labelled(), latents, num_classes=3, labels=torch.tensor([2]))(indices)
    assert twos[:, 1].tolist() == [2.0] * len(indices)
    assert torch.equal(twos[:, 0], in_turn[:, 0])  # the latent depends on the index alone


def test_grid_by_class_has_a_row_of_each_class_or_of_some_from_all_over_them() -> None:
    assert by_class(3, 10, 2) == [0, 3, 1, 4, 2, 5]
    assert [index % 10 for index in by_class(10, 10, 8)] == [label for label in range(10) for _ in range(8)]
    assert [index % 1000 for index in by_class(1000, 10, 8)[::8]] == list(range(0, 1000, 100))


def test_dropout_stays_on_in_sampling_and_batch_normalization_does_not_move(streams: Streams) -> None:
    generator, latents = normalizing_generator(), Latents(4, "normal", streams)
    drawn = Sampler(generator, latents)(range(CHUNK))
    with torch.no_grad():
        quiet = generator.eval()(latents("sample", 0, CHUNK))
    assert not torch.allclose(drawn, quiet)
    dropping = [module for module in generator if isinstance(module, nn.Dropout)]
    assert not any(module.training for module in dropping)  # as it was found
    dropping[0].p = 0.0
    assert torch.equal(Sampler(generator, latents)(range(CHUNK)), quiet)


def test_labels_are_taken_in_turn_by_the_number_of_the_sample(streams: Streams) -> None:
    labels = torch.tensor([2, 0, 0, 1, 2])
    sampler = Sampler(Labelled(), Latents(4, "normal", streams), num_classes=3, labels=labels)
    numbers = torch.tensor([0, 4, 5, 63, 64, 200, 7])
    assert torch.equal(sampler.labels_of(numbers), labels[numbers % 5])
    assert torch.equal(sampler(numbers.tolist())[:, 1].long(), labels[numbers % 5])
    in_turn = Sampler(Labelled(), Latents(4, "normal", streams), num_classes=3)
    assert torch.equal(in_turn.labels_of(numbers), numbers % 3)


def test_samples_of_a_stream_are_others_of_the_same_generator(streams: Streams) -> None:
    sampler = Sampler(normalizing_generator(), Latents(4, "uniform", streams), batch_statistics=True)
    own = sampler.of_stream("final")
    assert (own.generator, own.batch_statistics, own.latents.distribution) == (sampler.generator, True, "uniform")
    assert len(torch.cat([sampler(range(200)), own(range(200))]).unique(dim=0)) == 400
    assert torch.equal(sampler.of_stream("final")(range(70)), own(range(70)))
    assert not torch.equal(sampler.of_stream("selection")(range(70)), own(range(70)))


def quiet_generator() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 5), nn.BatchNorm1d(5))


def by_batch_statistics(generator: nn.Module, latents: Latents, indices: range) -> torch.Tensor:
    return Sampler(generator, latents, batch_statistics=True)(indices)


def test_batch_statistics_are_those_of_a_fixed_batch_by_hand(streams: Streams) -> None:
    generator, latents = quiet_generator(), Latents(4, "normal", streams)
    batch, z = latents("sample/statistics", 0, 512), latents("sample", 0, CHUNK)
    with torch.no_grad():
        for layer in generator:
            if isinstance(layer, nn.BatchNorm1d):
                layer.weight.uniform_(0.5, 2)
                layer.bias.uniform_(-1, 1)
        expected = z
        for layer in generator:
            before = batch
            if isinstance(layer, nn.BatchNorm1d):
                mean, scale = before.mean(0), (before.var(0) + layer.eps).sqrt()
                # The batch itself passes normalized by its biased variance, as in training.
                own = (before.var(0, correction=0) + layer.eps).sqrt()
                batch = (before - mean) / own * layer.weight + layer.bias
                expected = (expected - mean) / scale * layer.weight + layer.bias
            else:
                batch, expected = layer(batch), layer(expected)
    found = by_batch_statistics(generator, latents, range(CHUNK))
    assert torch.allclose(found, expected, atol=1e-5)
    assert not torch.allclose(found, Sampler(generator, latents)(range(CHUNK)), atol=0.01)


def test_batch_statistics_are_the_same_whatever_is_drawn_beside_a_sample(streams: Streams) -> None:
    generator, latents = normalizing_generator(), Latents(4, "normal", streams)
    many = by_batch_statistics(generator, latents, range(3 * CHUNK + 5))
    for indices in ([0], [70, 3, 3, 190], range(60, 70)):
        assert torch.equal(by_batch_statistics(generator, latents, indices), many[list(indices)])


@pytest.mark.parametrize("momentum", [0.1, None, 0.0])
@pytest.mark.parametrize("early", [False, True])
def test_running_statistics_are_put_back_to_the_bit(streams: Streams, momentum: float | None, early: bool) -> None:
    generator = normalizing_generator()
    generator(torch.randn(32, 4))  # they have begun
    generator[1].momentum = momentum
    generator[1].eval()  # in another mode than the rest
    before = {name: tensor.clone() for name, tensor in generator.state_dict().items()}
    buffers, state = list(generator.buffers()), torch.get_rng_state()
    sampler = Sampler(generator, Latents(4, "normal", streams), batch_statistics=True)
    chunks = sampler.chunks(range(1000))
    next(chunks)
    assert not torch.equal(generator[1].running_mean, before["1.running_mean"])
    if early:
        chunks.close()
    else:
        assert sum(map(len, chunks)) == 1000 - CHUNK
    for name, tensor in generator.state_dict().items():
        assert torch.equal(tensor, before[name]), name
    assert all(one is other for one, other in zip(buffers, generator.buffers(), strict=True))
    assert generator[1].momentum == momentum
    assert [module.training for module in generator] == [True, False, True, True]
    assert torch.equal(torch.get_rng_state(), state)


def test_training_goes_on_as_if_nothing_had_been_sampled(streams: Streams) -> None:
    ends = []
    for sampled in (False, True):
        generator = quiet_generator()
        for step in range(3):
            generator(streams.normal("x", step, (16, 4)))
            if sampled:
                by_batch_statistics(generator, Latents(4, "normal", streams), range(10))
        ends.append(generator.state_dict())
    for name, tensor in ends[0].items():
        assert torch.equal(tensor, ends[1][name])


def test_batch_statistics_do_not_depend_on_the_running_ones_and_do_on_the_weights(streams: Streams) -> None:
    generator, latents = quiet_generator(), Latents(4, "normal", streams)
    first = by_batch_statistics(generator, latents, range(10))
    generator(100 * torch.ones(8, 4))
    generator[1].running_var.fill_(torch.nan)
    assert torch.equal(by_batch_statistics(generator, latents, range(10)), first)
    with torch.no_grad():
        generator[0].weight.mul_(7)
        generator[0].bias.mul_(7)
    scaled = by_batch_statistics(generator, latents, range(10))
    assert torch.allclose(scaled, first, atol=1e-2)  # statistics that scale along undo the scale
    assert not torch.equal(scaled, first)


def test_batch_statistics_of_a_generator_without_batch_normalization_change_nothing(streams: Streams) -> None:
    generator, latents = nn.Sequential(nn.Linear(4, 3), nn.Dropout(0.5)), Latents(4, "normal", streams)
    assert torch.equal(by_batch_statistics(generator, latents, range(70)), Sampler(generator, latents)(range(70)))


def test_batch_statistics_of_images_and_labels(streams: Streams) -> None:
    class Conditional(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.Sequential(nn.Unflatten(1, (1, 2, 2)), nn.BatchNorm2d(1))

        def forward(self, latents: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
            return self.layers(latents + labels[:, None])

    generator, latents = Conditional(), Latents(4, "normal", streams)
    labels = torch.tensor([0, 100])
    found = Sampler(generator, latents, 101, labels, batch_statistics=True)(range(4 * CHUNK))
    # Normalized over the labels together: they stand 100 apart where they had a deviation of 50.
    assert float(found[0::2].mean()) == pytest.approx(-1, abs=0.01)
    assert float(found[1::2].mean()) == pytest.approx(1, abs=0.01)


def test_generator_that_fails_is_as_it_was(streams: Streams) -> None:
    class Failing(nn.Module):
        def forward(self, latents: torch.Tensor) -> torch.Tensor:
            raise RuntimeError("out of memory")

    for batch_statistics in (False, True):
        generator = nn.Sequential(nn.BatchNorm1d(4), Failing()).train()
        before = {name: tensor.clone() for name, tensor in generator.state_dict().items()}
        with pytest.raises(RuntimeError, match="out of memory"):
            Sampler(generator, Latents(4, "normal", streams), batch_statistics=batch_statistics)(range(10))
        assert all(module.training for module in generator.modules())
        assert generator[0].momentum == 0.1
        for name, tensor in generator.state_dict().items():
            assert torch.equal(tensor, before[name])


# In the places of samples.


class Both(nn.Module):
    """Latents and labels with noise and statistics on them."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(nn.Linear(5, 33), nn.BatchNorm1d(33), nn.ReLU(), nn.Dropout(0.5), nn.Linear(33, 3))

    def forward(self, latents: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return self.layers(torch.cat([latents, labels[:, None].float()], 1))


@pytest.mark.parametrize("batch_statistics", [False, True])
@pytest.mark.parametrize("label", [None, 2])
def test_a_sample_made_in_its_place_from_its_own_latent_is_itself(
    batch_statistics: bool, label: int | None, streams: Streams
) -> None:
    labels = None if label is None else torch.tensor([label])
    sampler = Sampler(Both(), Latents(4, "normal", streams), 3, labels, batch_statistics)
    places = [70, 3, 5, 5, 190, 4, 64]
    made = torch.cat(list(sampler.in_places(places, sampler.latents_of(places))))
    assert torch.equal(made, sampler(places))
    # And what stands beside it does not matter.
    others = sampler.latents_of(places)
    others[1] += 1
    changed = torch.cat(list(sampler.in_places(places, others)))
    assert [torch.equal(one, other) for one, other in zip(changed, made, strict=True)] == [True, False, *[True] * 5]


def test_in_one_place_latent_and_label_alone_make_the_difference(streams: Streams) -> None:
    sampler = Sampler(Both(), Latents(4, "normal", streams), 3)
    latents = sampler.latents_of([7, 7, 7, 8])
    same = torch.cat(list(sampler.in_places([7, 7, 7], latents[:3], torch.tensor([0, 0, 1]))))
    assert torch.equal(same[0], same[1])  # the same noise
    assert not torch.equal(same[1], same[2])
    assert torch.equal(same[2], sampler([7])[0])  # 7 is of class 1
    assert not torch.equal(torch.cat(list(sampler.in_places([7], latents[3:])))[0], sampler([8])[0])  # other noise


def test_generator_is_as_it_was_after_samples_in_places(streams: Streams) -> None:
    generator = normalizing_generator().train()
    before = {name: tensor.clone() for name, tensor in generator.state_dict().items()}
    sampler = Sampler(generator, Latents(4, "normal", streams), batch_statistics=True)
    made = sampler.in_places([0, 0, 1], sampler.latents_of([0, 1, 2]))
    next(made)
    assert not torch.equal(generator[1].running_mean, before["1.running_mean"])
    made.close()
    assert all(module.training for module in generator.modules())
    assert all(torch.equal(tensor, before[name]) for name, tensor in generator.state_dict().items())


def test_only_dropout_makes_a_place_matter(streams: Streams) -> None:
    latents = Latents(4, "normal", streams)
    assert Sampler(normalizing_generator(), latents).is_noisy
    assert not Sampler(quiet_generator(), latents).is_noisy
    assert not Sampler(nn.Dropout(0.0), latents).is_noisy
