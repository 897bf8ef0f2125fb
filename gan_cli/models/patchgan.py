"""The discriminator of pix2pix and CycleGAN: a verdict on each patch of an image.

Source: Isola et al. 2017, arXiv:1611.07004, section 3.2.2 and appendix 6.1.2; Zhu et al. 2017, arXiv:1703.10593,
section 4 and appendix 7.2.
"""

from collections.abc import Sequence

from torch import Tensor, nn

from gan_cli.models.layers import brings_bias, map_norm, weighted
from gan_cli.models.minibatch_std import minibatch_std as make_minibatch_std

_SLOPE = 0.2  # of leaky ReLU
_WIDEST = 8  # times the first width


class PatchGAN(nn.Module):
    """Convolutions alone, so that a logit sees a patch of the image: 4×4, `layers` of stride 2, then two of stride 1.

    C64-C128-C256-C512 and a convolution to one number, for width=64 and layers=3. A patch has 16 pixels on a side for
    layers=1, 34 for 2, 70 for 3, 142 for 4, and reaches over the edge of a smaller image; patches lie 2^layers pixels
    apart. The first and the last convolution have no norm behind them. Instance normalization, without scale and shift,
    looks at the whole map: through it alone a logit depends on more of the image than its patch.

    A loss takes the mean over the logits of all patches, so that least squares is that of the paper. Relativistic
    losses hold each patch beside the one at the same place of the other image. A gradient penalty takes the gradient of
    the mean over an image's patches (`Critic.exact`), by which the losses weigh them.

    Args:
        sample_shape: (C, H, W).
        width: channels of the first convolution; each further one has twice as many, up to 8 times.
        layers: convolutions that halve the resolution.
        norm: instance (as in the paper), batch, layer, group, none, or spectral, which normalizes the weights of all
            layers. Convolutions have a bias where the norm brings none.
        minibatch_std: size of the groups whose spread the last convolution sees; 0: it does not.

    Raises:
        ValueError: nothing is left of the image for the last convolution.
    """

    def __init__(
        self,
        sample_shape: Sequence[int],
        width: int = 64,
        layers: int = 3,
        norm: str = "instance",
        minibatch_std: int = 0,
    ) -> None:
        super().__init__()
        channels, *sizes = sample_shape
        _check_size(sizes, layers)
        bias = not brings_bias(norm)
        row: list[nn.Module] = [weighted(nn.Conv2d(channels, width, 4, 2, 1), norm), nn.LeakyReLU(_SLOPE)]
        width_in = width
        for number in range(1, layers + 1):
            wider, stride = width * min(2**number, _WIDEST), 2 if number < layers else 1
            row += [weighted(nn.Conv2d(width_in, wider, 4, stride, 1, bias=bias), norm)]
            row += [*map_norm(norm, wider, scaled=False), nn.LeakyReLU(_SLOPE)]
            width_in = wider
        row += make_minibatch_std(minibatch_std)
        row.append(weighted(nn.Conv2d(width_in + (minibatch_std > 0), 1, 4, 1, 1), norm))
        self.layers = nn.Sequential(*row)

    def forward(self, images: Tensor) -> Tensor:
        """Images (N, C, H, W) to the logits of their patches, (N, ⌊H / 2^layers⌋ - 2, ⌊W / 2^layers⌋ - 2)."""
        logits: Tensor = self.layers(images)
        return logits.squeeze(1)


def _check_size(sizes: Sequence[int], layers: int) -> None:
    """Each convolution of stride 1 takes one from the sides of what the others leave."""
    smallest = 3 * 2**layers
    if min(sizes) < smallest:
        raise ValueError(
            f"model.discriminator.layers={layers} halves the resolution {layers} times and needs images of {smallest} "
            f"pixels or more, got {' × '.join(map(str, sizes))}: give fewer, or a larger model.resolution"
        )
