"""What a command shows on a terminal, as PNG pictures taken while it runs.

    python docs/record_terminal.py --at 5 20 60 --out frames -- gan-train model=dcgan

The command runs in tmux, which is the terminal; DejaVu Sans Mono (Debian: fonts-dejavu-core) draws the characters,
but for half blocks, which are rectangles.
"""

import argparse
import re
import shlex
import subprocess
import time
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

FONT = "/usr/share/fonts/truetype/dejavu/DejaVuSansMono.ttf"
WIDTH, HEIGHT = 10, 20  # pixels of a character
PAPER, INK = (16, 16, 20), (216, 216, 216)
PALETTE = [
    *((0, 0, 0), (205, 49, 49), (13, 188, 121), (229, 229, 16), (36, 114, 200), (188, 63, 188), (17, 168, 205)),
    *((229, 229, 229), (102, 102, 102), (241, 76, 76), (35, 209, 139), (245, 245, 67), (59, 142, 234)),
    *((214, 112, 214), (41, 184, 219), (255, 255, 255)),
    *((r, g, b) for r in (0, 95, 135, 175, 215, 255) for g in (0, 95, 135, 175, 215, 255) for b in
      (0, 95, 135, 175, 215, 255)),
    *((8 + 10 * grey,) * 3 for grey in range(24)),
]  # fmt: skip

RGB = tuple[int, int, int]


def colors(codes: list[int], before: tuple[RGB, RGB]) -> tuple[RGB, RGB]:
    """Ink and paper after the numbers of one SGR sequence."""
    ink, paper = before
    rest = iter(codes or [0])
    for code in rest:
        if code in (38, 48):
            color = (next(rest), next(rest), next(rest)) if next(rest) == 2 else PALETTE[next(rest)]
            ink, paper = (color, paper) if code == 38 else (ink, color)
        elif code == 0:
            ink, paper = INK, PAPER
        elif code in (39, 49):
            ink, paper = (INK, paper) if code == 39 else (ink, PAPER)
        elif code % 60 // 10 in (3, 4) and code % 10 < 8:
            color = PALETTE[code % 10 + 8 * (code >= 90)]
            ink, paper = (color, paper) if code % 60 // 10 == 3 else (ink, color)
    return ink, paper


def picture(screen: str, columns: int, lines: int) -> Image.Image:
    """A screen as `tmux capture-pane -e` tells it."""
    image = Image.new("RGB", (columns * WIDTH, lines * HEIGHT), PAPER)
    drawing, font = ImageDraw.Draw(image), ImageFont.truetype(FONT, 16)
    now = INK, PAPER
    for row, line in enumerate(screen.split("\n")[:lines]):
        column = 0
        for sequence, character in re.findall(r"\x1b\[([\d;]*)m|(.)", line):
            if not character:
                now = colors([int(code) for code in sequence.split(";") if code], now)
                continue
            left, top = column * WIDTH, row * HEIGHT
            drawing.rectangle((left, top, left + WIDTH - 1, top + HEIGHT - 1), now[1])
            if character in "▀▄":
                half = top + (character == "▄") * HEIGHT // 2
                drawing.rectangle((left, half, left + WIDTH - 1, half + HEIGHT // 2 - 1), now[0])
            else:
                drawing.text((left, top), character, now[0], font)
            column += 1
    return image


def tmux(name: str, *arguments: str) -> str:
    return subprocess.run(["tmux", "-L", name, *arguments], check=True, capture_output=True, text=True).stdout


def record(command: list[str], at: list[float], out: Path, size: tuple[int, int]) -> None:
    """Run a command on a terminal of (columns, lines), and write `out`/SECONDS.png at these times."""
    out.mkdir(parents=True, exist_ok=True)
    name, (columns, lines) = "record_terminal", size
    line = f"COLORTERM=truecolor {shlex.join(command)}; sleep 1000"
    began = time.monotonic()
    tmux(name, "-f", "/dev/null", "new-session", "-d", "-x", str(columns), "-y", str(lines), "sh", "-c", line)
    try:
        tmux(name, "set", "-g", "status", "off")
        for seconds in sorted(at):
            time.sleep(max(0.0, began + seconds - time.monotonic()))
            screen = tmux(name, "capture-pane", "-e", "-p")
            picture(screen, columns, lines).save(out / f"{seconds:g}.png")
    finally:
        tmux(name, "kill-server")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--at", type=float, nargs="+", default=[15, 60, 150], help="seconds")
    parser.add_argument("--out", type=Path, default=Path("frames"))
    parser.add_argument("--size", type=int, nargs=2, default=(100, 32), help="columns and lines")
    parser.add_argument("command", nargs=argparse.REMAINDER, help="behind --")
    typed = parser.parse_args()
    record([part for part in typed.command if part != "--"], typed.at, typed.out, tuple(typed.size))
