"""gan-verify: check a preset against the figures of the text that it reproduces."""

import contextlib
import logging
import math
import platform
import sys
from collections.abc import Iterator, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import hydra
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from gan_cli import __version__
from gan_cli.command_schema import CommandConf, VerifyConf
from gan_cli.commands import entry
from gan_cli.commands.conduct import begun_or_taken_up, conduct
from gan_cli.conf_dir import CONF_DIR
from gan_cli.errors import Diverged, Refused, RunFailed, Stopped
from gan_cli.files import replacing, write_json
from gan_cli.parse import parse, resolved, split, to_plain, typed_as
from gan_cli.run_directory import RunDirectory
from gan_cli.verification.expectations import Figure, Form, expectations

_WIDTH = 160  # of the table, wherever it goes
_OWN = tuple(f.name for f in fields(VerifyConf))

log = logging.getLogger("gan_cli.verify")


def verify() -> None:
    """The console command."""
    sys.exit(entry.run(main, "gan-verify", entry.alone("gan-verify checks one preset at a time")))


@hydra.main(version_base="1.3", config_path=CONF_DIR, config_name="verify")
def main(composed: DictConfig) -> None:
    """One job."""
    with entry.job():
        _verify(typed_as(VerifyConf, resolved(OmegaConf.masked_copy(composed, list(_OWN)))))


def _verify(conf: VerifyConf) -> None:
    name = HydraConfig.get().runtime.choices.get("experiment")
    if name is None:
        raise Refused("experiment must be given: experiment=cs231n_gan, or another preset with a table of figures")
    table = expectations(name, _configuration_directories())
    form = table.form(conf.quick)
    plain, trust = _configuration(form)
    seeds = conf.seeds or form.seeds
    out = Path(conf.out or f"outputs/verify/{name}" + ("_quick" if conf.quick else "")).expanduser()
    log.info("%s\n%s%s; %s", table.source, "shortened: " if conf.quick else "", form.says, _shown(seeds))
    values = [list(_seed(out / f"seed_{seed}", plain | {"seed": seed}, trust, form.figures)) for seed in seeds]
    _told(out, name, table.source, form, seeds, values)


def _seed(path: Path, plain: dict[str, Any], trust: Sequence[str], figures: Sequence[Figure]) -> Iterator[float]:
    """The figures of one run, which is trained unless an earlier call did so; nan where it diverged."""
    from gan_cli.objective import build_objective
    from gan_cli.verification.measured import Measured

    directory, config = RunDirectory(path), parse(plain)
    with _removed_if_refused(path), directory.claimed(resuming=True), directory.discarded_if_refused():
        run, left = begun_or_taken_up(config, directory, trust)
        if left:
            try:
                conduct(run)
            except Diverged as diverged:
                log.warning("%s: %s", path, diverged)
                yield from [math.nan] * len(figures)
                return
            except Stopped:
                log.info("stopped at step %d; the same command goes on", run.step)
                raise
        loss = build_objective(config, run.game.networks["discriminator"], trust).loss.made
        yield from map(Measured(run, loss), figures)


def _configuration(form: Form) -> tuple[dict[str, Any], Sequence[str]]:
    """The preset with what the form shortens and, over both, what was typed; and whose classes may be named.

    Raises:
        Refused: something was typed that is for single runs.
    """
    loader, task = GlobalHydra.instance().config_loader(), list(HydraConfig.get().overrides.task)
    name = HydraConfig.get().job.config_name
    composed = loader.load_configuration(name, overrides=[*form.overrides, *task], run_mode=RunMode.RUN)
    keys = [str(key) for key in composed if key not in (*_OWN, "hydra")]
    command, plain = split(OmegaConf.masked_copy(composed, keys))
    if to_plain(command) != to_plain(CommandConf(trust=command.trust)):
        raise Refused("gan-verify trains the preset from its beginning: leave out resume, init_from and dry_run")
    return plain, command.trust


def _configuration_directories() -> list[Path]:
    sources = HydraConfig.get().runtime.config_sources
    return [Path(source.path) for source in sources if source.schema == "file"]


@contextlib.contextmanager
def _removed_if_refused(path: Path) -> Iterator[None]:
    """Make a directory; a request that is refused, or interrupted before it starts, leaves none of its making."""
    made = [directory for directory in (path, *path.parents) if not directory.exists()]
    with entry.writing_to(path):
        pass
    try:
        yield
    except (Refused, KeyboardInterrupt):
        for directory in made:
            with contextlib.suppress(OSError):
                directory.rmdir()
        raise


def _told(
    out: Path, name: str, source: str, form: Form, seeds: Sequence[int], values: Sequence[Sequence[float]]
) -> None:
    """The table on the terminal, in verify.json and in verify.md.

    Raises:
        RunFailed: a figure was missed.
    """
    import torch
    from rich.console import Console

    from gan_cli.verification.verdicts import Row, markdown, table

    rows = [Row(figure, of) for figure, of in zip(form.figures, zip(*values, strict=True), strict=True)]
    Console(width=_WIDTH).print(table(rows))
    typed = list(HydraConfig.get().overrides.task)
    about = {
        "experiment": name,
        "source": source,
        "form": form.says,
        "overrides": [*form.overrides, *typed],
        "seeds": list(seeds),
        "gan_cli": __version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
    }
    write_json(out / "verify.json", about | {"figures": [row.plain() for row in rows]})
    title = f"`gan-verify {' '.join(typed)}`: {form.says}; {_shown(seeds)}."
    with replacing(out / "verify.md") as file:
        file.write(markdown(title, rows).encode())
    for row in rows:
        if row.verdict == "missed":
            log.warning("missed %s: %s", row.figure.name, row.figure.why)
    missed = [row.figure.name for row in rows if row.verdict == "missed"]
    expected = sum(row.verdict != "information" for row in rows)
    if missed:
        raise RunFailed(f"{len(missed)} of {expected} figures were missed: {', '.join(missed)}; see {out}/verify.md")
    log.info("all %d figures were met; verify.md, verify.json and the runs are in %s", expected, out)


def _shown(seeds: Sequence[int]) -> str:
    return ("seeds " if len(seeds) > 1 else "seed ") + ", ".join(map(str, seeds))
