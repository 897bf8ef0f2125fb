"""What a run would cost, from a few steps of it."""

from collections.abc import Iterator

from gan_cli import memory
from gan_cli.run import Run
from gan_cli.stopwatch import Stopwatch

_WARM_UP, _MEASURED = 1, 3


def dry_run(run: Run) -> Iterator[str]:
    """Take a few steps and tell, line by line: size, memory, speed, and the time and disk of the whole run.

    The run is spent afterwards: its networks have moved.
    """
    yield from run.description()[1:]
    for _ in range(_WARM_UP):
        run.advance()
    stopwatch, seen = Stopwatch(run.device), run.images_seen
    warm = stopwatch.seconds  # once the device has finished the steps before
    for _ in range(_MEASURED):
        run.advance()
    seconds = (stopwatch.seconds - warm) / _MEASURED
    run.meter.check()
    speed = (run.images_seen - seen) / _MEASURED / seconds
    yield f"{speed:,.0f} images/s: about {_duration(seconds * run.total_steps)}"
    yield f"peak memory {memory.told(memory.peak_mb(run.device), run.device)}"
    checkpoint = sum(tensor.nbytes for tensor in run.state().tensors.values())
    kept = max(1, run.train.keep) if run.train.checkpoint_every else 0
    yield f"disk {checkpoint * kept / 2**20:,.0f} MB for {kept} checkpoints of {checkpoint / 2**20:,.1f} MB"


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} seconds"
    return f"{seconds / 60:.0f} minutes" if seconds < 5400 else f"{seconds / 3600:.1f} hours"
