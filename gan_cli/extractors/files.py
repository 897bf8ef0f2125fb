"""Weights: where ours are, and how those of others are read."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from gan_cli import metrics

WEIGHTS = Path(metrics.__file__).resolve().parent / "weights"


Network = TypeVar("Network", bound=nn.Module)


def shipped(make: Callable[[], Network], name: str) -> Network:
    """A network of this package with its weights of a name, on the CPU; nothing is drawn at random for it.

    The weights are a file and not a seed, since torch may change what it draws for one.
    """
    with torch.device("meta"):  # the parameters' initial values would be drawn from the global stream
        network = make()
    network.load_state_dict(load_file(WEIGHTS / f"{name}.safetensors"), assign=True)
    return network


class Unusable(Exception):
    """A file is not the weights that were looked for; the text says why, in a line."""


def fill(network: nn.Module, path: Path) -> None:
    """Give a network on the meta device the weights of a .pth file, as float32 on the CPU.

    The file's pickle may build tensors and containers and nothing else: none of its code is run.

    Raises:
        Unusable: it cannot be read so, or holds anything but this network's weights, all of them finite.
    """
    weights = _read(path)
    try:
        network.load_state_dict(weights, assign=True)
    except (RuntimeError, ValueError) as error:
        wanted = network.state_dict()
        differing = [name for name in wanted if _shape(weights.get(name)) != _shape(wanted[name])]
        differing += [name for name in weights if name not in wanted]
        raise Unusable(
            f"{len(differing)} of its entries do not fit the network, the first is {[*differing, error][0]}"
        ) from error
    network.float()
    for name, tensor in network.state_dict().items():
        if not tensor.isfinite().all():
            raise Unusable(f"{name} is not finite")


def _shape(value: Any) -> Any:
    return tuple(value.shape) if isinstance(value, Tensor) else None


def _read(path: Path) -> dict[str, Any]:
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged pickle fails in any way
        raise Unusable((str(error).splitlines() or [type(error).__name__])[0]) from error
    if not isinstance(loaded, dict):
        raise Unusable(f"it holds a {type(loaded).__name__}, not the weights of a network by their names")
    return loaded
