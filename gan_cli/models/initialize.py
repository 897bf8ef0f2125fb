"""Initial values of a network's parameters."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

_POWER_ITERATIONS = 15  # as torch makes when it registers a spectral norm


@torch.no_grad()
def initialize(network: nn.Module, scheme: str, std: float) -> None:
    """Draw the weights anew, in place, from torch's global generator.

    Args:
        scheme: "default" leaves what PyTorch drew. "xavier": Xavier uniform for the weights of Linear and
            ConvTranspose2d layers; convolutions and biases keep PyTorch's (CS231n's DCGAN). "normal": N(0, std²) for
            the weights of linear and convolutional layers, biases 0; BatchNorm starts at scale 1 and shift 0 (D2L).
            "orthogonal": an orthogonal matrix (out, everything else) for the weights of the same layers, biases 0
            (Saxe et al. 2014, arXiv:1312.6120).
        std: standard deviation for "normal".
    """
    if scheme == "default":
        return
    fill: Callable[[Tensor], Tensor] = {
        "xavier": nn.init.xavier_uniform_,
        "normal": lambda weight: nn.init.normal_(weight, 0.0, std),
        "orthogonal": nn.init.orthogonal_,
    }[scheme]
    for module in network.modules():
        if scheme == "xavier" and isinstance(module, nn.Linear | nn.ConvTranspose2d):
            _draw(module, fill)
        elif scheme != "xavier" and isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            _draw(module, fill)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def _draw(module: nn.Linear | nn.Conv2d | nn.ConvTranspose2d, fill: Callable[[Tensor], Tensor]) -> None:
    if not parametrize.is_parametrized(module, "weight"):
        fill(module.weight)
        return
    # A parametrized weight is computed anew each time: it is set through what computes it.
    weight = torch.empty_like(module.weight)
    fill(weight)
    module.weight = weight
    for _ in range(_POWER_ITERATIONS):
        module.weight  # noqa: B018 (each reading is one power iteration of a spectral norm towards the new weight)
