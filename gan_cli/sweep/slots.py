"""Places that the jobs of a parallel sweep take turns in, one for each job that runs at a time."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gan_cli.errors import RunFailed


@contextmanager
def held(directory: Path, count: int) -> Iterator[int]:
    """The lowest free place of `count`, for the block.

    A place is a file that is locked, so it falls free with the process that had it, however that ends. Which GPU a job
    gets follows from its place: unlike its number, that keeps the GPUs evenly busy when jobs take unequal times.

    Raises:
        RunFailed: all are taken.
    """
    directory.mkdir(parents=True, exist_ok=True)
    for place in range(count):
        with open(directory / str(place), "w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                continue
            yield place
            return
    raise RunFailed(f"{count} jobs run already in {directory.parent}")
