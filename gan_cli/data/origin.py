"""Where data come from, and what their licence is: told with a model that has learned them."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Origin:
    """Stands as ORIGIN in the module of a data set's `load`.

    Attributes:
        name: what the data are called.
        by: who made them; "" where that is not known.
        licence: of the data, or what is known of it: a sentence.
        source: a paper or page; "" where there is none.
    """

    name: str
    by: str
    licence: str
    source: str = ""


UNKNOWN = Origin("data that gan-cli does not know", "", "not known to gan-cli: yours to name")
"""Of data from a class of the user's own, unless its module has an ORIGIN too."""
