"""The device and its arithmetic."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch

from gan_cli.errors import Refused
from gan_cli.ranks.ranks import ALONE, Ranks
from gan_cli.schema import DeviceConf, Precision


def prepare(conf: DeviceConf, ranks: Ranks = ALONE) -> torch.device:
    """The device asked for, with the number of threads set; of several ranks each has a GPU of its own.

    Raises:
        Refused: there is no GPU that this PyTorch can use.
    """
    if conf.threads is not None:
        torch.set_num_threads(conf.threads)
    if conf.type.name == "cuda" and not torch.cuda.is_available():
        why = "this PyTorch was built without CUDA" if torch.version.cuda is None else "no usable GPU or driver found"
        raise Refused(f"device=cuda is not available ({why}): use device=cpu")
    if ranks.size > 1 and conf.type.name == "cuda":
        return _gpu_of(ranks, conf.index)
    if conf.index is None:
        return torch.device(conf.type.name)
    if conf.type.name == "cpu":
        raise Refused("device.index is of GPUs: leave it out, or device=cuda")
    if conf.index >= torch.cuda.device_count():
        raise Refused(f"device.index={conf.index}: there are {torch.cuda.device_count()} GPUs, counted from 0")
    return torch.device("cuda", conf.index)


def _gpu_of(ranks: Ranks, index: int | None) -> torch.device:
    count = torch.cuda.device_count()
    if index is not None:
        raise Refused(
            f"device.index={index}: each of {ranks.size} ranks has a GPU of its own, so leave device.index out"
        )
    if ranks.local_rank >= count:
        raise Refused(
            f"there is no GPU for process {ranks.local_rank} of this host, which has {count}: "
            f"torchrun --nproc-per-node={count}"
        )
    return torch.device("cuda", ranks.local_rank)


def autocast(device: torch.device, precision: Precision) -> Callable[[], AbstractContextManager[Any]]:
    """Makes the context in which networks run: bfloat16 where it is safe, or nothing.

    bfloat16 has float32's range, so gradients need no scaling.
    """
    if precision is Precision.fp32:
        return nullcontext
    return lambda: torch.autocast(device.type, torch.bfloat16)
