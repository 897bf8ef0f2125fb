"""A run that was built, trained to its end: its status kept, signals heard, everything told and logged."""

import logging
from typing import TYPE_CHECKING

from omegaconf import OmegaConf

from gan_cli.files import replacing
from gan_cli.run_directory import state_of

if TYPE_CHECKING:
    from gan_cli.run import Run

log = logging.getLogger("gan_cli.train")


def conduct(run: "Run") -> None:
    """Train, and leave a status in the run's directory whatever happens.

    Raises:
        Diverged: a loss was not finite.
        Stopped: a signal ended the run after its state was saved.
    """
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
    try:
        directory.write_status("running", run.step)
        with (
            listening() as stop,
            Tracker(directory, run.config, run.step) as tracker,
            step_bar(run.total_steps, run.step) as bar,
        ):
            reason = train(run, Report(run, tracker, bar), stop)
    except BaseException as error:
        directory.write_status(state_of(error), run.step, str(error) or type(error).__name__)
        raise
    directory.write_status("finished", run.step, reason)
    log.info("%s at step %d; see %s", reason, run.step, directory.path)
