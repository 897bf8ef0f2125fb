"""Who runs the jobs of a sweep: how many at a time, what each gets of the machine, and how they are stopped."""

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf, open_dict

from gan_cli.command_schema import SweepConf
from gan_cli.run_directory import RunDirectory
from gan_cli.sweep.plans import Plan

STOP = ".stop"
"""In a sweep's directory while it is being stopped: jobs that have not started do not."""

_JOBLIB = "hydra_plugins.hydra_joblib_launcher.joblib_launcher.JoblibLauncher"
_BASIC = "hydra._internal.core_plugins.basic_launcher.BasicLauncher"


@dataclass(frozen=True)
class Workers:
    """Attributes:
    at_a_time: jobs that a search asks for at once.
    beside: whether they run in other processes of this machine, several at a time.
    typed: what is typed for each job besides what it is.
    """

    at_a_time: int
    beside: bool
    typed: tuple[str, ...]


def shared_out(sweep: SweepConf, overrides: Sequence[Override], config: DictConfig) -> Workers:
    """The workers of a sweep.

    Of several jobs at a time each gets its share of the cores: threads that get into each other's way can cost far more
    than they bring.

    Args:
        overrides: of the jobs.
        config: the sweep's, in which another launcher is chosen where one job at a time is not what is asked for.
    """
    hydra = config.hydra
    if sweep.jobs is not None and sweep.jobs > 1 and not sweep.together and hydra.launcher["_target_"] == _BASIC:
        with open_dict(hydra):
            hydra.launcher = {"_target_": _JOBLIB, "n_jobs": sweep.jobs}
    if hydra.launcher["_target_"] != _JOBLIB:
        return Workers(sweep.jobs or 1, False, ())
    cores, jobs = len(os.sched_getaffinity(0)), int(hydra.launcher.n_jobs)
    at_a_time = jobs if jobs > 0 else max(1, cores + 1 + jobs)  # as joblib counts
    typed = [f"sweep.jobs={at_a_time}"]
    chosen = OmegaConf.select(config, "device.threads") is not None
    if not chosen and all(override.key_or_group != "device.threads" for override in overrides):
        typed.append(f"device.threads={max(1, cores // at_a_time)}")
    return Workers(at_a_time, True, tuple(typed))


@contextmanager
def stopping(directory: Path, plan: Plan, workers: Workers) -> Iterator[Callable[[], int | None]]:
    """While jobs run beside this process, a signal to it has them save and end; a second Ctrl-C breaks off.

    Yields what tells the signal, None where there was none. A job in this process takes the signal itself.
    """
    asked: list[int] = []
    if not workers.beside:
        yield lambda: None
        return

    def ask(number: int, frame: FrameType | None) -> None:
        if asked and number == signal.SIGINT:
            raise KeyboardInterrupt
        asked.append(number)
        (directory / STOP).touch()
        for cell in plan.cells:
            holder = RunDirectory(directory / str(cell.number)).holder
            if holder is not None and holder != os.getpid():
                os.kill(holder, signal.SIGTERM)

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: asked[0] if asked else None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        (directory / STOP).unlink(missing_ok=True)
