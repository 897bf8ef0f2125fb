"""Two sets of images between which is translated; no image of one belongs to an image of the other."""

import hashlib
from dataclasses import dataclass

from gan_cli.data.dataset import Dataset
from gan_cli.errors import Refused


@dataclass(frozen=True)
class Unpaired:
    """The images of two domains; there need not be as many of both.

    Attributes:
        a, b: of one shape, at least one image each.

    Raises:
        Refused: one has none, or holds vectors, or their shapes differ.
    """

    a: Dataset
    b: Dataset

    def __post_init__(self) -> None:
        for name, dataset in (("a", self.a), ("b", self.b)):
            if not dataset.is_images:
                raise Refused(f"translation is between images, and the samples of domain {name} are vectors")
            if not len(dataset):
                raise Refused(f"domain {name} has no image, and translation needs at least one of each domain")
        if self.a.sample_shape != self.b.sample_shape:
            raise Refused(
                f"the images of both domains must have one shape, and those of a have {self.a.sample_shape}, of b "
                f"{self.b.sample_shape} (channels, height, width)"
            )

    @property
    def sample_shape(self) -> tuple[int, ...]:
        """(C, H, W), of both."""
        return self.a.sample_shape

    def digest(self) -> str:
        """A fingerprint of both, in this order: 16 hexadecimal digits."""
        return hashlib.blake2b(f"{self.a.digest()}/{self.b.digest()}".encode(), digest_size=8).hexdigest()
