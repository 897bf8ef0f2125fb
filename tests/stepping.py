"""Runs taken some steps further, and what a checkpoint of one says."""

from pathlib import Path

from gan_cli import checkpoint
from gan_cli.checkpoint import Checkpoint
from gan_cli.run import Run


def advanced(run: Run, steps: int) -> Run:
    for _ in range(steps):
        run.advance()
    return run


def reloaded(run: Run, path: Path) -> Checkpoint:
    checkpoint.save(path, run.state())
    return checkpoint.load(path)
