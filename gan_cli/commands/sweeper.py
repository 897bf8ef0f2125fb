"""Hydra's sweeper of gan-train: every job runs whatever becomes of the others, and the same command goes on."""

import logging
import re
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.core.plugins import Plugins
from hydra.core.utils import JobStatus, configure_log
from hydra.plugins.sweeper import Sweeper as HydraSweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict

from gan_cli.command_schema import SearchConf, SearchMethod, SweepConf
from gan_cli.commands import entry, sweep_space
from gan_cli.commands.sweep_together import train_together
from gan_cli.commands.sweep_workers import STOP, shared_out, stopping
from gan_cli.errors import Refused, RunFailed, Stopped
from gan_cli.parse import resolved, typed_as
from gan_cli.run_directory import RunDirectory
from gan_cli.sweep import plans
from gan_cli.sweep.ledger import Cell, Ledger, Overrides
from gan_cli.sweep.table import tell

log = logging.getLogger("gan_cli.sweep")

_NAMED = Path("outputs/multirun")


def register() -> None:
    """Make the sweeper known to Hydra, which takes plugins of a package called hydra_plugins alone.

    A package of that name beside ours would be found too, at every start and by every other program that uses Hydra.
    """
    import hydra_plugins  # of the joblib launcher

    module = sys.modules[__name__]
    sys.modules["hydra_plugins.gan_cli"] = hydra_plugins.gan_cli = module
    Plugins.instance().register(Sweeper)


class Sweeper(HydraSweeper):
    """The jobs of a grid or a search, in one directory that keeps count of them."""

    __module__ = "hydra_plugins.gan_cli"
    hydra_context: HydraContext
    config: DictConfig

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Hydra's, before `sweep`."""
        self.hydra_context, self.task_function, self.config = hydra_context, task_function, config

    def sweep(self, arguments: list[str]) -> None:
        """Run what is missing, and tell of all jobs.

        Raises:
            Refused: what is asked for makes no sweep.
            RunFailed: some jobs failed.
            KeyboardInterrupt: the sweep was stopped.
        """
        sweep, search = (self._own(cls, name) for cls, name in ((SweepConf, "sweep"), (SearchConf, "search")))
        if OmegaConf.select(self.config, "dry_run"):
            raise Refused("dry_run looks at one run: leave out -m")
        loader = self.hydra_context.config_loader
        overrides = sweep_space.overrides(arguments, search.space, loader)
        self._workers = shared_out(sweep, overrides, self.config)
        self._together = sweep.together
        if search.method is SearchMethod.grid:
            cells = sweep_space.grid(overrides)
            self.validate_batch_is_legal(cells)
        else:
            if not any(override.is_sweep_override() for override in overrides):
                log.info("nothing to search was named: it goes over both learning rates, from 1e-4 to 1e-2")
                overrides = [*overrides, *sweep_space.default_space(loader)]
            space, fixed = sweep_space.space(overrides)
            self.validate_batch_is_legal([(*fixed, *values) for values in sweep_space.ends(space)])
        directory = self._directory(sweep)
        with entry.writing_to(directory):
            pass
        with RunDirectory(directory).claimed(resuming=True):
            (directory / STOP).unlink(missing_ok=True)
            ledger = Ledger.read(directory)
            if search.method is SearchMethod.grid:
                _check_known(directory, ledger, cells)
                plan: plans.Plan = plans.Grid(directory, ledger, arguments, cells)
            else:
                plan = plans.Search(directory, ledger, arguments, search, space, fixed, self._workers.at_a_time)
            self._run(plan, ledger, directory)

    def _own(self, cls: type, name: str) -> Any:
        """The sweep's own keys, which cannot be swept."""
        if name not in self.config:
            raise Refused(f"{name} cannot be swept itself")
        return typed_as(cls, resolved(self.config[name]), name)

    def _directory(self, sweep: SweepConf) -> Path:
        if sweep.name is not None and sweep.resume is not None:
            raise Refused("sweep.name and sweep.resume both say where the sweep lies: leave out one")
        if sweep.resume is not None:
            if not (Path(sweep.resume) / "sweep.json").is_file():
                raise Refused(f"sweep.resume={sweep.resume}: it holds no sweep.json, so it is no sweep's directory")
            return Path(sweep.resume).absolute()
        if sweep.name is not None:
            if not re.fullmatch(r"[\w.+-]+", sweep.name) or set(sweep.name) == {"."}:
                raise Refused(f"sweep.name={sweep.name} names a directory: letters, digits and _ . + - alone")
            return (_NAMED / sweep.name).absolute()
        return Path(str(self.config.hydra.sweep.dir)).absolute()

    def _run(self, plan: plans.Plan, ledger: Ledger, directory: Path) -> None:
        """Launch batch after batch until the plan has no more, and tell of all."""
        log.info("%s", directory)
        self._place(directory)
        launcher = Plugins.instance().instantiate_launcher(
            hydra_context=self.hydra_context, task_function=self.task_function, config=self.config
        )
        try:
            with stopping(directory, plan, self._workers) as stopped:
                for cells in plan:
                    self._launch(launcher, cells)
                    if stopped() is not None:
                        break
            number = stopped()
            if number is not None:
                raise Stopped(number)
        finally:
            failed = tell(directory, plan.cells, ledger.differing, plan.metric, plan.best())
        if failed:
            raise RunFailed(f"{failed} of {len(plan.cells)} jobs failed; the same command runs them again")

    def _place(self, directory: Path) -> None:
        """Have every job, in whatever process, lie in the sweep's directory."""
        hydra = self.config.hydra
        with open_dict(hydra):
            hydra.sweep.dir = str(directory)
            typed = [
                text
                for text in hydra.overrides.hydra
                if not text.startswith(("hydra.sweep.dir=", "hydra.sweep.subdir="))
            ]
            hydra.overrides.hydra = [*typed, *entry.quote_free([f"hydra.sweep.dir={directory}"])]

    def _composed(self, cell: Cell) -> DictConfig:
        return self.hydra_context.config_loader.load_sweep_config(self.config, list(cell.overrides))

    def _launch(self, launcher: Any, cells: Sequence[Cell]) -> None:
        """Run some jobs. What becomes of them is in their directories."""
        if self._together:
            cells = train_together(cells, self._composed, Path(self.config.hydra.sweep.dir))
        if not cells:
            return
        batch = [[*cell.overrides, *self._workers.typed, f"hydra.sweep.subdir={cell.number}"] for cell in cells]
        try:
            returned = launcher.launch(batch, initial_job_idx=cells[0].number)
        except Exception as error:  # a job took its process with it, or the cluster would not have it
            configure_log(self.config.hydra.hydra_logging, self.config.hydra.verbose)  # not into that job's train.log
            log.error("the launcher failed: %s", str(error).strip() or type(error).__name__)
            return
        for cell, job in zip(cells, returned, strict=True):
            if job.status == JobStatus.FAILED:
                log.error("job %d: %r", cell.number, job._return_value)


def _check_known(directory: Path, ledger: Ledger, cells: Sequence[Overrides]) -> None:
    """Refuse to go on with a sweep by another command: it would be another sweep in the same place."""
    if ledger.cells and all(ledger.number_of(cell) is None for cell in cells):
        raise Refused(
            f"{directory} holds another sweep, of which none of these {len(cells)} jobs is one: name another, "
            f"or type its command\ngan-train -m {shlex.join(ledger.command)}"
        )
