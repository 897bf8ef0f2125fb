"""Jobs of a sweep that train as one program, in the sweep's own process."""

import logging
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import DictConfig, OmegaConf

from gan_cli.command_schema import CommandConf
from gan_cli.commands.conduct import begun_or_taken_up, conduct_together
from gan_cli.commands.sweep_job import hparams
from gan_cli.errors import GanCliError, Incompatible
from gan_cli.parse import parse, split
from gan_cli.run_directory import RunDirectory
from gan_cli.schema import Config
from gan_cli.sweep.ledger import Cell
from gan_cli.together.obstacles import obstacle

if TYPE_CHECKING:
    from gan_cli.run import Run

log = logging.getLogger("gan_cli.sweep")


@dataclass(frozen=True)
class _Job:
    cell: Cell
    config: Config
    command: CommandConf
    overrides: Sequence[str]


def train_together(cells: Sequence[Cell], compose: Callable[[Cell], DictConfig], sweep: Path) -> list[Cell]:
    """Train those jobs that can be one program with others; returns the rest, which is for a launcher.

    What cannot be told of here, such as a job that is refused, is left to the job itself.

    Raises:
        Stopped: a signal ended the runs after their states were saved.
    """
    rest: list[Cell] = []
    groups: list[list[_Job]] = []
    for cell in cells:
        try:
            job = _job(cell, compose(cell))
        except GanCliError:
            rest.append(cell)
            continue
        found = (group for group in groups if obstacle([group[0].config, job.config]) is None)
        group = next(found, None)
        if group is None:
            groups.append([job])
        else:
            group.append(job)
    alone = [group[0] for group in groups if len(group) == 1]
    if len(alone) > 1:
        log.info("%d jobs train one by one: %s", len(alone), obstacle([job.config for job in alone]))
    rest += [job.cell for job in alone]
    for group in groups:
        if len(group) > 1:
            rest += _trained(group, sweep)
    return sorted(rest, key=lambda cell: cell.number)


def _job(cell: Cell, composed: DictConfig) -> _Job:
    overrides = list(composed.hydra.overrides.task)
    command, plain = split(OmegaConf.masked_copy(composed, [str(key) for key in composed if key != "hydra"]))
    return _Job(cell, parse(plain), command, overrides)


def _trained(jobs: Sequence[_Job], sweep: Path) -> list[Cell]:
    """Train jobs whose configurations are no obstacle; returns those for which something else is one."""
    rest: list[Cell] = []
    with ExitStack() as claims:
        by_step: dict[int, dict[int, Run]] = {}
        for job in jobs:
            directory = RunDirectory(sweep / str(job.cell.number))
            (directory.path / ".hydra").mkdir(parents=True, exist_ok=True)
            claims.enter_context(directory.claimed(resuming=True))
            OmegaConf.save(OmegaConf.create(list(job.overrides)), directory.path / ".hydra" / "overrides.yaml")
            try:
                run, left = begun_or_taken_up(job.config, directory, init_from=job.command.init_from)
            except GanCliError:
                rest.append(job.cell)
                continue
            if left and run.step == run.total_steps:
                rest.append(job.cell)
            elif left:
                run.hparams = hparams(sweep, job.cell.number) or run.hparams
                by_step.setdefault(run.step, {})[job.cell.number] = run
        for runs in by_step.values():
            try:
                if len(runs) > 1:
                    conduct_together(list(runs.values()))
                    continue
            except Incompatible as why:
                log.info("%d jobs train one by one: %s", len(runs), why)
            rest += [job.cell for job in jobs if job.cell.number in runs]
    return rest
