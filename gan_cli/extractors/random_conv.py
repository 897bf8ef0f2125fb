"""Pictures of any kind, through random convolutions that are the same everywhere."""

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from gan_cli.extractors.extractor import Extractor, Features, as_rgb, fingerprint, resized
from gan_cli.extractors.files import WEIGHTS
from gan_cli.metrics.random_net import EMBEDDING_DIM, SHAPE, RandomNet

NAME = "random_v1"


class Pictures(nn.Module):
    """Images of any size, grey or RGB."""

    def __init__(self, network: RandomNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Features:
        return Features(self.network(as_rgb(resized(images, SHAPE[-1]))))


def extractor() -> Extractor:
    """256 features that no data have shaped; no classes."""
    with torch.device("meta"):  # the parameters' initial values would be drawn from the global stream
        network = RandomNet()
    # A file and not a seed: torch may change what it draws for one.
    network.load_state_dict(load_file(WEIGHTS / f"{NAME}.safetensors"), assign=True)
    digest = fingerprint(f"{NAME}/1", network.state_dict())
    return Extractor(NAME, Pictures(network), EMBEDDING_DIM, digest, standardize=True)
