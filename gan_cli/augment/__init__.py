"""What the critic sees of a sample: augmentations, one a file, functions of images and of drawn numbers alone.

Real samples and fakes go through the same one, on the discriminator's move and on the generator's, with the gradient
passing through: so a generator that fits the augmented data fits the data (Karras et al. 2020, arXiv:2006.06676,
section 2.2; Zhao et al. 2020, arXiv:2006.10738, section 3.2).
"""

from abc import ABC, abstractmethod

from torch import Tensor, nn

from gan_cli.streams import Draws


class Augment(ABC):
    """A random, differentiable change of images. One of your own derives from this and is named by its `_target_`.

    Attributes:
        adaptive: holds the buffers of an augmentation that adapts as training goes; saved with the run.
    """

    adaptive: nn.Module | None = None

    @abstractmethod
    def __call__(self, images: Tensor, draws: Draws) -> Tensor:
        """Images (N, C, H, W) in [-1, 1] to what the critic sees of them, of the same shape and type.

        Each image is changed in its own way; equal draws make equal changes. Values may leave [-1, 1].
        """

    def observe(self, margins: Tensor) -> None:  # noqa: B027 (most do not adapt)
        """Adapt to how far the critic takes real samples for real.

        Args:
            margins: of the N real samples of one update of the discriminator, (N, P) for P positions of each: positive
                where one is taken for real.
        """

    def stats(self) -> dict[str, Tensor]:
        """What to log of the adaptation: named scalars on the device."""
        return {}
