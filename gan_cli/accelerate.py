"""The device and its arithmetic."""

import logging
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from gan_cli.allocator import keep_freed_memory
from gan_cli.errors import Refused
from gan_cli.optimizers import without_compiler
from gan_cli.ranks.ranks import ALONE, Ranks
from gan_cli.schema import Compile, DeviceConf, Precision

log = logging.getLogger("gan_cli.train")

_CPP_COMPILERS = ("c++", "g++", "clang++", "cl")


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
    if conf.compile is not Compile.inductor:
        without_compiler()
    if conf.type.name == "cpu":
        keep_freed_memory()
        if conf.precision is Precision.bf16 and not any(
            supported for name, supported in torch.cpu.get_capabilities().items() if "bf16" in name
        ):
            log.warning("this processor has no bfloat16 instructions: device.precision=fp32 is many times as fast")
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


def compiled(conf: DeviceConf) -> Callable[[nn.Module], Callable[..., Tensor]]:
    """Makes the form of a network that training calls: the network, or what torch.compile makes of it.

    The compiled form shares the network's weights. It cannot be differentiated twice, which is left to the network
    itself (`Critic.exact`).

    Raises:
        Refused: there is no C++ compiler, which torch.compile needs on the CPU.
    """
    if conf.compile is not Compile.inductor:
        return lambda network: network
    if conf.type.name == "cpu" and not any(map(shutil.which, _CPP_COMPILERS)):
        raise Refused(
            "device.compile=inductor needs a C++ compiler, and there is none on the PATH: device.compile=auto"
        )
    return lambda network: torch.compile(network, dynamic=False)
