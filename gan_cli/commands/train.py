"""gan-train: train one run, or a sweep with -m; go on with a run."""

import logging
import shlex
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from gan_cli.command_schema import CommandConf, SearchMethod
from gan_cli.commands import entry, sweeper
from gan_cli.commands.conduct import TOO_LARGE, begun, conduct, take_up
from gan_cli.commands.resumed import into_run_directory, original_configuration, typed_now
from gan_cli.commands.sweep_job import run_job
from gan_cli.conf_dir import CONF_DIR
from gan_cli.errors import Refused, Stopped
from gan_cli.parse import parse, parse_stored, split, to_plain, typed_as
from gan_cli.ranks.ranks import Ranks
from gan_cli.resume import check_changes, laid_over
from gan_cli.run_directory import RunDirectory
from gan_cli.schema import Facts

if TYPE_CHECKING:
    from gan_cli.run import Run

log = logging.getLogger("gan_cli.train")


def train() -> None:
    """The console command."""
    sweeper.register()
    if Ranks.of_environment().size > 1:
        from gan_cli.commands.ranked import run

        sys.exit(run(main, "gan-train"))
    sys.exit(entry.run(main, "gan-train", into_run_directory))


@hydra.main(version_base="1.3", config_path=CONF_DIR, config_name="train")
def main(composed: DictConfig) -> None:
    """One job."""
    directory = RunDirectory(Path(HydraConfig.get().runtime.output_dir))
    if HydraConfig.get().mode == RunMode.MULTIRUN:
        run_job(composed, directory)
        return
    resuming = OmegaConf.select(composed, "resume") is not None
    ranks = Ranks.of_environment()
    if ranks.size > 1:
        from gan_cli.ranks.many import connected

        ranks = connected()
        directory = directory if ranks.leads else RunDirectory(Path(str(ranks.directory())))
    with entry.job(), ExitStack() as held:
        if ranks.leads:  # the others write nothing
            held.enter_context(directory.claimed(resuming))
            held.enter_context(directory.discarded_if_refused())
            ranks.announce(directory.path)
        command, plain = split(composed)
        make = _resumed if resuming else _new
        run = make(plain, command, directory, ranks)
        if run is not None:
            _train(run, command.live)


def _new(plain: dict[str, Any], command: CommandConf, directory: RunDirectory, ranks: Ranks) -> "Run | None":
    config = parse(plain)
    if command.search.method is not SearchMethod.grid:
        raise Refused(f"search={command.search.method.name} trains many runs: add -m")
    if command.allow_changes:
        raise Refused("allow_changes is for resume=RUN: a new run may be anything")
    run = begun(config, directory, init_from=command.init_from, ranks=ranks)
    ranks.join(run.device)
    if command.dry_run:
        from gan_cli.dry_run import dry_run

        for line in dry_run(run):
            log.info("%s", line)
        if ranks.leads:
            directory.discard()
        return None
    return run


def _resumed(plain: dict[str, Any], command: CommandConf, directory: RunDirectory, ranks: Ranks) -> "Run | None":
    from gan_cli import history, memory
    from gan_cli.build import build

    assert command.resume is not None
    stored = history.find(Path(command.resume).expanduser())
    # By itself first: what follows walks through it, and an older file lacks the keys of later versions.
    before = to_plain(parse_stored(stored.config))
    config = parse_stored(laid_over(before, plain, original_configuration(directory.path), typed_now()))
    check_changes(before, to_plain(config), command.allow_changes)
    facts = typed_as(Facts, stored.facts, "the checkpoint's facts")
    with memory.enough(Refused, TOO_LARGE):
        run = build(config, directory, stored, command.trust, ranks)
    if run.facts["data_digest"] != facts.data_digest and "data" not in command.allow_changes:
        raise Refused("the data are not those that the run was started with; allow_changes=[data] goes on all the same")
    ranks.join(run.device)  # before anything is removed that another rank may yet read
    if not take_up(run, facts):
        log.info("%s has finished at step %d; train.steps=N extends it", directory.path, run.step)
        return None
    log.info("resuming at step %d", run.step)
    return run


def _train(run: "Run", live: bool) -> None:
    from gan_cli.doctor.diagnosis import is_alarming, summary_line
    from gan_cli.doctor.run_files import findings_of
    from gan_cli.ending import ending

    directory = run.directory
    try:
        conduct(run, live)
    except Stopped:
        if run.train.checkpoint_every:
            log.info("stopped at step %d; go on with: gan-train resume=%s", run.step, shlex.quote(str(directory.path)))
        raise
    if not run.ranks.leads:
        return
    findings = findings_of(directory.path)
    if findings is not None:
        log.info("%s", summary_line(findings))
    for line in ending(directory, run.config, run.step, run.total_steps, is_alarming(findings or ())):
        log.info("%s", line)
