"""The story of a run: step, and now and then log, look, save."""

from gan_cli import checkpoint
from gan_cli.errors import Diverged, Stopped
from gan_cli.report import Report
from gan_cli.run import Run
from gan_cli.signals import StopRequest


def train(run: Run, report: Report, stop: StopRequest) -> str:
    """Train to the end; returns the reason for ending.

    Raises:
        Diverged: a loss was not finite. The bad state is in diverged_step_N, `last` holds the newest good one.
        Stopped: a signal asked for it; the state is saved.
    """
    try:
        return _train(run, report, stop)
    except Diverged:
        checkpoint.save(run.directory.checkpoints / f"diverged_step_{run.step:08d}.safetensors", run.state())
        raise


def _train(run: Run, report: Report, stop: StopRequest) -> str:
    every = run.train
    if run.step == 0:
        if every.sample_every:
            report.begin()
        if every.checkpoint_every:
            report.save()  # a full disk is found out now, and a run killed early can be resumed
    while True:
        run.advance()
        report.advance()
        reason = _reason_to_end(run, report)
        stopping = reason is None and stop.signal_number is not None

        in_turn = _due(every.log_every, run.step, None) or (run.step == 1 and every.log_every > 0)
        if in_turn or _due(every.log_every, run.step, reason):
            report.scalars(clear=in_turn)  # at an end out of turn the means go on: the run may be extended
        if _due(every.sample_every, run.step, reason):
            report.picture()
        if _due(every.evaluate_every, run.step, None):
            report.select()
        if _due(every.checkpoint_every, run.step, reason) or (stopping and every.checkpoint_every):
            report.save()
        if stopping:
            assert stop.signal_number is not None
            raise Stopped(stop.signal_number)
        if reason is not None:
            run.meter.check()
            if 0 < every.evaluate_every <= run.step:
                report.evaluate()
            report.finish()
            return reason


def _due(every: int, step: int, reason_to_end: str | None) -> bool:
    return every > 0 and (reason_to_end is not None or step % every == 0)


def _reason_to_end(run: Run, report: Report) -> str | None:
    if run.step >= run.total_steps:
        return "all steps done"
    if run.train.minutes is not None and report.seconds >= 60 * run.train.minutes:
        return f"train.minutes={run.train.minutes:g} spent"
    return None
