"""Generator starved: its gradient has vanished, it hears nothing of how to improve, or it is left further behind."""

import math

from gan_cli.doctor.guide import Guide, guide_of, poor
from gan_cli.doctor.log import Log
from gan_cli.doctor.rates import weaker_discriminator
from gan_cli.doctor.scale import name_of, scale_of
from gan_cli.doctor.series import LEAST, number
from gan_cli.doctor.verdict import Clear, Finding, Unjudged, Verdict

NAME = "generator starved"
VANISHED = 0.05
"""Of `minimax`: bound on the mean gradient at the logits; an undecided discriminator leaves 0.5."""
BEHIND, RISING = 4.0, 1.25
"""Times what an undecided discriminator would make of loss/G; times what loss/G was in the first third."""
BLIND, APART = 0.02, 0.02
"""How far loss/D is from where real and fake look the same, as a share of its scale; how far apart the logits are."""

_UNDECIDED = {"BCE": math.log(2), "RSGAN": math.log(2), "RaSGAN": 2 * math.log(2), "RaLSGAN": 2.0, "RaHinge": 2.0}


def generator_starved(log: Log) -> Finding:
    """Three ways to starve; the last two only where metrics say that the samples do not get better.

    With `minimax` |∂G/∂D(f)| = σ(D(f)) <= -log(1 - σ(D(f))), so that -loss/G bounds the mean gradient at the logits.
    """
    loss = log.mean("loss/G").last_third
    if len(loss) < LEAST:
        return Unjudged(NAME, f"{len(loss)} lines of losses in the last third, {LEAST} are needed: a smaller log_every")
    kind = name_of(log.loss)
    if kind == "Minimax" and max(abs(value) for value in loss.values) < VANISHED:
        return Verdict(
            NAME,
            "With the minimax loss the generator's gradient has vanished, because the discriminator is sure of every "
            "fake.",
            f"loss/G {number(loss.middle)} since step {loss.steps[0]:,}: the mean gradient at the logits is at most "
            f"{number(-loss.middle)}, where an undecided discriminator leaves 0.5",
            "loss=bce",
        )
    guide = guide_of(log)
    if guide is None or guide.better_than_at_first is None:
        if kind == "Minimax":
            return Clear(NAME, f"loss/G {number(loss.middle)}")
        return Unjudged(NAME, "no metric says whether the samples get better")
    evidence = f"loss/G {number(loss.middle)}, {_course(guide)}"
    if guide.improving or guide.better_than_at_first:
        return Clear(NAME, evidence)
    return _left_behind(log, kind, guide) or _unheard(log, guide) or Clear(NAME, evidence)


def _left_behind(log: Log, kind: str, guide: Guide) -> Verdict | None:
    first, last, undecided = log.mean("loss/G").third(0), log.mean("loss/G").last_third, _UNDECIDED.get(kind)
    if undecided is None or not len(first) or last.middle < BEHIND * undecided or last.middle < RISING * first.middle:
        return None
    return Verdict(
        NAME,
        "The generator's loss grows while its samples do not get better: it is being left behind.",
        f"loss/G went from {number(first.middle)} to {number(last.middle)}, {number(undecided)} being that of an "
        f"undecided discriminator; {_course(guide)}",
        weaker_discriminator(log),
    )


def _unheard(log: Log, guide: Guide) -> Verdict | None:
    scale = scale_of(log.loss)
    real, fake = log.mean("logits/real").last_third, log.mean("logits/fake").last_third
    far = poor(log)
    if scale is None or far is None or min(len(real), len(fake)) < LEAST:
        return None
    loss, apart = log.mean("loss/D").last_third, abs(real.middle - fake.middle)
    if not len(loss) or abs(scale.share(loss.middle) - 1) > BLIND or apart > APART:
        return None
    return Verdict(
        NAME,
        "The discriminator gives real samples and poor fakes the same logits: the generator hears nothing.",
        f"logits {number(real.middle)} for real samples, {number(fake.middle)} for fakes; loss/D "
        f"{number(loss.middle)}, {number(scale.blind)} being that of equal logits; {far}; {_course(guide)}",
        "model.discriminator.widths=[128,128]" if _narrow(log) else "train.d_steps=5",
    )


def _course(guide: Guide) -> str:
    """What became of the guiding metric, from the first third to the last."""
    values = dict(zip(guide.curve.steps, guide.curve.values, strict=True))
    first, last = guide.curve.third(0), guide.curve.last_third
    if not len(first) or not len(last):
        return f"{guide.name} {number(values[guide.curve.steps[-1]])}"
    return f"{guide.name} {number(first.middle)} in the first third, {number(last.middle)} in the last"


def _narrow(log: Log) -> bool:
    widths = log.setting("model.discriminator.widths")
    return isinstance(widths, list) and all(isinstance(width, int) and width < 64 for width in widths)
