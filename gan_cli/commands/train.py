"""gan-train: train one run, or a sweep with -m; go on with a run."""

import logging
import re
import sys
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hydra
import yaml
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from gan_cli.commands import entry
from gan_cli.conf_dir import CONF_DIR
from gan_cli.errors import Refused, Stopped
from gan_cli.files import replacing
from gan_cli.parse import parse, parse_stored, split, to_plain, typed_as
from gan_cli.resume import check_changes, laid_over
from gan_cli.run_directory import RunDirectory, of_checkpoint, state_of
from gan_cli.schema import CommandConf, Facts

if TYPE_CHECKING:
    from gan_cli.run import Run

log = logging.getLogger("gan_cli.train")


def train() -> None:
    """The console command."""
    sys.exit(entry.run(main, "gan-train", into_run_directory))


def into_run_directory(arguments: Sequence[str]) -> list[str]:
    """The arguments for Hydra: those of a run to resume are put before what is typed now, and its directory is set.

    Raises:
        Refused: there is no such run; or a new run would be written into the directory of an old one, which Hydra
            would do before any check of ours.
    """
    typed = {key: value for key, _, value in (argument.partition("=") for argument in arguments)}
    if typed.get("resume", "null") == "null":
        path = Path(typed.get("hydra.run.dir", "outputs"))
        if RunDirectory(path).status.exists():
            raise Refused(f"{path} holds a run already: name a new directory, or go on with resume={path}")
        return list(arguments)
    if entry.is_sweep(arguments):
        raise Refused("resume goes on with one run and cannot be swept: leave out -m")
    directory = of_checkpoint(Path(typed["resume"].strip("'\"")).expanduser())
    for name in ("train.log", ".lock"):
        if (directory / name).is_symlink():
            raise Refused(f"{directory / name} is a link: it would be written through to another place; remove it")
    resume = next(argument for argument in arguments if argument.startswith("resume="))
    return [
        *(override for override in original_overrides(directory) if _key(override) not in map(_key, arguments)),
        resume,  # first of what is typed now: `_resumed` tells the two apart by it
        *(argument for argument in arguments if argument != resume),
        f"hydra.run.dir={directory}",
        "hydra.output_subdir=null",
    ]


def original_overrides(directory: Path) -> list[str]:
    """What was typed when the run was started, as Hydra stored it, less what only concerned that start.

    The file may be a stranger's. It only says which keys exist, the values are the checkpoint's; an entry that is more
    than a key of a run with a value (an option of the command, a path of a group, a package, a key of Hydra's) is left
    out, and the file is read as text.
    """
    path = directory / ".hydra" / "overrides.yaml"
    try:
        stored = yaml.safe_load(path.read_bytes()) if path.stat().st_size <= _MAX_OVERRIDES else None
    except (OSError, ValueError, RecursionError, yaml.YAMLError):
        return []
    return (
        [entry for entry in stored if isinstance(entry, str) and _is_plain(entry)] if isinstance(stored, list) else []
    )


_MAX_OVERRIDES = 100_000  # bytes


def _is_plain(override: str) -> bool:
    parts = re.fullmatch(r"[+~]{0,2}(\w+(?:\.\w+)*)(?:=(.*))?", override, re.ASCII)
    if parts is None or "${" in override or ("=" not in override and not override.startswith("~")):
        return False
    key, value = parts[1], parts[2] or ""
    names_a_group = "." not in key
    return key.split(".")[0] not in _NOT_OF_A_RUN and not (names_a_group and re.search(r"[^\w.+-]", value))


_NOT_OF_A_RUN = {f.name for f in fields(CommandConf)} | {"hydra"}


def _key(override: str) -> str:
    return override.split("=")[0].lstrip("+~")


@hydra.main(version_base="1.3", config_path=CONF_DIR, config_name="train")
def main(composed: DictConfig) -> None:
    """One job."""
    directory = RunDirectory(Path(HydraConfig.get().runtime.output_dir))
    with entry.job(), directory.discarded_if_refused():
        command, plain = split(composed)
        prepared = _new if command.resume is None else _resumed
        with directory.claimed(resuming=command.resume is not None):
            run = prepared(plain, command, directory)
            if run is not None:
                _train(run)


def _new(plain: dict[str, Any], command: CommandConf, directory: RunDirectory) -> "Run | None":
    config = parse(plain)
    # Torch takes seconds to import: only now is it clear that it is needed.
    from gan_cli import checkpoint
    from gan_cli.build import build

    run = build(config, directory)
    if command.init_from is not None:
        stored = checkpoint.load(checkpoint.resolve(Path(command.init_from).expanduser()))
        for name, network in run.game.networks.items():
            stored.load_network(name, network)
        log.info("weights from step %d of %s", stored.step, command.init_from)
    if command.dry_run:
        from gan_cli.dry_run import dry_run

        for line in dry_run(run):
            log.info("%s", line)
        directory.discard()
        return None
    return run


def _resumed(plain: dict[str, Any], command: CommandConf, directory: RunDirectory) -> "Run | None":
    from gan_cli import history
    from gan_cli.build import build

    assert command.resume is not None
    stored = history.find(Path(command.resume).expanduser())
    original = original_overrides(directory.path)
    before = _composed(original)
    task = list(HydraConfig.get().overrides.task)
    start = next(i for i, override in enumerate(task) if override.startswith("resume="))
    typed = [_key(override).split("@")[0] for override in task[start + 1 :]]
    parse_stored(stored.config)
    config = parse_stored(laid_over(stored.config, plain, before, typed))
    check_changes(stored.config, to_plain(config), command.allow_changes)
    facts = typed_as(Facts, stored.facts, "the checkpoint's facts")
    run = build(config, directory, stored, command.trust)
    if run.facts["data_digest"] != facts.data_digest and "data" not in command.allow_changes:
        raise Refused("the data are not those that the run was started with; allow_changes=[data] goes on all the same")
    for what in ("torch", "device", "threads"):
        if run.facts[what] != getattr(facts, what):
            log.warning("not bit-exact from here on: %s was %s, is %s", what, getattr(facts, what), run.facts[what])
    if run.step >= run.total_steps:
        log.info("%s has finished at step %d; train.steps=N extends it", directory.path, run.step)
        return None
    run.facts |= {"wall_s": facts.wall_s, "training_s": facts.training_s}
    history.rewind(directory, run.step, run.train)
    log.info("resuming at step %d", run.step)
    return run


def _composed(overrides: list[str]) -> dict[str, Any]:
    """What a command line would have configured."""
    loader = GlobalHydra.instance().config_loader()
    config = loader.load_configuration(HydraConfig.get().job.config_name, overrides=overrides, run_mode=RunMode.RUN)
    return split(OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"]))[1]


def _train(run: "Run") -> None:
    from gan_cli.loop import train
    from gan_cli.progress import step_bar
    from gan_cli.report import Report
    from gan_cli.signals import listening
    from gan_cli.tracking import Tracker

    directory = run.directory
    for line in run.description():
        log.info("%s", line)
    with replacing(directory.config) as file:
        file.write(OmegaConf.to_yaml(OmegaConf.create(run.config)).encode())
    directory.write_status("running", run.step)
    try:
        with (
            listening() as stop,
            Tracker(directory, run.config, run.step) as tracker,
            step_bar(run.total_steps, run.step) as bar,
        ):
            reason = train(run, Report(run, tracker, bar), stop)
    except BaseException as error:
        directory.write_status(state_of(error), run.step, str(error) or type(error).__name__)
        if isinstance(error, Stopped) and run.train.checkpoint_every:
            log.info("stopped at step %d; go on with: gan-train resume=%s", run.step, directory.path)
        raise
    directory.write_status("finished", run.step, reason)
    log.info("%s at step %d; see %s", reason, run.step, directory.path)
