"""Which samples make up a batch: a function of the seed and the batch's number."""

from dataclasses import dataclass

import torch
from torch import Tensor

from gan_cli.data.dataset import Dataset, as_network_input
from gan_cli.errors import Refused
from gan_cli.ranks.ranks import ALONE, Ranks
from gan_cli.streams import Streams


@dataclass(frozen=True)
class Batch:
    """Real samples (N, C, H, W) in [-1, 1] or (N, D), and their labels (N,) where there are any."""

    samples: Tensor
    labels: Tensor | None


class Batches:
    """The batches of a run, counted from 0 over all epochs.

    An epoch's order derives from (seed, epoch), so batch n is the same however the run came to it.

    Args:
        drop_last: leave out a ragged last batch; otherwise it is smaller than the others.
        flip: mirror each image left to right with probability 1/2, drawn anew for every batch.
        ranks: gives each process its share of every batch; sizes and counts are those of the whole.

    Raises:
        Refused: a batch is larger than the data, a ragged batch would be a single sample, or vectors are to be flipped.
    """

    def __init__(
        self,
        dataset: Dataset,
        batch_size: int,
        streams: Streams,
        shuffle: bool,
        drop_last: bool,
        flip: bool = False,
        ranks: Ranks = ALONE,
    ) -> None:
        size = len(dataset)
        if batch_size > size:
            raise Refused(f"train.batch_size={batch_size} is larger than the data set of {size} samples: lower it")
        if not drop_last and size % batch_size == 1:
            raise Refused(
                f"data.drop_last=false leaves a last batch of one sample ({size} samples in batches of {batch_size}), "
                "on which BatchNorm is undefined: change train.batch_size or data.limit, or drop it"
            )
        if flip and not dataset.is_images:
            raise Refused("data.flip mirrors images, and these data are vectors: data.flip=false")
        self.dataset = dataset
        self.batch_size = batch_size
        self.per_epoch = size // batch_size if drop_last else -(-size // batch_size)
        self._samples_per_epoch = min(size, self.per_epoch * batch_size)
        self._streams = streams
        self._shuffle = shuffle
        self._flip = flip
        self._ranks = ranks
        self._order: tuple[int, Tensor] = (-1, torch.empty(0))

    def __call__(self, number: int) -> Batch:
        """Batch `number`, on the device of the streams."""
        epoch, position = divmod(number, self.per_epoch)
        start = position * self.batch_size
        chosen = self._epoch_order(epoch)[start : start + self.batch_size]
        chosen = chosen[self._ranks.share(len(chosen))]
        device = self._streams.device  # where data too large for it are brought batch by batch
        samples = self.dataset.samples[chosen].to(device, non_blocking=True)
        labels = None if self.dataset.labels is None else self.dataset.labels[chosen].to(device, non_blocking=True)
        if self._flip:
            mirrored = self._streams.uniform("data/flip", number, (len(samples), 1, 1, 1)) < 0
            samples = torch.where(mirrored, samples.flip(-1), samples)
        return Batch(as_network_input(samples), labels)

    def size(self, number: int) -> int:
        """How many samples batch `number` holds."""
        start = number % self.per_epoch * self.batch_size
        return min(self.batch_size, self._samples_per_epoch - start)

    def images_in(self, count: int) -> int:
        """How many samples the first `count` batches hold."""
        epochs, position = divmod(count, self.per_epoch)
        return epochs * self._samples_per_epoch + position * self.batch_size

    def _epoch_order(self, epoch: int) -> Tensor:
        if self._order[0] != epoch:
            size = len(self.dataset)
            device = self.dataset.samples.device
            shuffled = self._streams.permutation("data/order", epoch, size) if self._shuffle else torch.arange(size)
            self._order = (epoch, shuffled.to(device))
        return self._order[1]
