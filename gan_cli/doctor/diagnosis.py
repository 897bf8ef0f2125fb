"""All rules over one log, and what they say as text."""

from collections.abc import Callable, Sequence

from gan_cli.doctor.collapse import mode_collapse
from gan_cli.doctor.divergence import diverging
from gan_cli.doctor.improvement import still_improving
from gan_cli.doctor.log import Log
from gan_cli.doctor.memory import memorising
from gan_cli.doctor.saturation import discriminator_saturated
from gan_cli.doctor.starvation import generator_starved
from gan_cli.doctor.verdict import Clear, Finding, Unjudged, Verdict

RULES: tuple[Callable[[Log], Finding], ...] = (
    diverging,
    discriminator_saturated,
    generator_starved,
    mode_collapse,
    memorising,
    still_improving,
)
NOTHING = "nothing wrong is seen"


def examine(log: Log) -> list[Finding]:
    """What each rule answers, in the order of `RULES`; of a run that diverges the other rules say nothing."""
    first = diverging(log)
    return [first] if isinstance(first, Verdict) else [first, *(rule(log) for rule in RULES[1:])]


def diagnose(log: Log) -> list[Verdict]:
    """What is seen."""
    return [finding for finding in examine(log) if isinstance(finding, Verdict)]


def is_alarming(findings: Sequence[Finding]) -> bool:
    """Whether something wrong is seen."""
    return any(isinstance(finding, Verdict) and finding.alarm for finding in findings)


def summary_line(findings: Sequence[Finding]) -> str:
    """One line for the end of a run: every verdict's name with what to try, or that nothing wrong is seen."""
    verdicts = [finding for finding in findings if isinstance(finding, Verdict)]
    judged = [finding.name for finding in findings if isinstance(finding, Clear)]
    told = [f"{verdict.name} ({verdict.evidence}; try {verdict.advice})" for verdict in verdicts]
    if not is_alarming(findings):
        told.insert(0, f"{NOTHING} of {', '.join(judged)}" if judged else "nothing could be judged")
    return "; ".join(told)


def report(log: Log, findings: Sequence[Finding]) -> list[str]:
    """The whole answer, a line each: verdicts, what was looked at, what could not be judged."""
    verdicts = [finding for finding in findings if isinstance(finding, Verdict)]
    clear = [finding for finding in findings if isinstance(finding, Clear)]
    lines = [line for verdict in verdicts for line in _told(verdict)]
    if clear and not is_alarming(findings):
        lines.append(f"{NOTHING}.")
    if clear:
        lines += ["looked at:", *(f"  {finding.name}: {finding.evidence}" for finding in clear)]
    unjudged = [finding for finding in findings if isinstance(finding, Unjudged)]
    if unjudged:
        lines += ["could not be judged:", *(f"  {finding.name}: {finding.why}" for finding in unjudged)]
    if log.damaged:
        lines.append(f"{log.damaged} damaged lines of metrics.jsonl were left out")
    return lines


def _told(verdict: Verdict) -> list[str]:
    advice = [f"  try: {verdict.advice}"] if verdict.advice else []
    return [f"{verdict.name}: {verdict.says}", f"  evidence: {verdict.evidence}", *advice]
