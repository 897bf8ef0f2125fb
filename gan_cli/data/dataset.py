"""A data set, in memory or mapped into it, and how its samples reach a network."""

import hashlib
from dataclasses import dataclass, replace

import torch
from torch import Tensor

_CHUNK = 4096  # images resized at once: bounds the memory of the float copy


@dataclass(frozen=True)
class Mixture:
    """The distribution of data made of equally likely round Gaussians.

    Attributes:
        means: (K, D), float64.
        std: in every coordinate.
    """

    means: Tensor
    std: float


@dataclass(frozen=True)
class Gaussian:
    """The distribution of normal data.

    Attributes:
        mean: (D,), float64.
        covariance: (D, D), float64.
    """

    mean: Tensor
    covariance: Tensor


@dataclass(frozen=True)
class Judges:
    """The feature networks that fit the data, by their names.

    Attributes:
        select: for choosing, while a run goes on.
        report: for the numbers that are told afterwards: one that no choice has seen, where there is another.
    """

    select: str = "random_v1"
    report: str = "random_v1"


@dataclass(frozen=True)
class Dataset:
    """All samples as one tensor, decoded once.

    Attributes:
        samples: uint8 (N, C, H, W) images with values 0 to 255, or float32 (N, D) vectors.
        labels: int64 (N,), classes counted from 0; None where the data have none.
        classes: the classes' names, in the order of the labels.
        mixture: the distribution that vectors were drawn from, where it is a mixture whose modes can be counted.
        gaussian: the distribution that vectors were drawn from, where it is normal.
        judges: of images.
        mapped: whether the samples lie in a file that the system reads as they are asked for, and drops again.
    """

    samples: Tensor
    labels: Tensor | None = None
    classes: tuple[str, ...] = ()
    mixture: Mixture | None = None
    gaussian: Gaussian | None = None
    judges: Judges = Judges()
    mapped: bool = False

    def __len__(self) -> int:
        return len(self.samples)

    @property
    def sample_shape(self) -> tuple[int, ...]:
        """(C, H, W) or (D,)."""
        return tuple(self.samples.shape[1:])

    @property
    def is_images(self) -> bool:
        """Whether the samples are images rather than vectors."""
        return self.samples.dim() == 4

    def digest(self) -> str:
        """A fingerprint of samples and labels on the CPU: 16 hexadecimal digits of their BLAKE2b hash."""
        hashed = hashlib.blake2b(digest_size=8)
        for tensor in (self.samples, self.labels):
            if tensor is not None:
                hashed.update(str(tuple(tensor.shape)).encode())
                hashed.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data)
        return hashed.hexdigest()

    def first(self, count: int | None) -> "Dataset":
        """The first `count` samples, or all."""
        return replace(self, samples=self.samples[:count], labels=None if self.labels is None else self.labels[:count])

    def resized(self, resolution: int | None) -> "Dataset":
        """Images at `resolution` × `resolution` pixels (bilinear, antialiased); vectors as they are."""
        if resolution is None or not self.is_images or self.sample_shape[1:] == (resolution, resolution):
            return self
        from torchvision.transforms.v2.functional import resize  # its import takes as long as torch's

        chunks = [resize(chunk, [resolution, resolution], antialias=True) for chunk in self.samples.split(_CHUNK)]
        return replace(self, samples=torch.cat(chunks), mapped=False)

    def to(self, device: torch.device) -> "Dataset":
        """The same data on a device."""
        labels = None if self.labels is None else self.labels.to(device)
        mapped = self.mapped and device.type == "cpu"
        return replace(self, samples=self.samples.to(device), labels=labels, mapped=mapped)


def as_network_input(samples: Tensor) -> Tensor:
    """Stored samples as a network sees them, float32: images 0..255 become [-1, 1], vectors stay."""
    if samples.dtype == torch.uint8:
        return samples.float().div_(127.5).sub_(1)
    return samples.float()


def evenly(size: int, count: int) -> Tensor:
    """`count` of the numbers below `size`, evenly spaced; some of them twice where there are not enough."""
    return torch.arange(count) * size // count
