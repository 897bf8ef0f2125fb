"""gan-train: train one run, or a sweep with -m."""

import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from gan_cli.commands import entry
from gan_cli.conf_dir import CONF_DIR
from gan_cli.errors import Refused, Stopped
from gan_cli.files import replacing
from gan_cli.parse import parse
from gan_cli.run_directory import RunDirectory, state_of
from gan_cli.schema import Config

if TYPE_CHECKING:
    from gan_cli.run import Run

log = logging.getLogger("gan_cli.train")


def train() -> None:
    """The console command."""
    for argument in sys.argv[1:]:
        key, _, value = argument.partition("=")
        if key == "hydra.run.dir" and RunDirectory(Path(value)).status.exists():
            # Hydra would write into it before our own check could stop it.
            print(f"gan-train: {value} holds a run already: name a new directory", file=sys.stderr)
            sys.exit(entry.REFUSED)
    sys.exit(entry.run(main, "gan-train"))


@hydra.main(version_base="1.3", config_path=CONF_DIR, config_name="train")
def main(composed: DictConfig) -> None:
    """One job."""
    directory = RunDirectory(Path(HydraConfig.get().runtime.output_dir))
    with entry.job(), directory.claimed():
        try:
            config = parse(composed)
            # Torch takes seconds to import: only now is it clear that it is needed.
            from gan_cli.build import build

            run = build(config, directory)
        except Refused:
            directory.discard()
            raise
        _announce(run, config)
        _train(run)


def _train(run: "Run") -> None:
    from gan_cli.loop import train
    from gan_cli.progress import step_bar
    from gan_cli.report import Report
    from gan_cli.signals import listening
    from gan_cli.tracking import Tracker

    directory = run.directory
    with replacing(directory.config) as file:
        file.write(OmegaConf.to_yaml(OmegaConf.create(run.config)).encode())
    directory.write_status("running", run.step)
    try:
        with (
            listening() as stop,
            Tracker(directory, run.config) as tracker,
            step_bar(run.total_steps, run.step) as bar,
        ):
            reason = train(run, Report(run, tracker, bar), stop)
    except BaseException as error:
        directory.write_status(state_of(error), run.step, str(error) or type(error).__name__)
        if isinstance(error, Stopped) and directory.last.exists():
            log.info("stopped at step %d; its state is saved in %s", run.step, directory.last)
        raise
    directory.write_status("finished", run.step, reason)
    log.info("%s at step %d; see %s", reason, run.step, directory.path)


def _announce(run: "Run", config: Config) -> None:
    """The arithmetic that the configuration implies."""
    shape = "×".join(map(str, run.facts["sample_shape"]))
    sizes = ", ".join(f"{name} {count:,} parameters" for name, count in run.parameters().items())
    log.info("%s", run.directory.path)
    log.info("%s", sizes)
    log.info(
        "%s samples of %s; %s steps of %d samples; %s, %s, %d threads",
        f"{run.facts['num_samples']:,}",
        shape,
        f"{run.total_steps:,}",
        config.train.batch_size,
        config.device.type.name,
        config.device.precision.name,
        run.facts["threads"],
    )
