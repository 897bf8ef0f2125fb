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
    twos = Sampler(Labelled(), latents, num_classes=3, label=2)(indices)
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
