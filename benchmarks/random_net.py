"""Draws the weights of the random network, gan_cli/metrics/weights/random_v1.safetensors; a file is never replaced.

    python benchmarks/random_net.py

Orthogonal filters, so that no two of a layer see the same; one torch version draws the same file every time.
"""

import argparse
from pathlib import Path

import torch
from safetensors.torch import save
from torch import nn

from gan_cli.extractors.files import WEIGHTS
from gan_cli.metrics.random_net import SLOPE, RandomNet

SEED = 1


def draw(seed: int) -> RandomNet:
    """Orthogonal filters, scaled so that the layers' outputs keep the size of their inputs."""
    network = RandomNet()
    random = torch.Generator().manual_seed(seed)
    for layer in network.layers:
        assert isinstance(layer, nn.Conv2d)
        nn.init.orthogonal_(layer.weight, nn.init.calculate_gain("leaky_relu", SLOPE), generator=random)
    return network


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=WEIGHTS / "random_v1.safetensors")
    path = parser.parse_args().out
    if path.exists():
        print(f"{path} is there")
        return
    metadata = {"seed": str(SEED), "torch": torch.__version__}
    path.write_bytes(save(draw(SEED).state_dict(), metadata))
    print(path, metadata)


if __name__ == "__main__":
    main()
