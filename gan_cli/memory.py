"""How much memory a run takes, and what is told where there is not enough."""

import re
import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from gan_cli.errors import GanCliError

_LACK = ("DefaultCPUAllocator: can't allocate memory", "DefaultCPUAllocator: not enough memory")
_ASKED = re.compile(r"[Tt]ried to allocate ([\d.]+) (bytes|KiB|MiB|GiB)")
_UNITS = {"bytes": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
_OF_GPU = 0.4  # of its free memory that data may take; the rest is for what the step makes


def peak_mb(device: torch.device) -> int:
    """The most memory so far, in MB: of the whole process on the CPU, of PyTorch's allocations on a GPU."""
    if device.type == "cuda":
        return round(torch.cuda.max_memory_allocated(device) / 2**20)
    unit = 1 if sys.platform == "darwin" else 1024
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20)


def told(peak: int, device: torch.device) -> str:
    """A peak in MB, with what it is of."""
    return f"{peak:,} MB on {device.type}" + ("" if device.type == "cuda" else " (of the whole process)")


def fits_beside_training(size: int, free: int) -> bool:
    """Whether data of so many bytes may lie on a GPU with so many free; otherwise each batch is brought there."""
    return size <= _OF_GPU * free


def smaller_batch(batch: int, packing: int, group: int = 1) -> int | None:
    """About half of a batch, in whole packs; None where that is no batch any more.

    Args:
        group: packs that minibatch standard deviation compares; kept whole, too, where half a batch has as many.
    """
    whole = batch // 2 // (packing * group) * packing * group
    half = whole or batch // 2 // packing * packing
    return half if half > 0 else None


@contextmanager
def enough(kind: type[GanCliError], advice: str) -> Iterator[None]:
    """Tell of a lack of memory in the block in a sentence.

    Args:
        advice: what to type.

    Raises:
        GanCliError: of this kind, where memory was asked for that there is not. (The system may also kill the process
            later, when memory that it has promised is used.)
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        text = str(error)
        if not isinstance(error, MemoryError | torch.OutOfMemoryError) and not any(words in text for words in _LACK):
            raise
        asked = _ASKED.search(text)
        size = f" ({float(asked[1]) * _UNITS[asked[2]] / 2**20:,.0f} MB more were asked for)" if asked else ""
        raise kind(f"out of memory{size}: {advice}") from error
