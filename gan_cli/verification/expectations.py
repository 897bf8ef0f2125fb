"""What a text leads one to expect of its preset: a table beside the preset, `conf/experiment/NAME.toml`.

Torch is not imported here: a mistake in a table or a name is told at once.
"""

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from gan_cli.bounds import bounded, check_bounds
from gan_cli.errors import Refused
from gan_cli.parse import typed_as
from gan_cli.suggest import did_you_mean


@dataclass
class Figure:
    """One number, as the text has it and as it is to come out.

    Attributes:
        name: as `measured.Measured` knows it, such as "loss/D".
        steps: first and last of the window over which logged lines are averaged; [1, 1] is the first update. Without
            it, the last line counts.
        printed: what the text prints, for a person to compare.
        expected, tolerance: the median over the seeds must be no further from the expected value. Without them a figure
            is for information: it belongs to data or a machine that we do not have, or the text does not give it.
        why: where the expectation comes from and why the tolerance is what it is.
    """

    name: str = bounded()
    why: str = bounded()
    steps: list[int] | None = bounded(None, ge=0, length=2)
    printed: str | None = None
    expected: float | None = None
    tolerance: float | None = bounded(None, ge=0)


@dataclass
class Form:
    """How a preset is trained to be checked.

    Attributes:
        seeds: a run each.
        says: what is shortened, and how long it takes.
        overrides: laid over the preset, below what is typed.
        figures: that this form shows, beside those of every form.
    """

    seeds: list[int] = bounded(ge=0)
    says: str = bounded()
    overrides: list[str] = field(default_factory=list)
    figures: list[Figure] = field(default_factory=list)


@dataclass
class Expectations:
    """A preset's table.

    Attributes:
        source: the text, and the section of it.
        figures: of either form.
    """

    source: str = bounded()
    full: Form = bounded()
    quick: Form = bounded()
    figures: list[Figure] = field(default_factory=list)

    def form(self, quick: bool) -> Form:
        """How to train, with all the figures that are to be looked at."""
        chosen = self.quick if quick else self.full
        return Form(chosen.seeds, chosen.says, chosen.overrides, [*self.figures, *chosen.figures])


def expectations(name: str, directories: Iterable[Path]) -> Expectations:
    """The table of a preset, from the first of the configuration directories that has one.

    Raises:
        Refused: there is none, or it is damaged.
    """
    folders = [directory / "experiment" for directory in directories]
    for folder in folders:
        path = folder / f"{name}.toml"
        if path.is_file():
            return _read(path)
    known = sorted({path.stem for folder in folders for path in folder.glob("*.toml")})
    raise Refused(
        f"experiment={name}: no table of figures stands beside this preset{did_you_mean(name, known)}; "
        f"there are tables for {', '.join(known)}"
    )


def _read(path: Path) -> Expectations:
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise Refused(f"{path} cannot be read as TOML: {error}") from error
    found: Expectations = typed_as(Expectations, content, path.name)
    for figure in [*found.figures, *found.full.figures, *found.quick.figures]:
        check_bounds(figure, f"{path.name}: {figure.name}: ")
        if (figure.expected is None) != (figure.tolerance is None):
            raise Refused(f"{path.name}: {figure.name} has one of expected and tolerance and needs both or none")
    return found
