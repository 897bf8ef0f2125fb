"""Pictures of any kind, through random convolutions that are the same everywhere."""

from torch import Tensor, nn

from gan_cli.extractors.extractor import Extractor, Features, as_rgb, fingerprint, resized
from gan_cli.extractors.files import shipped
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
    network = shipped(RandomNet, NAME)
    digest = fingerprint(f"{NAME}/1", network.state_dict())
    return Extractor(NAME, Pictures(network), EMBEDDING_DIM, digest, standardize=True)
