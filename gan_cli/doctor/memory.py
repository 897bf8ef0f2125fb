"""Memorising: samples that are copies of training images."""

from gan_cli.doctor.log import Log
from gan_cli.doctor.series import number, percent
from gan_cli.doctor.verdict import Clear, Finding, Unjudged, Verdict

NAME = "memorising"
COPIED, TIMES = 0.05, 10.0
"""Share of samples that are copies, at least, and times what held-out real images score."""
LEAST_COPIES = 3
"""Of few samples a share is no evidence. Three of 50 where one in 200 is expected: p = 0.002."""
NEAR = 0.5
"""Where `copied` is not logged: the distance to the nearest training image, as a share of that of real images."""


def memorising(log: Log) -> Finding:
    """More samples lie on top of a training image than real images do that were not trained with."""
    copied = log.final("copied")
    if len(copied):
        floor = copied.floor or 0.0
        evidence = (
            f"{percent(copied.last)} of the samples are nearer to a training image than nearly all real images are"
        )
        if copied.floor is not None:
            evidence += f"; of held-out real images {percent(floor)} are"
        enough = copied.count is None or copied.last * copied.count > LEAST_COPIES - 0.5
        seen = enough and copied.last >= max(COPIED, TIMES * floor)
        return _verdict(log, evidence) if seen else Clear(NAME, evidence)
    distance = log.final("nn_distance")
    if not len(distance) or not distance.floor:
        return Unjudged(NAME, "no final evaluation has compared samples with training images (copied, nn_distance)")
    evidence = (
        f"the nearest training image is {number(distance.last)} away, {number(distance.floor)} from real images that "
        "were not trained with"
    )
    return _verdict(log, evidence) if distance.last <= NEAR * distance.floor else Clear(NAME, evidence)


def _verdict(log: Log, evidence: str) -> Verdict:
    limited = log.rate("data.limit") is not None
    says = "The generator reproduces training images instead of making new ones."
    return Verdict(NAME, says, evidence, "data.limit=null" if limited else "augment=ada")
