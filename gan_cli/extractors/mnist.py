"""Digits: the networks trained on MNIST, also for three digits as the channels of one image."""

from collections.abc import Sequence

from torch import Tensor, nn

from gan_cli.extractors.extractor import Extractor, Features, fingerprint, resized
from gan_cli.extractors.files import shipped
from gan_cli.metrics.mnist_net import EMBEDDING_DIM, NUM_CLASSES, SHAPE, MNISTNet

NAMES = ("mnist_v1", "mnist_report_v1")
"""The network to measure with while choosing, and one of another seed that no choice has seen, to report with."""


class Digits(nn.Module):
    """Grey images of any size, each one digit: 64 features, 10 classes."""

    def __init__(self, network: MNISTNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Features:
        return Features(*self.network(resized(images, SHAPE[-1])))


class StackedDigits(Digits):
    """Each channel one digit: 192 features, the three digits' in a row, and 1,000 classes.

    The class of digits a, b and c is 100a + 10b + c, as of stacked MNIST; its logit is the sum of their log
    probabilities, so that softmax gives the product of their probabilities.
    """

    def forward(self, images: Tensor) -> Features:
        found = super().forward(images.flatten(0, 1).unsqueeze(1))
        assert found.logits is not None
        a, b, c = found.logits.log_softmax(1).reshape(len(images), 3, NUM_CLASSES).unbind(1)
        joint = a[:, :, None, None] + b[:, None, :, None] + c[:, None, None, :]
        return Features(found.embedding.reshape(len(images), -1), joint.flatten(1))


def load(name: str) -> MNISTNet:
    """A trained network, on the CPU, in evaluation mode and without gradients; nothing is drawn at random for it.

    A name stands for the same weights forever; newly trained ones get a new name.

    Raises:
        ValueError: no network has this name.
    """
    if name not in NAMES:
        raise ValueError(f"there is no feature network {name!r}, only {' and '.join(NAMES)}")
    return shipped(MNISTNet, name).eval().requires_grad_(False)


def extractor(name: str, sample_shape: Sequence[int]) -> Extractor:
    """For grey images a digit each, for images of three channels three.

    Args:
        name: one of `NAMES`.
        sample_shape: (C, H, W) of the data.
    """
    network = load(name)
    stacked = sample_shape[0] == 3
    digits = 3 if stacked else 1
    return Extractor(
        name,
        StackedDigits(network) if stacked else Digits(network),
        digits * EMBEDDING_DIM,
        fingerprint(f"{name}/{digits}/1", network.state_dict()),
        num_classes=NUM_CLASSES**digits,
        channels=(digits,),
        uniform_classes=stacked,
    )
