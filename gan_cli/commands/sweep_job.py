"""One job of a sweep: whatever becomes of it is written into its directory, and the sweep goes on."""

import logging
import shlex
import traceback
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig
from rich import get_console

from gan_cli.command_schema import CommandConf, SearchConf
from gan_cli.commands import entry
from gan_cli.commands.conduct import begun_or_taken_up, conduct
from gan_cli.commands.sweep_workers import STOP
from gan_cli.errors import Incompatible, Pruned, Refused
from gan_cli.parse import parse, split
from gan_cli.run_directory import RunDirectory, reason_of
from gan_cli.schema import Config, DeviceType
from gan_cli.signals import leave_interrupts_to_parent
from gan_cli.sweep import slots
from gan_cli.sweep.ledger import Ledger

if TYPE_CHECKING:
    from gan_cli.run import Run

log = logging.getLogger("gan_cli.train")


def run_job(composed: DictConfig, directory: RunDirectory) -> None:
    """Train the job, or go on with it, and leave its status.

    Raises:
        Refused: another sweeper has started the job.
        KeyboardInterrupt: the sweep is to stop. In a parallel sweep, where it is the sweep that gets signals, nothing.
    """
    sweep = Path(HydraConfig.get().sweep.dir)
    number = directory.path.name
    command, plain = split(composed)
    if not (sweep / "sweep.json").exists():
        raise Refused("gan-train -m keeps count of its jobs by its own sweeper: leave out hydra/sweeper")
    beside_others = command.sweep.jobs is not None
    if beside_others:
        leave_interrupts_to_parent()
    if (sweep / STOP).exists():
        return
    log.info("job %s: %s", number, shlex.join(Ledger.read(sweep).differing[int(number)]))
    try:
        with directory.claimed(resuming=True):
            before = _status(directory)
            try:
                with _quiet(beside_others):
                    _trained(parse(plain), command, directory, sweep)
            except (Exception, SystemExit) as error:
                _tell(error, directory, told=_status(directory) != before)
    except KeyboardInterrupt:
        if not beside_others:
            raise
    except Refused as in_use:
        log.error("job %s: %s", number, in_use)
    if beside_others:
        log.info("job %s: %s", number, directory.state())


def _trained(config: Config, command: CommandConf, directory: RunDirectory, sweep: Path) -> None:
    jobs = command.sweep.jobs
    with ExitStack() as around:
        if jobs is not None and config.device.type is DeviceType.cuda and config.device.index is None:
            import torch

            place = around.enter_context(slots.held(sweep / ".slots", jobs))
            config.device.index = place % max(1, torch.cuda.device_count())
        run, left = begun_or_taken_up(config, directory, init_from=command.init_from)
        if not left:
            return
        if command.search.prune:
            _judge(run, sweep, command.search)
        run.hparams = hparams(sweep, int(directory.path.name)) or run.hparams
        conduct(run)


def hparams(sweep: Path, number: int) -> dict[str, str | float]:
    """What was typed for a job and not for all, or all of it for the only one, by key.

    Numbers are numbers, so that TensorBoard puts them on an axis.
    """
    ledger = Ledger.read(sweep)
    typed = ledger.differing[number] if len(ledger.cells) > 1 else ledger.cells[0].overrides
    pairs = (text.lstrip("+~").partition("=") for text in typed if not text.startswith("+search."))
    return {key: _number(value) for key, _, value in pairs}


def _number(value: str) -> str | float:
    try:
        return float(value)
    except ValueError:
        return value


def _judge(run: "Run", sweep: Path, search: SearchConf) -> None:
    """Let the search end the run where its metric says that it is hopeless."""
    from gan_cli.sweep.study import Judge

    if search.trial is not None and run.selection is not None:
        judge = Judge(sweep, search.trial, run.total_steps)
        metric = run.selection.guide.metric if search.metric == "auto" else search.metric
        run.hopeless = lambda step, values: metric in values and judge(step, values[metric])


def _tell(error: BaseException, directory: RunDirectory, told: bool) -> None:
    """Say why a job ended, in its log and in its status.

    Args:
        told: its run had begun, and has written its status itself.
    """
    number, text = directory.path.name, entry.foreseen(error)
    match error:
        case Incompatible():
            log.warning("job %s is refused: %s", number, text)
        case Pruned():
            log.info("job %s is pruned: %s", number, text)
        case _:
            log.error("job %s failed: %s", number, text or "".join(traceback.format_exception(error)).rstrip())
    if not told:
        directory.write_status("refused" if isinstance(error, Incompatible) else "failed", 0, reason_of(error))


def _status(directory: RunDirectory) -> bytes:
    return directory.status.read_bytes() if directory.status.exists() else b""


@contextmanager
def _quiet(quiet: bool) -> Iterator[None]:
    """Several jobs at a time leave the terminal to their first and last lines."""
    console = get_console()
    before, console.quiet = console.quiet, quiet or console.quiet
    try:
        yield
    finally:
        console.quiet = before
