"""Diverging: numbers that are not numbers, or that have left every sensible size."""

from gan_cli.doctor.log import Log
from gan_cli.doctor.rates import slower
from gan_cli.doctor.scale import name_of
from gan_cli.doctor.series import LEAST, Series, number
from gan_cli.doctor.verdict import Clear, Finding, Unjudged, Verdict

NAME = "diverging"
TOO_LARGE = 1000.0
GREW, FROM = 30.0, 100.0
"""Times the first third's median; and at least so large."""

_RELATIVISTIC = ("RSGAN", "RaSGAN", "RaLSGAN", "RaHinge")


def diverging(log: Log) -> Finding:
    """The run stopped as diverged, values were not finite, or the last third's median size is beyond its bounds.

    Looked at are the losses and logits. Of a relativistic loss the logits' difference instead: it does not notice a
    constant that is added to all of them, which may wander. Unclipped gradients make sizes, not signs, run away.
    """
    if log.state == "diverged":
        reason = (log.reason or "a loss became NaN or infinite").split("\n")[0]
        return Verdict(NAME, "The run stopped because a loss was no number any more.", reason, _advice(log))
    if log.not_finite:
        name, step = min(log.not_finite.items(), key=lambda item: item[1])
        return Verdict(
            NAME, "Some of what was logged is not a number any more.", f"{name} at step {step:,}", _advice(log)
        )
    watched = {name: curve for name, curve in _watched(log).items() if len(curve.last_third) >= LEAST}
    if not watched:
        return Unjudged(NAME, f"fewer than {LEAST} lines of losses in the last third: a smaller log_every")
    sizes = {name: _size(curve.last_third) for name, curve in watched.items()}
    name = max(sizes, key=lambda found: sizes[found])
    for name in sorted(sizes, key=lambda found: -sizes[found]):
        before = _size(watched[name].third(0)) if len(watched[name].third(0)) else sizes[name]
        if sizes[name] >= TOO_LARGE or (sizes[name] >= FROM and sizes[name] >= GREW * before):
            return Verdict(
                NAME,
                "Losses or logits have grown by orders of magnitude.",
                f"the size of {name} was {number(before)} in the first third and is {number(sizes[name])} in the last",
                _advice(log),
            )
    return Clear(NAME, f"the largest size is that of {name}, {number(sizes[name])}")


def _watched(log: Log) -> dict[str, Series]:
    losses = {name: log.mean(name) for name in ("loss/D", "loss/G")}
    real, fake = log.mean("logits/real"), log.mean("logits/fake")
    if name_of(log.loss) not in _RELATIVISTIC:
        return losses | {"logits/real": real, "logits/fake": fake}
    of_fake = dict(zip(fake.steps, fake.values, strict=True))
    pairs = [
        (step, value - of_fake[step]) for step, value in zip(real.steps, real.values, strict=True) if step in of_fake
    ]
    return losses | {"logits/real - logits/fake": Series([step for step, _ in pairs], [apart for _, apart in pairs])}


def _size(curve: Series) -> float:
    return Series(curve.steps, [abs(value) for value in curve.values]).middle


def _advice(log: Log) -> str:
    unpenalized = str(log.setting("penalty._target_")).endswith(".NoPenalty")
    return "penalty=gp" if name_of(log.loss) == "WGAN" and unpenalized else slower(log)
