"""Discriminator saturated: it has won, and what it would teach has stopped changing."""

from gan_cli.doctor.guide import guide_of
from gan_cli.doctor.log import Log
from gan_cli.doctor.rates import weaker_discriminator
from gan_cli.doctor.scale import name_of, scale_of
from gan_cli.doctor.series import LEAST, number, percent
from gan_cli.doctor.verdict import Clear, Finding, Unjudged, Verdict

NAME = "discriminator saturated"
MIDDLE, ANY = 0.05, 0.15
"""Shares of loss/D's scale: the median of the last third lies below the first, each of its lines below the second."""


def discriminator_saturated(log: Log) -> Finding:
    """loss/D is near its infimum all through the last third, and the samples are not getting better all the same."""
    loss = log.loss
    scale = scale_of(loss)
    if scale is None:
        what = "a Wasserstein loss has no infimum" if name_of(loss) == "WGAN" else "the scale of its loss is not known"
        return Unjudged(NAME, what)
    last = log.mean("loss/D").last_third
    if len(last) < LEAST:
        return Unjudged(NAME, f"{len(last)} lines of losses in the last third, {LEAST} are needed: a smaller log_every")
    middle, most = scale.share(last.middle), max(map(scale.share, last.values))
    evidence = (
        f"loss/D {number(last.middle)} since step {last.steps[0]:,}, {percent(middle)} of the way from its least "
        f"value, {number(scale.least)}, to {number(scale.blind)}, where real and fake look the same"
    )
    if middle >= MIDDLE or most >= ANY:
        return Clear(NAME, evidence)
    guide = guide_of(log)
    if guide is not None and guide.improving:
        return Clear(NAME, f"{evidence}; {guide.name} gets better all the same")
    real, fake = log.mean("logits/real").last_third, log.mean("logits/fake").last_third
    if len(real) and len(fake):
        evidence += f"; logits {number(real.middle)} for real samples, {number(fake.middle)} for fakes"
    return Verdict(
        NAME,
        "The discriminator tells every fake from every real sample, so that the generator hardly hears what to change.",
        evidence,
        weaker_discriminator(log),
    )
