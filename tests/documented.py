"""The commands that README and docs show in blocks, each with what a reader sees beside it."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
COMMAND = re.compile(
    r"(?P<prompt>\$ )?(?P<text>(?:[A-Z_]+=\S+ |srun )*(?:gan-[a-z]+|torchrun|python|pytest|make|tensorboard) .*?)"
    r"(?:\s+# (?P<comment>.*))?"
)


@dataclass(frozen=True)
class Command:
    """A command of a block, with lines that it goes on over joined."""

    page: str
    text: str
    comment: str  # behind it
    around: str  # the paragraphs before and after its block
    answer: str  # what the page shows below it, where it stands behind a `$`

    def __str__(self) -> str:
        return f"{self.page}: {self.text}"

    @property
    def words(self) -> list[str]:
        """As a shell splits it."""
        return shlex.split(self.text)


def commands(page: str) -> Iterator[Command]:
    """All commands in the indented and fenced blocks of a page, in their order."""
    parts = _parts((ROOT / page).read_text())
    for number, (is_block, part) in enumerate(parts):
        if is_block:
            beside = (*parts[max(number - 1, 0) : number], *parts[number + 1 : number + 2])
            around = [text for is_code, text in beside if not is_code]
            lines = re.sub(r"\\\n\s*", "", part).splitlines()
            for place, line in enumerate(lines):
                if typed := COMMAND.fullmatch(line.strip()):
                    answer = " ".join(" ".join(lines[place + 1 :]).split()) if typed["prompt"] else ""
                    yield Command(page, typed["text"], typed["comment"] or "", "\n".join(around), answer)


def _parts(text: str) -> list[tuple[bool, str]]:
    """Each paragraph and each block of a page: (whether it is a block, its lines)."""
    parts: list[tuple[bool, list[str]]] = []
    fenced = ended = False
    for line in text.splitlines():
        is_fence = line.startswith("```")
        is_block = fenced or is_fence or line.startswith("    ")
        if not line.strip() and not fenced:
            ended = True
            continue
        if ended or not parts or parts[-1][0] != is_block or (is_fence and not fenced):
            parts.append((is_block, []))
        parts[-1][1].append(line)
        ended = fenced and is_fence
        fenced ^= is_fence
    return [(is_block, "\n".join(lines)) for is_block, lines in parts]
