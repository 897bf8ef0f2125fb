"""A run that was built: taken up where it was left, trained to its end, its status kept and everything told."""

import logging
from typing import TYPE_CHECKING

from omegaconf import OmegaConf

from gan_cli.files import replacing
from gan_cli.run_directory import state_of
from gan_cli.schema import Facts

if TYPE_CHECKING:
    from gan_cli.run import Run

log = logging.getLogger("gan_cli.train")


def take_up(run: "Run", facts: Facts) -> bool:
    """Make a run that was restored from a checkpoint go on in its directory; whether anything is left to do.

    Args:
        facts: the checkpoint's.
    """
    from gan_cli import history

    for what in ("torch", "device", "threads"):
        if run.facts[what] != getattr(facts, what):
            log.warning("not bit-exact from here on: %s was %s, is %s", what, getattr(facts, what), run.facts[what])
    if run.step >= run.total_steps:
        return False
    run.facts |= {"wall_s": facts.wall_s, "training_s": facts.training_s}
    history.rewind(run.directory, run.step, run.train)
    return True


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
