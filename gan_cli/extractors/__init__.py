"""The networks whose features samples are judged by, by name; none is ever downloaded."""

from collections.abc import Sequence
from pathlib import Path

from gan_cli.errors import Refused
from gan_cli.extractors import efficientnet, inception, mnist, random_conv
from gan_cli.extractors.extractor import CHUNK, Extractor, Features
from gan_cli.extractors.mnist import load

NAMES = (*mnist.NAMES, random_conv.NAME, efficientnet.NAME, inception.NAME)

__all__ = ["CHUNK", "NAMES", "Extractor", "Features", "load", "open_extractor"]


def open_extractor(name: str, sample_shape: Sequence[int], weights: Path | None = None) -> Extractor:
    """The extractor of a name, on the CPU. Nothing is drawn at random, downloaded or replaced by something else.

    Args:
        name: one of `NAMES`.
        sample_shape: (C, H, W) of the images that it shall see.
        weights: a file of weights, for `inception` alone.

    Raises:
        Refused: there is no such extractor, it does not fit the data, or a package or file that it needs is not there;
            the text says what to type instead.
    """
    if name not in NAMES:
        raise Refused(f"there is no evaluate.extractor={name}: use one of {', '.join(NAMES)}")
    if len(sample_shape) != 3 or sample_shape[0] not in (1, 3):
        raise Refused(f"evaluate.extractor={name} is for grey or RGB images, the samples have shape {(*sample_shape,)}")
    if name == inception.NAME:
        return inception.extractor(weights)
    if weights is not None:
        raise Refused(
            f"evaluate.inception_weights is for evaluate.extractor={inception.NAME}, here it is {name}: choose one"
        )
    if name == efficientnet.NAME:
        return efficientnet.extractor()
    return random_conv.extractor() if name == random_conv.NAME else mnist.extractor(name, sample_shape)
