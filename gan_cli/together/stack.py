"""Networks of one architecture as one network, whose tensors hold those of all."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from itertools import chain

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap


class Stack(nn.Module):
    """K networks whose parameters and buffers become views into stacked ones: what moves these moves theirs.

    Attributes:
        tensors: parameters and buffers by their names in one network, each (K, ...).
    """

    def __init__(self, networks: Sequence[nn.Module]) -> None:
        super().__init__()
        self.count = len(networks)
        self.network = deepcopy(networks[0])
        of_all = [chain(network.parameters(), network.buffers()) for network in networks]
        for whole, *parts in zip(chain(self.network.parameters(), self.network.buffers()), *of_all, strict=True):
            whole.data = torch.stack([part.detach() for part in parts])
            whole.grad = None
            for part, view in zip(parts, whole.data, strict=True):
                part.data = view
        self.tensors: dict[str, Tensor] = dict(self.network.named_parameters()) | dict(self.network.named_buffers())

    def one(self, tensors: Mapping[str, Tensor], inputs: Tensor) -> Tensor:
        """One network, that of these tensors."""
        outputs: Tensor = functional_call(self.network, dict(tensors), (inputs,))
        return outputs

    def forward(self, inputs: Tensor) -> Tensor:
        """The inputs of all networks, those of one after those of the other (K·N, ...), to their outputs likewise."""
        outputs: Tensor = vmap(self.one)(self.tensors, apart(inputs, self.count))
        return outputs.flatten(0, 1)


def apart(joined: Tensor, count: int) -> Tensor:
    """(K·N, ...) to (K, N, ...)."""
    return joined.reshape(count, -1, *joined.shape[1:])
