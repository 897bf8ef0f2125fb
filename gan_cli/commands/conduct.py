"""A run: begun, or taken up where it was left; trained to its end, its status kept and everything told."""

import logging
import shlex
import traceback
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import OmegaConf

from gan_cli.errors import GanCliError, RankLost, Refused, RunFailed
from gan_cli.files import replacing
from gan_cli.parse import parse_stored, to_plain, typed_as
from gan_cli.ranks.ranks import ALONE, Ranks
from gan_cli.resume import check_changes
from gan_cli.run_directory import RunDirectory, reason_of, state_of
from gan_cli.schema import Config, Facts

if TYPE_CHECKING:
    from gan_cli.progress import Display
    from gan_cli.report import Report
    from gan_cli.run import Run
    from gan_cli.targets import Trust

log = logging.getLogger("gan_cli.train")

TOO_LARGE = "the networks or the data are too large; smaller widths of the model, or data.limit=N, need less"
_TOGETHER = "these runs do not fit at once; sweep.together=false trains them one by one"


def begun(
    config: Config,
    directory: RunDirectory,
    trusted: "Trust" = None,
    init_from: str | None = None,
    ranks: Ranks = ALONE,
) -> "Run":
    """A run at its beginning.

    Args:
        trusted: as for `build`.
        init_from: a checkpoint whose weights it begins with.
        ranks: the processes that train it.

    Raises:
        Refused: as `build`.
    """
    # Torch takes seconds to import: only now is it clear that it is needed.
    from gan_cli import checkpoint, memory
    from gan_cli.build import build

    with memory.enough(Refused, TOO_LARGE):
        run = build(config, directory, trusted=trusted, ranks=ranks)
    if init_from is not None:
        stored = checkpoint.load(checkpoint.resolve(Path(init_from).expanduser()))
        for name, network in run.networks.items():
            if any(True for _ in network.parameters()):  # what adapts, and a pool of fakes, begin anew
                stored.load_network("generator" if name == "ema" else name, network)
        log.info("weights from step %d of %s", stored.step, init_from)
    return run


def begun_or_taken_up(
    config: Config, directory: RunDirectory, trusted: "Trust" = None, init_from: str | None = None
) -> "tuple[Run, bool]":
    """`begun`, or the run where an earlier call left it; and whether anything is left to do.

    Raises:
        Refused: the directory holds a run of another configuration or of other data; or as `build`.
    """
    from gan_cli import history

    run = begun(config, directory, trusted, init_from)
    if not directory.last.exists():
        if directory.status.exists():
            history.rewind(directory, 0, run.train)  # what a run left that could not be taken up
        return run, True
    stored = history.find(directory.path)
    facts = typed_as(Facts, stored.facts, "the checkpoint's facts")
    other = f"{directory.path} holds another run: name another directory"
    try:
        check_changes(to_plain(parse_stored(stored.config)), run.config, ())  # an older file lacks later keys
    except Refused as difference:
        _, *changed, _ = str(difference).splitlines()
        raise Refused("\n".join([other, *changed])) from None
    if run.facts["data_digest"] != facts.data_digest:
        raise Refused(f"{other}\nIts data are not these")
    run.restore(stored)
    left = take_up(run, facts)
    if left:
        log.info("going on with %s at step %d", directory.path, run.step)
    else:
        log.info("%s has finished earlier and is used again", directory.path)
    return run, left


def take_up(run: "Run", facts: Facts) -> bool:
    """Make a run that was restored from a checkpoint go on in its directory; whether anything is left to do.

    Args:
        facts: the checkpoint's.
    """
    from gan_cli import history

    for what in ("torch", "device", "threads", "ranks"):
        if run.facts[what] != getattr(facts, what):
            log.warning("not bit-exact from here on: %s was %s, is %s", what, getattr(facts, what), run.facts[what])
    if run.step > run.total_steps or (run.step == run.total_steps and run.directory.state() == "finished"):
        return False  # a run that was killed in its last moments has its end before it
    run.facts |= {"wall_s": facts.wall_s, "training_s": facts.training_s}
    if run.ranks.leads:
        history.rewind(run.directory, run.step, run.train)
    return True


def conduct(run: "Run", live: bool = False) -> None:
    """Train, and leave a status in the run's directory whatever happens.

    Args:
        live: show the samples on the terminal meanwhile, where it can.

    Raises:
        Diverged: a loss was not finite.
        RunFailed: a rank of several was lost.
        Stopped: a signal ended the run after its state was saved.
    """
    from gan_cli import memory
    from gan_cli.loop import train
    from gan_cli.signals import listening

    directory, leads = run.directory, run.ranks.leads
    if leads:
        _describe(run)
    try:
        with memory.enough(RunFailed, run.with_less_memory()), listening() as stop, _told(run, live) as report:
            reason = train(run, report, stop)
    except RankLost as lost:
        if not lost.speaks:
            raise
        way_on = f"; gan-train resume={shlex.quote(str(directory.path))} goes on" if directory.last.exists() else ""
        directory.write_status("failed", run.step, f"{lost}{way_on}")
        raise RankLost(f"{lost}{way_on}", lost.speaks) from lost
    except BaseException as error:
        if leads:
            directory.write_status(state_of(error), run.step, reason_of(error))
        raise
    if leads:
        _ended(run, reason)


@contextmanager
def _told(run: "Run", live: bool) -> "Iterator[Report]":
    """The run's report: of several ranks the first one's tells, and the others' do their share of its work."""
    from gan_cli.report import Report
    from gan_cli.silent_report import SilentReport
    from gan_cli.tracking import Tracker

    directory = run.directory
    if not run.ranks.leads:
        yield SilentReport(run)
        return
    directory.write_status("running", run.step)
    with (
        Tracker(directory, run.step, run.hparams, run.curves) as tracker,
        _display(run, live) as display,
    ):
        yield Report(run, tracker, display)


def _display(run: "Run", live: bool) -> "AbstractContextManager[Display]":
    from gan_cli.live.area import is_possible, live_area
    from gan_cli.progress import step_bar

    if live and run.ranks.size == 1 and is_possible():
        return live_area(run.preview, run.total_steps, run.step, run.train.minutes)
    return step_bar(run.total_steps, run.step)


def conduct_together(runs: Sequence["Run"]) -> None:
    """Train runs as one program, each into its own directory, as `conduct` would; what goes wrong with one of them is
    in its status and its log.

    Raises:
        Incompatible: they cannot be one program (`Together`); nothing is written then.
        Stopped: a signal ended the runs after their states were saved.
    """
    from gan_cli import memory
    from gan_cli.loop import train_together
    from gan_cli.progress import step_bar
    from gan_cli.signals import listening
    from gan_cli.stopwatch import Stopwatch
    from gan_cli.together.program import Together
    from gan_cli.together.report import SharedReport
    from gan_cli.tracking import Tracker

    program, first = Together(runs), runs[0]
    log.info("%d runs as one program, %d steps each", len(runs), first.total_steps)
    going = {run.directory.path: run for run in runs}

    def ended(run: "Run", end: str | Exception) -> None:
        del going[run.directory.path]
        with _logged_alone(run):
            _ended(run, end)
        if isinstance(end, Exception):
            log.error("%s: %s", run.directory.path, reason_of(end))

    try:
        with memory.enough(RunFailed, _TOGETHER), ExitStack() as opened:
            stop = opened.enter_context(listening())
            bar = opened.enter_context(step_bar(first.total_steps, first.step))
            told, stopwatch = [], Stopwatch(first.device)
            with stopwatch.paused():
                for run in runs:
                    try:
                        with _logged_alone(run):
                            _describe(run)
                        run.directory.write_status("running", run.step)
                        tracker = opened.enter_context(Tracker(run.directory, run.step, run.hparams, run.curves))
                        told.append((run, SharedReport(run, tracker, bar, stopwatch)))
                    except Exception as error:
                        ended(run, error)
            for run, end in train_together(program, told, stop, _logged_alone):
                ended(run, end)
    except BaseException as error:
        for run in list(going.values()):
            run.directory.write_status(state_of(error), run.step, reason_of(error))
        raise


def _describe(run: "Run") -> None:
    for line in run.description():
        log.info("%s", line)
    with replacing(run.directory.config) as file:
        file.write(OmegaConf.to_yaml(OmegaConf.create(run.config)).encode())


def _ended(run: "Run", end: str | Exception) -> None:
    if isinstance(end, str):
        run.directory.write_status("finished", run.step, end)
        log.info("%s at step %d; see %s", end, run.step, run.directory.path)
        return
    run.directory.write_status(state_of(end), run.step, reason_of(end))
    told = str(end) if isinstance(end, GanCliError) else "".join(traceback.format_exception(end)).rstrip()
    log.error("%s", told)


@contextmanager
def _logged_alone(run: "Run") -> Iterator[None]:
    """What is logged goes into the run's own train.log, and nowhere else."""
    handler = logging.FileHandler(run.directory.path / "train.log", encoding="utf-8", delay=True)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))  # as conf/hydra/job_logging/run
    before = log.propagate, log.level
    log.propagate = False
    log.setLevel(logging.INFO)
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)
        handler.close()
        log.propagate = before[0]
        log.setLevel(before[1])
