"""The story of a run, or of several that step as one: step, and now and then log, look, save."""

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial

from gan_cli import checkpoint
from gan_cli.errors import Diverged, Pruned, Stopped
from gan_cli.report import Report
from gan_cli.run import Run
from gan_cli.signals import StopRequest
from gan_cli.together.program import Together

Told = tuple[Run, Report]
_ALL_DONE = "all steps done"

End = str | Exception
"""Why a run ended, or what ended it."""


def train(run: Run, report: Report, stop: StopRequest) -> str:
    """Train to the end; returns the reason for ending.

    Raises:
        Diverged: a loss was not finite. The bad state is in diverged_step_N, `last` holds the newest good one.
        Pruned: what was measured is hopeless beside other runs.
        Stopped: a signal asked for it; the state is saved.
    """
    with _kept_if_diverged(run):
        _begin(run, report)
        if run.step == run.total_steps:
            return _end_of_killed(run, report)
        while True:
            run.advance()
            report.advance()
            # Of several ranks none may stop without the others, which would wait for it.
            signal_number, seconds = run.ranks.agreed(stop.signal_number or 0, report.seconds)
            reason = _after_step(run, report, StopRequest(signal_number or None), seconds)
            if reason is not None:
                return reason


def train_together(
    program: Together, told: Sequence[Told], stop: StopRequest, turn: Callable[[Run], AbstractContextManager[None]]
) -> Iterator[tuple[Run, End]]:
    """Train runs that step as one, telling of each what `train` would; yields each when it has ended.

    Args:
        told: runs of the program with their reports; the first that has not ended reports every step.
        turn: put around what is done for one run alone.

    Raises:
        Stopped: a signal asked for it; the states of all runs that had not ended are saved.
    """
    going = yield from _in_turn(told, _begin, turn)
    while going:
        program.advance()
        first, report = going[0]
        report.advance()
        asked = StopRequest(stop.signal_number)  # one answer for all, whenever a signal comes
        if asked.signal_number is None and not _anything_due(first):
            continue
        going = yield from _in_turn(going, partial(_after_step, stop=asked), turn)
        if going and asked.signal_number is not None:
            raise Stopped(asked.signal_number)


def _in_turn(
    going: Sequence[Told], act: Callable[[Run, Report], str | None], turn: Callable[[Run], AbstractContextManager[None]]
) -> Generator[tuple[Run, End], None, list[Told]]:
    """Act for each run, whatever becomes of the others; yields those that end by it, and returns those that go on."""
    left = []
    for run, report in going:
        end: End | None = None
        try:
            with turn(run), _kept_if_diverged(run):
                end = act(run, report)
        except Stopped:
            pass  # when all are saved
        except Exception as error:
            end = error
        if end is None:
            left.append((run, report))
        else:
            yield run, end
    return left


@contextmanager
def _kept_if_diverged(run: Run) -> Iterator[None]:
    try:
        yield
    except Diverged:
        if run.ranks.leads:
            checkpoint.save(run.directory.checkpoints / f"diverged_step_{run.step:08d}.safetensors", run.state())
        raise


def _begin(run: Run, report: Report) -> None:
    if run.step == 0:
        if run.train.sample_every:
            report.begin()
        if run.train.checkpoint_every:
            report.save()  # a full disk is found out now, and a run killed early can be resumed


def _after_step(run: Run, report: Report, stop: StopRequest, seconds: float | None = None) -> str | None:
    """All that is due after a step; returns the reason for ending, if there is one.

    Args:
        seconds: that the run has taken; None: as the report has it.
    """
    every = run.train
    reason = _reason_to_end(run, report.seconds if seconds is None else seconds)
    stopping = reason is None and stop.signal_number is not None

    in_turn = _due(every.log_every, run.step, None) or (run.step == 1 and every.log_every > 0)
    if in_turn or _due(every.log_every, run.step, reason):
        report.scalars(clear=in_turn)  # at an end out of turn the means go on: the run may be extended
    if _due(every.sample_every, run.step, reason):
        report.picture()
    measured = report.select() if _due(every.evaluate_every, run.step, None) else {}
    if _due(every.checkpoint_every, run.step, reason) or (stopping and every.checkpoint_every):
        report.save()
    if stopping:
        assert stop.signal_number is not None
        raise Stopped(stop.signal_number)
    if reason is None and run.hopeless(run.step, measured):
        raise Pruned(f"others had done better by step {run.step}")
    if reason is not None:
        _end(run, report)
    return reason


def _end(run: Run, report: Report) -> None:
    run.meter.check()
    if 0 < run.train.evaluate_every <= run.step:
        report.evaluate()
    report.finish()


def _end_of_killed(run: Run, report: Report) -> str:
    """What is due at the end, for a run that was killed between its last checkpoint and that; returns the reason.

    What was due in turn was done before the checkpoint.
    """
    every = run.train
    if every.log_every > 0 and run.step % every.log_every != 0 and run.step != 1:
        report.scalars(clear=False)
    if every.sample_every > 0 and run.step % every.sample_every != 0:
        report.picture()
    _end(run, report)
    return _ALL_DONE


def _anything_due(run: Run) -> bool:
    """Whether `_after_step` has anything to do, for a run that ends by its steps alone and is not being stopped."""
    every = run.train
    cadences = (every.log_every, every.sample_every, every.evaluate_every, every.checkpoint_every)
    at_ends = run.step == 1 or run.step >= run.total_steps
    return at_ends or any(_due(cadence, run.step, None) for cadence in cadences)


def _due(every: int, step: int, reason_to_end: str | None) -> bool:
    return every > 0 and (reason_to_end is not None or step % every == 0)


def _reason_to_end(run: Run, seconds: float) -> str | None:
    if run.step >= run.total_steps:
        return _ALL_DONE
    if run.train.minutes is not None and seconds >= 60 * run.train.minutes:
        return f"train.minutes={run.train.minutes:g} spent"
    return None
