"""The nearest valid name to a misspelt one."""

import difflib
from collections.abc import Sequence


def nearest(word: str, known: Sequence[str], count: int = 3) -> list[str]:
    """Up to `count` of the known names that resemble `word`, best first."""
    return difflib.get_close_matches(word, known, count, 0.5)


def did_you_mean(word: str, known: Sequence[str]) -> str:
    """A clause for the end of an error message: the nearest names, or all of a few where none is near."""
    near = nearest(word, known)
    if near:
        return f"; did you mean {' or '.join(near)}?"
    return f"; known: {', '.join(known)}" if 0 < len(known) <= 16 else ""
