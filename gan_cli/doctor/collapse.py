"""Mode collapse: good samples of a part of the data only."""

from gan_cli.doctor.guide import guide_of
from gan_cli.doctor.log import Log
from gan_cli.doctor.scale import name_of
from gan_cli.doctor.series import Series, number, percent
from gan_cli.doctor.verdict import Clear, Finding, Unjudged, Verdict

NAME = "mode collapse"
MODES, IN_A_MODE = 0.75, 0.2
"""Share of the modes found, at most; share of the samples that must lie in one before modes are counted."""
CLASSES_KL = 0.69
"""Nats; half of the classes, equally often, are log 2 = 0.693."""
COVERED, PRECISE = 0.05, 0.25
"""Shares of the floors: of recall and of coverage, at most; of precision, before diversity is spoken of."""

_SAYS = "The samples are good as far as they go, and show a part of the data only."


def mode_collapse(log: Log) -> Finding:
    """Every late reading shows variety missing, in samples that are otherwise like the data and get no better."""
    return (
        _of_mixture(log)
        or _of_images(log)
        or Unjudged(NAME, "no metric was logged that counts modes or measures variety")
    )


def _late(log: Log, name: str) -> Series:
    """The last third of a metric, or its last reading."""
    curve = log.metric(name).without_start()
    return curve.last_third if len(curve.last_third) else curve.latest(1)


def _of_mixture(log: Log) -> Finding | None:
    modes, quality = _late(log, "modes"), _late(log, "high_quality")
    if not len(modes) or not len(quality) or not modes.floor:
        return None
    if quality.middle < IN_A_MODE:
        return Unjudged(NAME, f"only {percent(quality.middle)} of the samples lie in a mode: too few to count modes")
    evidence = (
        f"{number(max(modes.values))} of {number(modes.floor)} modes, {percent(quality.middle)} of the samples in one"
    )
    if max(modes.values) > MODES * modes.floor:
        return Clear(NAME, evidence)
    if modes.last > modes.values[0]:
        return Clear(NAME, f"{evidence}; at first {number(modes.values[0])}, at step {modes.steps[0]:,}")
    return _verdict(log, f"{evidence}, since step {modes.steps[0]:,}")


def _of_images(log: Log) -> Finding | None:
    precision, classes = _late(log, "precision"), _late(log, "class_kl")
    recall, coverage = _late(log, "recall"), _late(log, "coverage")
    if not len(precision) or not precision.floor:
        return None
    if precision.middle < PRECISE * precision.floor:
        return Unjudged(
            NAME,
            f"precision {number(precision.middle)}: the samples are not yet enough like the data to speak of variety",
        )
    quality = f"precision {number(precision.middle)} of {number(precision.floor)}"
    few = len(classes) > 0 and min(classes.values) >= CLASSES_KL
    narrow = [curve for curve in (recall, coverage) if len(curve) and curve.floor]
    none = bool(narrow) and all(max(curve.values) <= COVERED * (curve.floor or 0) for curve in narrow)
    shown = [f"class_kl {number(classes.middle)} nats"] if len(classes) else []
    for name, curve in (("recall", recall), ("coverage", coverage)):
        shown += [f"{name} {number(curve.middle)} of {number(curve.floor)}"] if len(curve) and curve.floor else []
    evidence = ", ".join([*shown, quality])
    if not few and not none:
        return Clear(NAME, evidence)
    guide = guide_of(log)
    if guide is not None and guide.improving:
        return Clear(NAME, f"{evidence}; {guide.name} still gets better")
    return _verdict(log, f"{evidence}, since step {precision.steps[0]:,}")


def _verdict(log: Log, evidence: str) -> Verdict:
    return Verdict(NAME, _SAYS, evidence, _advice(log))


def _advice(log: Log) -> str:
    """The first that is not in use: packing, then a relativistic loss with a penalty."""
    if log.setting("model.discriminator.packing") == 1:
        return "model.discriminator.packing=2"
    return "train.unroll=5" if name_of(log.loss) == "RSGAN" else "loss=rsgan penalty=r1r2"
