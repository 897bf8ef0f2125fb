"""Pictures as the network of the published FID sees them, from a file of weights that the user has."""

from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from gan_cli.errors import Refused
from gan_cli.extractors.extractor import Extractor, Features, as_rgb, fingerprint
from gan_cli.extractors.files import Unusable, fill

NAME = "inception"
FILE = "weights-inception-2015-12-05-6726825d.pth"
DIM = 2048
SIZE = 299


class Inception(nn.Module):
    """torch-fidelity's layers in their order, up to the average over the image.

    Its own class would fetch weights from the internet, or run whatever code a file of weights contains; and TensorFlow
    1's way of resizing, without antialiasing, belongs to the published numbers.
    """

    def __init__(self, blocks: Any) -> None:
        super().__init__()
        self.Conv2d_1a_3x3 = blocks.BasicConv2d(3, 32, kernel_size=3, stride=2)
        self.Conv2d_2a_3x3 = blocks.BasicConv2d(32, 32, kernel_size=3)
        self.Conv2d_2b_3x3 = blocks.BasicConv2d(32, 64, kernel_size=3, padding=1)
        self.MaxPool_1 = nn.MaxPool2d(3, stride=2)
        self.Conv2d_3b_1x1 = blocks.BasicConv2d(64, 80, kernel_size=1)
        self.Conv2d_4a_3x3 = blocks.BasicConv2d(80, 192, kernel_size=3)
        self.MaxPool_2 = nn.MaxPool2d(3, stride=2)
        self.Mixed_5b = blocks.InceptionA(192, pool_features=32)
        self.Mixed_5c = blocks.InceptionA(256, pool_features=64)
        self.Mixed_5d = blocks.InceptionA(288, pool_features=64)
        self.Mixed_6a = blocks.InceptionB(288)
        self.Mixed_6b = blocks.InceptionC(768, channels_7x7=128)
        self.Mixed_6c = blocks.InceptionC(768, channels_7x7=160)
        self.Mixed_6d = blocks.InceptionC(768, channels_7x7=160)
        self.Mixed_6e = blocks.InceptionC(768, channels_7x7=192)
        self.Mixed_7a = blocks.InceptionD(768)
        self.Mixed_7b = blocks.InceptionE_1(1280)
        self.Mixed_7c = blocks.InceptionE_2(2048)
        self.fc = nn.Linear(2048, 1008)  # not used; that it is there tells the file from those of other Inceptions
        self.resize = blocks.interpolate_bilinear_2d_like_tensorflow1x

    def forward(self, images: Tensor) -> Features:
        x = self.resize(as_rgb(images).float(), size=(SIZE, SIZE), align_corners=False)
        x = (x - 128) / 128
        for name, layer in self.named_children():
            x = x if name == "fc" else layer(x)
        return Features(x.mean((2, 3)))


def extractor(weights: Path | None) -> Extractor:
    """The 2,048 features of the published FID; no classes, since ImageNet's are not the data's.

    Args:
        weights: torch-fidelity's file of the network, or another of the same layers.

    Raises:
        Refused: no file is named, torch-fidelity is not installed, or the file is missing, damaged or of another
            network.

    Source: Heusel et al. 2017 (arXiv:1706.08500), section "Fréchet Inception Distance"; the network is TensorFlow's of
    2015-12-05, as torch-fidelity and pytorch-fid have it.
    """
    if weights is None:
        raise Refused(
            f"evaluate.extractor={NAME} reads its weights from a file of yours and never downloads: name it with "
            f"evaluate.inception_weights=FILE; it is {FILE} of torch-fidelity's releases"
        )
    path = weights.expanduser()
    if not path.is_file():
        raise Refused(f"evaluate.inception_weights: there is no file {path}")
    try:
        from torch_fidelity import feature_extractor_inceptionv3 as blocks  # type: ignore[import-untyped]
    except ImportError as error:
        raise Refused(
            f"evaluate.extractor={NAME} needs a package that is not installed: pip install 'gan-cli[inception]'"
        ) from error
    with torch.device("meta"):  # the parameters' initial values would be drawn from the global stream
        network = Inception(blocks)
    try:
        fill(network, path)
    except Unusable as error:
        raise Refused(f"evaluate.inception_weights: {path} is not torch-fidelity's {FILE}: {error}") from error
    arithmetic = f"{NAME}/1/{version('torch-fidelity')}"
    return Extractor(NAME, network, DIM, fingerprint(arithmetic, network.state_dict()))
