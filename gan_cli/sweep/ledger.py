"""sweep.json: which job of a sweep has which number, so that the same command finds its jobs again."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gan_cli.errors import Refused
from gan_cli.files import write_json

Overrides = tuple[str, ...]
"""What was typed for a job, or what would have been."""


@dataclass(frozen=True)
class Cell:
    """One job: its number, which names its directory, and what was typed for it."""

    number: int
    overrides: Overrides


class Ledger:
    """The jobs of a sweep's directory.

    A job is known by what it was asked to do, in whatever order, and not by its place in a grid: a grid that has grown
    since keeps its jobs, and gives the next numbers to those that are new.

    Attributes:
        command: what was typed last, for a person who wants to go on.
    """

    def __init__(self, path: Path, command: Sequence[str], numbers: Mapping[Overrides, int]) -> None:
        self._path = path
        self.command = list(command)
        self._numbers = {_known_by(overrides): number for overrides, number in numbers.items()}

    @classmethod
    def read(cls, directory: Path) -> "Ledger":
        """That of a directory; an empty one where there is none yet.

        Raises:
            Refused: it is damaged, or jobs lie there that no ledger tells of.
        """
        path = directory / "sweep.json"
        if not path.exists():
            if any(re.fullmatch(r"\d+", job.parent.name) for job in directory.glob("*/status.json")):
                raise Refused(f"{directory} holds runs of which no sweep.json tells: name another directory")
            return cls(path, (), {})
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            numbers = {tuple(job["overrides"]): job["number"] for job in content["jobs"]}
            command = content["command"]
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise Refused(f"{path} is damaged: {error}") from error
        texts = [*command, *(text for overrides in numbers for text in overrides)]
        whole = all(isinstance(number, int) and number >= 0 for number in numbers.values())
        if not (whole and all(isinstance(text, str) for text in texts) and len(set(numbers.values())) == len(numbers)):
            raise Refused(f"{path} is damaged: it holds something else than jobs with a number each")
        return cls(path, command, numbers)

    @property
    def cells(self) -> list[Cell]:
        """All jobs, by number."""
        return sorted((Cell(number, of) for of, number in self._numbers.items()), key=lambda cell: cell.number)

    def number_of(self, overrides: Overrides) -> int | None:
        """The number of a job; None where it is new."""
        return self._numbers.get(_known_by(overrides))

    @property
    def differing(self) -> dict[int, list[str]]:
        """By number, what a job has that not all have, and that is not the search's own."""
        common = set.intersection(*(set(cell.overrides) for cell in self.cells)) if self._numbers else set()
        return {
            cell.number: [text for text in cell.overrides if text not in common and not text.startswith("+search.")]
            for cell in self.cells
        }

    def enter(self, command: Sequence[str], wanted: Sequence[Overrides], numbers: Sequence[int] = ()) -> list[Cell]:
        """The wanted jobs with their numbers, old and new; written down before any of them starts.

        Args:
            numbers: those of the wanted jobs where something else counts them; by default the next ones are given.
        """
        self.command = list(command)
        for position, overrides in enumerate(wanted):
            following = 1 + max(self._numbers.values(), default=-1)
            self._numbers.setdefault(_known_by(overrides), numbers[position] if numbers else following)
        jobs = [{"number": cell.number, "overrides": list(cell.overrides)} for cell in self.cells]
        write_json(self._path, {"command": self.command, "jobs": jobs})
        return [Cell(self._numbers[_known_by(overrides)], overrides) for overrides in wanted]


def _known_by(overrides: Overrides) -> Overrides:
    return tuple(sorted(overrides))
