"""The generator of CycleGAN: an image in, an image of the same shape out.

The style transfer network of Johnson et al. 2016 (arXiv:1603.08155) with instance normalization, as Zhu et al. 2017
(arXiv:1703.10593, section 4 and appendix 7.2) use it.
"""

from collections.abc import Sequence

from torch import Tensor, nn

from gan_cli.models.layers import brings_bias, map_norm, weighted
from gan_cli.models.layers import dropout as make_dropout

_HALVINGS = 2
_SMALLEST = 2 * 2**_HALVINGS  # a residual block mirrors one pixel of its map over the edge, which takes two


class ResNetTranslator(nn.Module):
    """Two halvings of the resolution, residual blocks at a quarter of it, two doublings.

    c7s1-64, d128, d256, R256 × blocks, u128, u64, c7s1-3 in the paper's notation, for width=64 and RGB. Borders are
    mirrored rather than filled with zeros, but for the strided layers. Instance normalization is without scale and
    shift; hidden convolutions have a bias where the norm brings none.

    Args:
        sample_shape: (C, H, W), of what comes in and of what goes out; H and W are multiples of 4, 8 or more.
        width: channels at full resolution; twice and four times as many at a half and a quarter.
        blocks: residual blocks; the paper has 6 for 128×128 images and 9 from 256×256 up.
        norm: behind each convolution but the last: instance (as in the paper), batch, layer, group, none, or spectral,
            which normalizes the weights of all layers.
        dropout: probability, between the two convolutions of each block, while training.

    Raises:
        ValueError: the resolution does not halve twice, or is too small.
    """

    def __init__(
        self,
        sample_shape: Sequence[int],
        width: int = 64,
        blocks: int = 9,
        norm: str = "instance",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        channels, *sizes = sample_shape
        if any(size % 2**_HALVINGS or size < _SMALLEST for size in sizes):
            raise ValueError(
                f"model.resolution must be a multiple of {2**_HALVINGS} from {_SMALLEST} up for this generator, which "
                f"halves it {_HALVINGS} times, got {' × '.join(map(str, sizes))}"
            )
        bias = not brings_bias(norm)

        def tail(features: int) -> list[nn.Module]:
            return [*map_norm(norm, features, scaled=False), nn.ReLU()]

        layers: list[nn.Module] = [nn.ReflectionPad2d(3), weighted(nn.Conv2d(channels, width, 7, bias=bias), norm)]
        layers += tail(width)
        for _ in range(_HALVINGS):
            layers += [weighted(nn.Conv2d(width, 2 * width, 3, 2, 1, bias=bias), norm), *tail(2 * width)]
            width *= 2
        layers += [ResidualBlock(width, norm, dropout) for _ in range(blocks)]
        for _ in range(_HALVINGS):
            # What the first halving left out at the far edge is put back there.
            up = nn.ConvTranspose2d(width, width // 2, 3, 2, 1, output_padding=1, bias=bias)
            layers += [weighted(up, norm), *tail(width // 2)]
            width //= 2
        layers += [nn.ReflectionPad2d(3), weighted(nn.Conv2d(width, channels, 7), norm), nn.Tanh()]
        self.layers = nn.Sequential(*layers)

    def forward(self, images: Tensor) -> Tensor:
        """Images (N, C, H, W) in [-1, 1] to images of the same shape in [-1, 1]."""
        translated: Tensor = self.layers(images)
        return translated


class ResidualBlock(nn.Module):
    """x + f(x), f of two 3×3 convolutions with mirrored borders, a ReLU behind the first alone.

    No ReLU follows the sum (Gross and Wilber 2016, as Johnson et al. 2016 have it), so that a block can take away too.
    """

    def __init__(self, width: int, norm: str, dropout: float) -> None:
        super().__init__()
        bias = not brings_bias(norm)

        def convolution() -> list[nn.Module]:
            layer = weighted(nn.Conv2d(width, width, 3, bias=bias), norm)
            return [nn.ReflectionPad2d(1), layer, *map_norm(norm, width, scaled=False)]

        self.layers = nn.Sequential(*convolution(), nn.ReLU(), *make_dropout(dropout), *convolution())

    def forward(self, inputs: Tensor) -> Tensor:
        """(N, width, H, W) to the same shape."""
        result: Tensor = inputs + self.layers(inputs)
        return result
