"""What turns pictures into the features that samples are judged by."""

import copy
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

CHUNK = 250
"""Images at a time, which bounds the memory. The last bits of features may depend on it, and so do not on a caller's
batches that are multiples of it."""


@dataclass(frozen=True)
class Features:
    """What a network says of N images.

    Attributes:
        embedding: (N, dim), float32.
        logits: (N, num_classes), float32; None where the network names no classes.
    """

    embedding: Tensor
    logits: Tensor | None = None


@dataclass(frozen=True)
class Extractor:
    """A frozen network in evaluation mode, from bytes to features.

    It is no module, so that it can never be among a model's parameters or in its checkpoint.

    Attributes:
        name: the one it was opened by.
        network: uint8 (N, C, H, W) -> `Features`; set to evaluate, without gradients.
        dim: number of features.
        digest: 16 hexadecimal digits over the weights and over what is computed with them. Equal digests mean equal
            features, to rounding.
        num_classes: number of logits; 0 where there are none.
        channels: of the images it takes.
        uniform_classes: whether classes are to be compared with the uniform distribution and not with the reference's:
            so do the papers on stacked MNIST.
        standardize: whether features are to be divided by their standard deviation on the reference first, see
            `metrics.standardize`. True where nothing in the network has given units comparable scales.
    """

    name: str
    network: nn.Module
    dim: int
    digest: str
    num_classes: int = 0
    channels: tuple[int, ...] = (1, 3)
    uniform_classes: bool = False
    standardize: bool = False

    def __post_init__(self) -> None:
        self.network.eval().requires_grad_(False)

    @property
    def device(self) -> torch.device:
        """Where the network is, and the images must be."""
        return next(self.network.parameters()).device

    def to(self, device: torch.device) -> "Extractor":
        """The same extractor on a device; this one stays where it is."""
        return self if device == self.device else replace(self, network=copy.deepcopy(self.network).to(device))

    @torch.no_grad()
    def __call__(self, images: Tensor) -> Features:
        """The features of images of any resolution, in float32 inside an autocast block, too.

        Args:
            images: uint8 (N, C, H, W) with values 0 to 255, on the extractor's device.

        Raises:
            ValueError: they are anything else. Images scaled to [-1, 1] or [0, 1] would give numbers, too, and all of
                them wrong.
        """
        if (
            images.dtype != torch.uint8
            or images.dim() != 4
            or images.shape[1] not in self.channels
            or 0 in images.shape
        ):
            channels = " or ".join(map(str, self.channels))
            raise ValueError(
                f"{self.name} takes uint8 images (N, {channels}, height, width) with values 0 to 255, not "
                f"{str(images.dtype).removeprefix('torch.')} {tuple(images.shape)}"
            )
        if images.device != self.device:
            raise ValueError(f"{self.name} is on {self.device}, the images are on {images.device}")
        with torch.autocast(self.device.type, enabled=False):
            parts = [self.network(chunk) for chunk in images.split(CHUNK)]
        embedding = torch.cat([part.embedding for part in parts])
        return Features(embedding, torch.cat([part.logits for part in parts]) if self.num_classes else None)


def fingerprint(arithmetic: str, weights: Mapping[str, Tensor]) -> str:
    """16 hexadecimal digits of the BLAKE2b hash of named tensors on the CPU and of a name for what is done with them.

    Args:
        arithmetic: name and version of everything between the bytes of an image and its features but the weights. It
            must change with any of that.
        weights: a network's state.
    """
    hashed = hashlib.blake2b(arithmetic.encode(), digest_size=8)
    for name, tensor in sorted(weights.items()):
        hashed.update(f"\n{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        hashed.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return hashed.hexdigest()


def resized(images: Tensor, size: int) -> Tensor:
    """Bytes at size × size pixels: bilinear, antialiased, rounded to bytes again, the same way on every device."""
    if images.shape[2:] == (size, size):
        return images
    found = nn.functional.interpolate(images.float(), (size, size), mode="bilinear", antialias=True)
    return found.round_().clamp_(0, 255).byte()


def as_rgb(images: Tensor) -> Tensor:
    """Three equal channels of a grey image; an RGB image as it is."""
    return images.expand(-1, 3, -1, -1)
