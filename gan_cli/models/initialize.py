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
        std: standard deviation for "normal".
    """
    if scheme == "default":
        return
    for module in network.modules():
        if scheme == "xavier" and isinstance(module, nn.Linear | nn.ConvTranspose2d):
            _draw(module, nn.init.xavier_uniform_)
        elif scheme == "normal" and isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            _draw(module, lambda weight: nn.init.normal_(weight, 0.0, std))
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
