"""How the C library hands memory back to the operating system: not between two steps, which need the same again."""

import ctypes
import sys

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4  # of glibc's malloc.h
_LARGEST = 2**31 - 1


def keep_freed_memory() -> None:
    """Let this process keep the memory that tensors free, for the tensors of the next step.

    Otherwise glibc returns large blocks at once and gets them back page by page, each zeroed by the kernel: a tenth of
    the time of a convolutional network's step. The most that the process has needed at one time is what it holds.
    Elsewhere than with glibc nothing is done.
    """
    if not sys.platform.startswith("linux"):
        return
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except AttributeError:  # another C library
        return
    mallopt(_TRIM_THRESHOLD, _LARGEST)
    mallopt(_TOP_PAD, 64 * 2**20)
    mallopt(_MMAP_MAX, 0)
