"""The pool of earlier fakes does what a loop over its images does, and is all in its buffers."""

import pytest
import torch
from torch import Tensor

from gan_cli.games.pool import ImagePool
from gan_cli.streams import Draws, Streams

SHAPE = (1, 1, 2)


def numbered(first: int, count: int) -> Tensor:
    """Images that their number tells from all others."""
    return torch.arange(first, first + count, dtype=torch.float32)[:, None, None, None].expand(-1, *SHAPE).clone()


def played(pool: ImagePool, streams: Streams, sizes: list[int], first_step: int = 0) -> list[Tensor]:
    """What is shown of batches of these sizes, whose images are numbered from 1 on."""
    shown, start = [], 1 + sum(sizes[:first_step])
    for step, size in list(enumerate(sizes))[first_step:]:
        shown.append(pool(numbered(start, size), streams.draws("pool", step)))
        start += size
    return shown


class Simulated:
    """The pool as it is told of: one image at a time, with the same numbers."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.kept: list[float] = []

    def __call__(self, images: list[float], draws: Draws) -> list[float]:
        slots, coins = (draws.uniform(f"pool/{name}", (len(images),)).tolist() for name in ("slot", "swap"))
        return [self.one(*drawn) for drawn in zip(images, slots, coins, strict=True)]

    def one(self, image: float, slot: float, coin: float) -> float:
        if len(self.kept) < self.capacity:
            self.kept.append(image)
            return image
        if self.capacity and coin < 0.5:
            place = int(slot * self.capacity)
            old, self.kept[place] = self.kept[place], image
            return old
        return image


SIZES = {
    "one by one": [1] * 60,
    "batches": [4] * 20,
    "ragged": [3, 1, 5, 2, 7, 1] * 6,
    "larger than the pool": [13, 30, 2, 17, 40],
}


@pytest.mark.parametrize("capacity", [0, 1, 2, 5, 7, 50])
@pytest.mark.parametrize("sizes", SIZES.values(), ids=SIZES)
def test_a_pool_shows_and_keeps_what_a_loop_over_its_images_does(
    sizes: list[int], capacity: int, streams: Streams
) -> None:
    pool, simulated, start = ImagePool(capacity, SHAPE), Simulated(capacity), 1
    for step, size in enumerate(sizes):
        draws, images = streams.draws("pool", step), numbered(start, size)
        expected = simulated(images[:, 0, 0, 0].tolist(), draws)
        shown = pool(images, draws)
        assert shown.shape == images.shape
        assert (shown == shown[..., :1]).all()  # an image is kept and shown as a whole
        assert shown[:, 0, 0, 0].tolist() == expected
        assert int(pool.held) == len(simulated.kept)
        assert pool.images[: len(simulated.kept), 0, 0, 0].tolist() == simulated.kept
        start += size


def test_the_simulation_meets_every_case(streams: Streams) -> None:
    """Both kinds of answer are given, and an image comes back within its own batch."""
    sizes, capacity = SIZES["larger than the pool"], 2
    shown = played(ImagePool(capacity, SHAPE), streams, sizes)
    own = numbered(1 + sizes[0], sizes[1])[:, 0, 0, 0]
    earlier = shown[1][:, 0, 0, 0] < own
    assert 0 < int(earlier.sum()) < sizes[1]
    assert ((shown[1][:, 0, 0, 0] >= own[0]) & earlier).any()


def test_half_of_what_a_full_pool_shows_is_earlier_and_waited_twice_the_capacity_on_average(streams: Streams) -> None:
    capacity, count = 10, 20_000
    pool = ImagePool(capacity, SHAPE)
    pool(numbered(-capacity, capacity), streams.draws("pool", 0))
    shown = torch.cat([pool(numbered(first, 100), streams.draws("pool", 1 + first)) for first in range(0, count, 100)])
    age = torch.arange(count) - shown[:, 0, 0, 0]
    share = float((age > 0).float().mean())
    assert abs(share - 0.5) < 4.5 * 0.5 / count**0.5
    waited = age[age > 0]  # geometric: a kept image leaves with probability 1 / (2 · capacity) at each
    assert abs(float(waited.mean()) - 2 * capacity) < 4.5 * 2 * capacity / len(waited) ** 0.5


def test_no_image_is_shown_twice_once_the_pool_is_full(streams: Streams) -> None:
    capacity = 6
    pool = ImagePool(capacity, SHAPE)
    filled = pool(numbered(-capacity, capacity), streams.draws("pool", 0))
    assert torch.equal(filled, numbered(-capacity, capacity))
    shown = torch.cat(played(pool, streams, [5] * 40))
    left = torch.cat([shown, pool.images])[:, 0, 0, 0]
    assert sorted(left.tolist()) == [*range(-capacity, 0), *range(1, 201)]  # none lost, none twice


def test_a_pool_goes_on_from_its_saved_buffers_as_if_it_had_not_stopped(streams: Streams) -> None:
    sizes = [4] * 12
    whole = played(ImagePool(5, SHAPE), streams, sizes)
    for stopped in (0, 1, 6):  # empty, filling, full
        first = ImagePool(5, SHAPE)
        played(first, streams, sizes[:stopped])
        again = ImagePool(5, SHAPE)
        again.load_state_dict({name: tensor.clone() for name, tensor in first.state_dict().items()})
        rest = played(again, streams, sizes, stopped)
        assert all(torch.equal(one, other) for one, other in zip(rest, whole[stopped:], strict=True))


def test_what_is_shown_and_kept_has_no_gradient_and_is_not_changed_by_what_becomes_of_the_fakes(
    streams: Streams,
) -> None:
    pool = ImagePool(3, SHAPE)
    fakes = numbered(1, 3).requires_grad_()
    shown = pool(2 * fakes, streams.draws("pool", 0))
    assert not shown.requires_grad
    assert not pool.images.requires_grad
    assert list(pool.parameters()) == []
    shown.zero_()
    assert torch.equal(pool.images, 2 * fakes.detach())
