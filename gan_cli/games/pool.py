"""A pool of earlier fakes, so that a discriminator does not forget what the generator used to do."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from gan_cli.streams import Draws


class ImagePool(nn.Module):
    """Shows the discriminator the newest fakes or, half of the time, ones that were made earlier.

    Image by image: while the pool is not full, the new image is kept and shown. Then, with probability ½, one of the
    kept ones, all equally likely, is shown and the new image takes its place; otherwise the new image is shown and not
    kept. So each image leaves the pool at most once, and a kept one waits for 2 · capacity images on average.

    What it knows is in buffers, which are saved with the run, and nothing waits for them.

    Args:
        capacity: images that are kept, 50 in CycleGAN; 0: new images are shown and none is kept.
        sample_shape: (C, H, W).

    Attributes:
        images: (capacity, C, H, W), float32; those that were not filled yet are 0.
        held: (), int64, how many are filled.

    Source: Shrivastava et al. 2017, arXiv:1612.07828, section 2.3, there for half of each batch; image by image as here
    in Zhu et al. 2017, arXiv:1703.10593, section 4.
    """

    images: Tensor
    held: Tensor

    def __init__(self, capacity: int, sample_shape: Sequence[int]) -> None:
        super().__init__()
        self.capacity = capacity
        self.register_buffer("images", torch.zeros(capacity, *sample_shape))
        self.register_buffer("held", torch.tensor(0))

    @torch.no_grad()
    def forward(self, fakes: Tensor, draws: Draws) -> Tensor:
        """What is shown in the place of new fakes (N, C, H, W), of the same shape, without a gradient.

        A batch counts as its images one after the other: an image may come back within the batch that brought it.
        """
        fakes = fakes.detach()
        if not self.capacity:
            return fakes
        count = len(fakes)
        order = torch.arange(count, device=fakes.device)
        free = self.held + order  # the slot that the image takes while there is a free one
        filling = free < self.capacity
        drawn = (draws.uniform("pool/slot", (count,)) * self.capacity).long()
        swapped = ~filling & (draws.uniform("pool/swap", (count,)) < 0.5)
        slot = torch.where(filling, free, drawn)
        # latest[i, j]: j if image j of this batch was put where image i looks; -1 if it was not.
        latest = torch.where((slot[:, None] == slot) & (filling | swapped), order, -1)
        before = torch.where(order < order[:, None], latest, -1).amax(1)
        shown = torch.where(_each(swapped), self._content(slot, before, fakes), fakes)
        # Images that share a slot write the same into it, so their order does not matter.
        self.images.index_copy_(0, slot, self._content(slot, latest.amax(1), fakes))
        self.held.copy_((self.held + count).clamp(max=self.capacity))
        return shown

    def _content(self, slot: Tensor, writer: Tensor, fakes: Tensor) -> Tensor:
        """What lies in each slot once image `writer` of the batch was put there; -1: none was."""
        return torch.where(_each(writer >= 0), fakes[writer.clamp(min=0)], self.images[slot])


def _each(flags: Tensor) -> Tensor:
    return flags[:, None, None, None]
