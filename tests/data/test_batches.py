from itertools import accumulate, chain

import pytest
import torch

from gan_cli.data.batches import Batches
from gan_cli.data.dataset import Dataset
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
