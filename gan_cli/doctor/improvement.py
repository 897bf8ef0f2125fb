"""Still improving: the run was stopped, or is going on, before it had learned what it can."""

from typing import Any

from gan_cli.doctor.guide import READINGS, guide_of
from gan_cli.doctor.log import Log
from gan_cli.doctor.series import number
from gan_cli.doctor.verdict import Clear, Finding, Unjudged, Verdict

NAME = "still improving"


def still_improving(log: Log) -> Finding:
    """The guiding metric fell over the last third, by Mann and Kendall's test at 5 % and by 5 % of its excess."""
    guide = guide_of(log)
    if guide is None:
        return Unjudged(NAME, "no metric was logged that says how good the samples are")
    improving = guide.improving
    if improving is None:
        every = log.rate("train.evaluate_every") or log.rate("train.sample_every")
        way = f"; train.evaluate_every={max(1, int(every / 3))} gives more" if every else ""
        return Unjudged(NAME, f"{len(guide.curve)} readings of {guide.name}, {READINGS} late ones are needed{way}")
    window = guide.window
    shown = [value for step, value in zip(guide.curve.steps, guide.curve.values, strict=True) if step in window.steps]
    evidence = (
        f"{guide.name} went from {number(shown[0])} to {number(shown[-1])} from step {window.steps[0]:,} to step "
        f"{window.steps[-1]:,}"
    )
    if not improving:
        return Clear(NAME, f"{evidence}, no steady improvement")
    floor = f"; real samples score {number(guide.curve.floor)}" if guide.curve.floor is not None else ""
    return Verdict(NAME, "The samples were still getting better at the end.", evidence + floor, _longer(log), False)


def _longer(log: Log) -> str:
    """Twice as long, on top of what is there."""
    steps: Any = log.rate("train.steps")
    epochs: Any = log.rate("train.epochs")
    length = f"train.steps={int(2 * steps)}" if steps else f"train.epochs={int(2 * epochs)}" if epochs else ""
    return f"resume={log.directory} {length or 'train.steps=N'}"
