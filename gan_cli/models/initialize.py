"""Initial values of a network's parameters."""

import torch
from torch import nn


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
            nn.init.xavier_uniform_(module.weight)
        elif scheme == "normal" and isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(module.weight, 0.0, std)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
