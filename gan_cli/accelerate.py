"""The device and its arithmetic."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch

from gan_cli.errors import Refused
from gan_cli.schema import DeviceConf, Precision


def prepare(conf: DeviceConf) -> torch.device:
    """The device asked for, with the number of threads set.

    Raises:
        Refused: there is no GPU that this PyTorch can use.
    """
    if conf.threads is not None:
        torch.set_num_threads(conf.threads)
    if conf.type.name == "cuda" and not torch.cuda.is_available():
        why = "this PyTorch was built without CUDA" if torch.version.cuda is None else "no usable GPU or driver found"
        raise Refused(f"device=cuda is not available ({why}): use device=cpu")
    if conf.index is None:
        return torch.device(conf.type.name)
    if conf.type.name == "cpu":
        raise Refused("device.index is of GPUs: leave it out, or device=cuda")
    if conf.index >= torch.cuda.device_count():
        raise Refused(f"device.index={conf.index}: there are {torch.cuda.device_count()} GPUs, counted from 0")
    return torch.device("cuda", conf.index)


def autocast(device: torch.device, precision: Precision) -> Callable[[], AbstractContextManager[Any]]:
    """Makes the context in which networks run: bfloat16 where it is safe, or nothing.

    bfloat16 has float32's range, so gradients need no scaling.
    """
    if precision is Precision.fp32:
        return nullcontext
    return lambda: torch.autocast(device.type, torch.bfloat16)
