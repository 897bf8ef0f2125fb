"""What a rule can answer: it sees something, it sees nothing, or it could not look."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Verdict:
    """Something is seen.

    Attributes:
        name: which rule, in the words of docs/doctor.md: "mode collapse".
        says: what it means, in a plain sentence.
        evidence: the numbers it rests on.
        advice: overrides to try, as they are typed; "" where there is none.
        alarm: whether something is wrong; a run that is still improving has nothing wrong with it.
    """

    name: str
    says: str
    evidence: str
    advice: str
    alarm: bool = True


@dataclass(frozen=True)
class Clear:
    """Nothing is seen, and this is what was looked at."""

    name: str
    evidence: str


@dataclass(frozen=True)
class Unjudged:
    """The rule could not look, and why not."""

    name: str
    why: str


Finding = Verdict | Clear | Unjudged
