"""The feature networks that are part of this package, with their weights."""

from pathlib import Path

import torch
from safetensors.torch import load_file

from gan_cli.metrics.mnist_net import MNISTNet

WEIGHTS = Path(__file__).resolve().parent / "metrics" / "weights"
NAMES = ("mnist_v1", "mnist_report_v1")
"""The network to measure with while choosing, and one of another seed that no choice has seen, to report with."""


def load(name: str) -> MNISTNet:
    """A trained network, on the CPU, in evaluation mode and without gradients; nothing is drawn at random for it.

    A name stands for the same weights forever; newly trained ones get a new name.

    Raises:
        ValueError: no network has this name.
    """
    if name not in NAMES:
        raise ValueError(f"there is no feature network {name!r}, only {' and '.join(NAMES)}")
    with torch.device("meta"):  # the parameters' initial values would be drawn from the global stream
        network = MNISTNet()
    network.load_state_dict(load_file(WEIGHTS / f"{name}.safetensors"), assign=True)
    return network.eval().requires_grad_(False)
