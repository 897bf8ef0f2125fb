"""The command line of a resumed run: what it was started with, and what is typed now."""

import re
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import yaml
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import OmegaConf

from gan_cli.command_schema import CommandConf
from gan_cli.commands import entry
from gan_cli.errors import Refused
from gan_cli.parse import split
from gan_cli.run_directory import RunDirectory, of_checkpoint

_MAX_OVERRIDES = 100_000  # bytes
_NOT_OF_A_RUN = {f.name for f in fields(CommandConf)} | {"hydra"}


def into_run_directory(arguments: Sequence[str]) -> list[str]:
    """The arguments for Hydra: those of a run to resume are put before what is typed now, and its directory is set.

    (Of several ranks this is the first one's way; the others come by `joining`.)

    Raises:
        Refused: there is no such run; or a new run would be written into the directory of an old one, which Hydra
            would do before any check of ours.
    """
    typed = {key: value for key, _, value in (argument.partition("=") for argument in arguments)}
    if typed.get("resume", "null") == "null":
        path = Path(typed.get("hydra.run.dir", "outputs"))
        RunDirectory(path).check_unused()
        if RunDirectory(path).status.exists():
            raise Refused(f"{path} holds a run already: name a new directory, or go on with resume={path}")
        return list(arguments)
    if entry.is_sweep(arguments):
        raise Refused("resume goes on with one run and cannot be swept: leave out -m")
    for other in ("hydra.run.dir", "init_from", "dry_run"):
        if other in typed:
            raise Refused(f"resume goes on with a run in its own directory: leave out {other}")
    directory = of_checkpoint(Path(typed["resume"].strip("'\"")).expanduser())
    for name in ("train.log", ".lock"):
        if (directory / name).is_symlink():
            raise Refused(f"{directory / name} is a link: it would be written through to another place; remove it")
    RunDirectory(directory).check_unused()
    return _taking_up(arguments, directory)


def joining(directory: Path, arguments: Sequence[str]) -> list[str]:
    """The arguments for Hydra of a rank that trains with the first one, whose directory this is, and writes nothing.

    Hydra would make a directory that is named to it, even one that the first rank has just removed again.
    """
    resuming = any(argument.startswith("resume=") and argument != "resume=null" for argument in arguments)
    taken = _taking_up(arguments, directory) if resuming else arguments
    silent = ("hydra.run.dir=.", "hydra.output_subdir=null", "hydra/job_logging=console")
    left = [argument for argument in taken if _key(argument) not in map(_key, silent)]
    return [*left, *silent, "hydra.job_logging.root.level=ERROR"]


def _taking_up(arguments: Sequence[str], directory: Path) -> list[str]:
    resume = next(argument for argument in arguments if argument.startswith("resume="))
    return [
        *(override for override in original_overrides(directory) if _key(override) not in map(_key, arguments)),
        resume,  # first of what is typed now: `typed_now` tells the two apart by it
        *(argument for argument in arguments if argument != resume),
        f"hydra.run.dir={directory}",
        "hydra.output_subdir=null",
    ]


def typed_now() -> list[str]:
    """The keys of the running command that were typed behind `resume=`."""
    task = list(HydraConfig.get().overrides.task)
    start = next(index for index, override in enumerate(task) if override.startswith("resume="))
    return [_key(override).split("@")[0] for override in task[start + 1 :]]


def original_configuration(directory: Path) -> dict[str, Any]:
    """What the run's original command line configures today."""
    loader = GlobalHydra.instance().config_loader()
    config = loader.load_configuration(
        HydraConfig.get().job.config_name, overrides=original_overrides(directory), run_mode=RunMode.RUN
    )
    return split(OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"]))[1]


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
    entries = stored if isinstance(stored, list) else []
    return [entry for entry in entries if isinstance(entry, str) and _is_plain(entry)]


def _is_plain(override: str) -> bool:
    parts = re.fullmatch(r"[+~]{0,2}(\w+(?:\.\w+)*)(?:=(.*))?", override, re.ASCII)
    if parts is None or "${" in override or ("=" not in override and not override.startswith("~")):
        return False
    key, value = parts[1], parts[2] or ""
    names_a_group = "." not in key
    return key.split(".")[0] not in _NOT_OF_A_RUN and not (names_a_group and re.search(r"[^\w.+-]", value))


def _key(override: str) -> str:
    return override.split("=")[0].lstrip("+~")
