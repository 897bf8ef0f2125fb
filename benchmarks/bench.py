"""Everything about speed in one table.

make bench
python benchmarks/bench.py --rounds 15 --out benchmarks/results/mine.md
"""

import argparse
import sys
from datetime import date
from pathlib import Path

import startup
import step
from table import machine, table

import gan_cli


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--out", type=Path, help="a file that the table is added to")
    options = parser.parse_args()
    command = f"python benchmarks/bench.py --rounds {options.rounds}"
    head = f"## gan-cli {gan_cli.__version__}, {date.today()}\n\n`{command}` on {machine()}.\n"
    parts = [
        head,
        table("A training step beside the loop of its text", step.rows(options.rounds)),
        table("Start-up beside `import torch`", startup.rows(max(3, options.rounds // 2))),
    ]
    text = "\n".join(parts)
    sys.stdout.write(text)
    if options.out is not None:
        with options.out.open("a", encoding="utf-8") as file:
            file.write(text + "\n")


if __name__ == "__main__":
    main()
