"""The network whose features tell MNIST digits apart: a small classifier with a standardized embedding."""

import torch
from torch import Tensor, nn

SHAPE = (1, 28, 28)
EMBEDDING_DIM = 64
NUM_CLASSES = 10


class MNISTNet(nn.Module):
    """Digits to features and logits.

        bytes to [-1, 1] -> conv 5×5 stride 2 (32), BN, ReLU -> conv 3×3 stride 2 (64), BN, ReLU -> linear (64)
        -> BN without scale and shift = embedding -> ReLU -> linear = logits

    The embedding is what a ReLU layer of a classifier is not: no unit is dead and each has mean 0 and variance 1 on the
    training images, so that a distance between features is not one between a few units of large scale. Both
    convolutions are padded, so that every pixel counts, the border's too.

    Attributes:
        embed: images in [-1, 1] to features that are not standardized yet.
        standardize, classify: the two layers after it.

    Source: Bińkowski et al. 2018, arXiv:1801.01401, section 4, where the features of a LeNet take Inception's place on
    MNIST; theirs end in a ReLU.
    """

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Sequential(
            nn.Conv2d(1, 32, 5, stride=2, padding=2, bias=False),
            nn.BatchNorm2d(32),
            nn.ReLU(),
            nn.Conv2d(32, 64, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(64),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(64 * 7 * 7, EMBEDDING_DIM, bias=False),
        )
        self.standardize = nn.BatchNorm1d(EMBEDDING_DIM, affine=False)
        self.classify = nn.Linear(EMBEDDING_DIM, NUM_CLASSES)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """The embedding, float32 (N, 64), and the logits of the classes 0 to 9, (N, 10).

        Args:
            images: uint8 (N, 1, 28, 28), white digits on black.

        Raises:
            ValueError: they are of another type or shape. Images scaled to [-1, 1] or [0, 1] would give numbers, too,
                and all of them wrong.
        """
        embedding = self.standardize(self.embed(as_input(images)))
        return embedding, self.classify(embedding.relu())


def as_input(images: Tensor) -> Tensor:
    """Bytes 0 to 255 as float32 in [-1, 1].

    Raises:
        ValueError: not uint8 (N, 1, 28, 28).
    """
    if images.dtype != torch.uint8 or tuple(images.shape[1:]) != SHAPE:
        found = f"{str(images.dtype).removeprefix('torch.')} {tuple(images.shape)}"
        raise ValueError(f"the MNIST network takes uint8 images (N, 1, 28, 28) with values 0 to 255, not {found}")
    return images.float().div_(127.5).sub_(1)
