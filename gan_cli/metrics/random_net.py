"""A network of random convolutions: features of pictures of any kind, which no data have shaped."""

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, leaky_relu

SHAPE = (3, 64, 64)
WIDTHS, POOLED = (16, 16, 24, 32), (1, 1, 2, 2)
EMBEDDING_DIM = sum(width * size**2 for width, size in zip(WIDTHS, POOLED, strict=True))
SLOPE = -0.2


class RandomNet(nn.Module):
    """Pictures to 256 features, with weights that are drawn once and never trained.

        bytes to [-1, 1] -> four times: conv 4×4 stride 2, f(x) = max(x, 0) + 0.2 max(-x, 0)
        embedding = averages of the four layers over 1, 1, 2 × 2 and 2 × 2 parts of the image: 16 + 16 + 96 + 128

    The first layers see noise, blur and color, the last ones shapes and where they are. f is neither of two simpler
    choices, for what was measured on 500 sprites against 500 others: behind a ReLU some units are zero on nearly all
    images, and the few on which they are not made the kernel distance of real and real as large as that of real and
    blurred; and behind |x| it hardly saw that red and blue had changed places.

    Units have the scales that chance gave them. They are to be divided out, see `standardize`.

    Attributes:
        layers: the convolutions, without biases.

    Source: the use of a random network where data are far from those of any trained one is from Naeem et al. 2020,
    arXiv:2002.09797, section 4; the network is ours.
    """

    def __init__(self) -> None:
        super().__init__()
        inputs = (SHAPE[0], *WIDTHS[:-1])
        self.layers = nn.ModuleList(
            nn.Conv2d(before, after, 4, stride=2, padding=1, bias=False)
            for before, after in zip(inputs, WIDTHS, strict=True)
        )

    def forward(self, images: Tensor) -> Tensor:
        """The embedding, float32 (N, 256).

        Args:
            images: uint8 (N, 3, 64, 64).

        Raises:
            ValueError: they are of another type or shape.
        """
        if images.dtype != torch.uint8 or tuple(images.shape[1:]) != SHAPE:
            found = f"{str(images.dtype).removeprefix('torch.')} {tuple(images.shape)}"
            raise ValueError(f"the random network takes uint8 images (N, 3, 64, 64) with values 0 to 255, not {found}")
        x = images.float().div_(127.5).sub_(1)
        parts = []
        for layer, size in zip(self.layers, POOLED, strict=True):
            x = leaky_relu(layer(x), SLOPE)
            parts.append(adaptive_avg_pool2d(x, size).flatten(1))
        return torch.cat(parts, 1)
