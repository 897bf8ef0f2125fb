import torch
from torch import nn

from gan_cli.latents import Latents
from gan_cli.sampling import CHUNK, sample, sample_chunks
from gan_cli.streams import Streams


def normalizing_generator() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 16), nn.BatchNorm1d(16), nn.Dropout(0.5), nn.Linear(16, 3))


def test_sample_is_the_same_whatever_is_drawn_beside_it(streams: Streams) -> None:
    generator, latents = normalizing_generator(), Latents(4, "normal", streams)
    many = sample(generator, latents, range(3 * CHUNK + 5))
    for indices in ([0], [70, 3, 3, 190], range(60, 70)):
        assert torch.equal(sample(generator, latents, indices), many[list(indices)])


def test_samples_differ_from_each_other_and_between_seeds(streams: Streams) -> None:
    generator = normalizing_generator()
    many = sample(generator, Latents(4, "normal", streams), range(2 * CHUNK))
    assert len(many.unique(dim=0)) == 2 * CHUNK
    other = sample(generator, Latents(4, "normal", Streams(1, streams.device)), range(CHUNK))
    assert not torch.equal(other, many[:CHUNK])


def test_sampling_leaves_the_generator_and_the_global_generator_as_they_were(streams: Streams) -> None:
    generator = normalizing_generator()
    generator.train()
    before = {name: tensor.clone() for name, tensor in generator.state_dict().items()}
    state = torch.get_rng_state()
    sample(generator, Latents(4, "uniform", streams), range(10))
    assert generator.training
    assert torch.equal(torch.get_rng_state(), state)
    for name, tensor in generator.state_dict().items():
        assert torch.equal(tensor, before[name])


def test_mode_is_put_back_when_the_reader_stops_early(streams: Streams) -> None:
    generator = normalizing_generator()
    chunks = sample_chunks(generator, Latents(4, "uniform", streams), range(1000))
    next(chunks)
    assert not generator.training
    chunks.close()
    assert generator.training
