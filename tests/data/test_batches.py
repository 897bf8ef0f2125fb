from itertools import accumulate, chain

import pytest
import torch

from gan_cli.data.batches import Batches
from gan_cli.data.dataset import Dataset, as_network_input
from gan_cli.errors import Refused
from gan_cli.streams import Streams

CPU = torch.device("cpu")
SIZES = [(12, 4), (14, 4), (3, 3), (7, 1), (5, 3)]  # samples, batch


def numbered(size: int) -> Dataset:
    """Vectors that say which they are, with labels that do so too."""
    numbers = torch.arange(size)
    return Dataset(numbers[:, None].float(), labels=10 * numbers)


def made(size: int, batch: int, *, seed: int = 0, shuffle: bool = True, drop_last: bool = True) -> Batches:
    return Batches(numbered(size), batch, Streams(seed, CPU), shuffle, drop_last)


def ids(batches: Batches, numbers: range) -> list[list[int]]:
    return [batches(number).samples[:, 0].int().tolist() for number in numbers]


def epoch(batches: Batches, number: int) -> list[int]:
    """The samples of an epoch, in their order."""
    start = number * batches.per_epoch
    return list(chain.from_iterable(ids(batches, range(start, start + batches.per_epoch))))


@pytest.mark.parametrize(("size", "batch"), SIZES)
@pytest.mark.parametrize("shuffle", [True, False])
def test_an_epoch_visits_every_sample_once(size, batch, shuffle):
    batches = made(size, batch, shuffle=shuffle, drop_last=False)
    for number in range(3):
        assert sorted(epoch(batches, number)) == list(range(size))


@pytest.mark.parametrize(("size", "batch"), SIZES)
def test_without_its_ragged_batch_an_epoch_visits_no_sample_twice(size, batch):
    batches = made(size, batch)
    for number in range(3):
        visited = epoch(batches, number)
        assert len(set(visited)) == len(visited) == size - size % batch
        assert set(visited) <= set(range(size))


def test_samples_that_a_ragged_batch_leaves_out_change_from_epoch_to_epoch():
    batches = made(14, 4)
    assert set().union(*(epoch(batches, number) for number in range(10))) == set(range(14))


def test_without_shuffling_samples_come_in_the_order_of_the_data_in_every_epoch():
    batches = made(8, 3, shuffle=False, drop_last=False)
    assert ids(batches, range(6)) == [[0, 1, 2], [3, 4, 5], [6, 7]] * 2


@pytest.mark.parametrize("shuffle", [True, False])
def test_labels_stay_with_their_samples(shuffle):
    batches = made(14, 4, shuffle=shuffle, drop_last=False)
    for number in range(2 * batches.per_epoch):
        batch = batches(number)
        assert torch.equal(batch.labels, 10 * batch.samples[:, 0].long())


def test_data_without_labels_give_batches_without_labels():
    batches = Batches(Dataset(torch.zeros(4, 2)), 2, Streams(0, CPU), shuffle=True, drop_last=True)
    assert batches(0).labels is None


def test_a_batch_is_the_same_in_whatever_order_batches_are_asked_for():
    forward = ids(made(14, 4), range(12))
    backward = ids(made(14, 4), range(11, -1, -1))
    assert forward == backward[::-1]
    used = made(14, 4)
    for number in (10, 3, 3, 0, 11):
        assert ids(used, range(number, number + 1)) == [forward[number]]


def test_order_changes_with_the_epoch_and_the_seed():
    orders = [epoch(made(50, 5, seed=seed), number) for seed in (0, 1) for number in (0, 1, 2)]
    assert len({tuple(order) for order in orders}) == 6


def test_epochs_follow_one_permutation_whatever_the_batch_size():
    assert epoch(made(12, 4), 3) == epoch(made(12, 3), 3)


@pytest.mark.parametrize(
    ("drop_last", "sizes"), [(True, [4, 4, 4, 4, 4, 4]), (False, [4, 4, 4, 2, 4, 4])], ids=["dropped", "kept"]
)
def test_a_ragged_last_batch_is_smaller_or_left_out(drop_last, sizes):
    assert [len(batch) for batch in ids(made(14, 4, drop_last=drop_last), range(6))] == sizes


@pytest.mark.parametrize(("size", "batch"), SIZES)
@pytest.mark.parametrize("drop_last", [True, False])
def test_images_in_counts_what_the_batches_hold(size, batch, drop_last):
    batches = made(size, batch, drop_last=drop_last)
    counted = accumulate((len(b) for b in ids(batches, range(3 * batches.per_epoch + 1))), initial=0)
    for count, images in enumerate(counted):
        assert batches.images_in(count) == images


def test_images_reach_the_network_between_minus_one_and_one_and_the_data_stay_as_they_were():
    stored = torch.tensor([0, 51, 204, 255], dtype=torch.uint8).reshape(4, 1, 1, 1)
    batches = Batches(Dataset(stored.clone()), 4, Streams(0, CPU), shuffle=False, drop_last=True)
    for number in (0, 1):
        torch.testing.assert_close(batches(number).samples.flatten(), torch.tensor([-1, -0.6, 0.6, 1]))
    assert torch.equal(batches.dataset.samples, stored)


def test_changing_a_batch_in_place_does_not_change_the_data():
    batches = made(4, 4, shuffle=False)
    batches(0).samples.zero_()
    batches(0).labels.zero_()
    assert ids(batches, range(1)) == [[0, 1, 2, 3]]
    assert batches(0).labels.tolist() == [0, 10, 20, 30]


def test_a_batch_larger_than_the_data_is_refused():
    with pytest.raises(Refused, match=r"^train\.batch_size=9 is larger than the data set of 8 samples: lower it$"):
        made(8, 9)


def test_a_ragged_batch_of_one_sample_is_refused():
    with pytest.raises(Refused, match=r"data\.drop_last=false leaves a last batch of one sample \(9 samples .* of 4\)"):
        made(9, 4, drop_last=False)


@pytest.mark.parametrize(("size", "batch", "drop_last"), [(9, 4, True), (9, 1, False), (10, 4, False), (1, 1, False)])
def test_a_single_sample_is_refused_only_where_it_is_left_over(size, batch, drop_last):
    assert len(epoch(made(size, batch, drop_last=drop_last), 0)) == (size - size % batch if drop_last else size)


# Mirrored images


def pictured(size: int) -> Dataset:
    """Images of noise, which all differ from each other and from their mirrors, with labels that say which they are."""
    noise = torch.randint(0, 256, (size, 3, 4, 5), generator=torch.Generator().manual_seed(2), dtype=torch.uint8)
    return Dataset(noise, labels=torch.arange(size))


def flipping(data: Dataset, batch: int, *, seed: int = 0, flip: bool = True) -> Batches:
    return Batches(data, batch, Streams(seed, CPU), shuffle=True, drop_last=False, flip=flip)


def mirrored(batches: Batches, number: int) -> torch.Tensor:
    """Which images of a batch are mirrored, (N,); each must be one of the data or its exact mirror."""
    batch = batches(number)
    plain = as_network_input(batches.dataset.samples[batch.labels])
    as_stored, turned = ((batch.samples == images).flatten(1).all(1) for images in (plain, plain[..., [4, 3, 2, 1, 0]]))
    assert (as_stored ^ turned).all()
    return turned


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_an_image_is_mirrored_exactly_or_not_at_all_and_half_of_them_are(seed):
    data = pictured(500)
    stored = data.samples.clone()
    batches = flipping(data, 60, seed=seed)
    turned = torch.cat([mirrored(batches, number) for number in range(4 * batches.per_epoch)])
    assert len(turned) == 2000
    assert abs(turned.double().mean() - 0.5) < 4 * 0.5 / 2000**0.5
    assert torch.equal(data.samples, stored)


def test_mirroring_changes_neither_labels_nor_order_nor_what_is_left_as_it_was():
    data = pictured(50)
    plain, flipped = flipping(data, 8, flip=False), flipping(data, 8)
    for number in range(2 * plain.per_epoch):
        assert torch.equal(flipped(number).labels, plain(number).labels)
        kept = ~mirrored(flipped, number)
        assert torch.equal(flipped(number).samples[kept], plain(number).samples[kept])


def test_without_flip_images_are_exactly_those_of_the_data():
    data = pictured(50)
    for batches in (flipping(data, 8, flip=False), Batches(data, 8, Streams(0, CPU), shuffle=True, drop_last=True)):
        for number in range(12):
            batch = batches(number)
            assert torch.equal(batch.samples, as_network_input(data.samples[batch.labels]))


def test_a_flipped_batch_is_the_same_in_whatever_order_batches_are_asked_for():
    data = pictured(40)
    forward = [flipping(data, 8)(number).samples for number in range(10)]
    used = flipping(data, 8)
    for number in (7, 7, 0, 9, 3, 0):
        torch.manual_seed(number)
        before = torch.get_rng_state()
        assert torch.equal(used(number).samples, forward[number])
        assert torch.equal(torch.get_rng_state(), before)


def test_images_are_mirrored_anew_in_each_batch_each_epoch_and_for_each_seed():
    data = pictured(64)
    drawn = [mirrored(flipping(data, 32, seed=seed), number) for seed in (0, 1) for number in range(6)]
    assert len({tuple(turned.tolist()) for turned in drawn}) == len(drawn)
    batches = flipping(data, 64)
    in_order = torch.stack([mirrored(batches, epoch)[batches(epoch).labels.argsort()] for epoch in range(20)])
    assert in_order.any(0).all()
    assert not in_order.all(0).any()


def test_what_is_mirrored_is_drawn_for_this_purpose_alone_by_the_number_of_the_batch():
    batches = flipping(pictured(40), 8, seed=3)
    for number in (0, 4, 5, 11):
        assert torch.equal(mirrored(batches, number), Streams(3, CPU).uniform("data/flip", number, (8,)) < 0)


def test_vectors_are_not_mirrored():
    with pytest.raises(Refused, match=r"^data\.flip mirrors images, and these data are vectors: data\.flip=false$"):
        flipping(numbered(8), 4)
