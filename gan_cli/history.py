"""Taking a run directory back to a checkpoint's step, so that what follows is one story without repetitions."""

import json
import logging
from pathlib import Path

from gan_cli import checkpoint
from gan_cli.checkpoint import Checkpoint
from gan_cli.errors import Refused
from gan_cli.files import remove_temporaries, replacing
from gan_cli.run_directory import RunDirectory
from gan_cli.schema import TrainConf

log = logging.getLogger("gan_cli.train")


def find(path: Path) -> Checkpoint:
    """The checkpoint to go on from: the file itself, or a run directory's newest that is whole.

    Raises:
        Refused: there is none; a file that is named itself and is damaged is never replaced by another.
    """
    if not path.is_dir():
        return checkpoint.load(path)
    last = checkpoint.resolve(path)
    try:
        return checkpoint.load(last)
    except Refused as damaged:
        for older in sorted(last.parent.glob("step_*.safetensors"), reverse=True):
            try:
                found = checkpoint.load(older)
            except Refused:
                continue
            log.warning("%s; going on from step %d in %s", damaged, found.step, older)
            return found
        raise


def rewind(directory: RunDirectory, step: int, train: TrainConf) -> None:
    """Remove what an uninterrupted run would not have at `step`, and the temporaries of a killed process.

    That is all that lies after it, and what a run that ended there wrote although no cadence asked for it.
    """
    remove_temporaries(directory.path)
    logged = train.log_every > 0 and step > 0 and (step % train.log_every == 0 or step == 1)
    pictured = train.sample_every > 0 and step > 0 and step % train.sample_every == 0
    _keep_lines(directory.metrics, step, logged)
    _remove_numbered(directory.samples, end=step + 1 if pictured else step)
    _remove_numbered(directory.checkpoints, end=step + 1)
    for path in (
        directory.summary,
        directory.losses,
        directory.samples / "progress.webp",
        *directory.evaluation.glob("*.png"),
    ):
        path.unlink(missing_ok=True)
    if directory.best.exists() and not _is_of_the_past(directory.best, step):
        directory.best.unlink()


def _is_of_the_past(path: Path, step: int) -> bool:
    try:
        return checkpoint.load(path).step <= step
    except Refused:  # damaged
        return False


def _remove_numbered(folder: Path, end: int) -> None:
    for path in folder.glob("step_*"):
        number = path.stem.removeprefix("step_")
        if number.isdecimal() and int(number) >= end:
            path.unlink()


def _keep_lines(path: Path, step: int, logged: bool) -> None:
    """Keep the lines before `step`, and those that belong to it: the means if it is `logged`; the metrics, which come
    in their turn alone, whatever the turn is from now on; not the final ones. One that was cut off in writing goes too.
    """
    if not path.exists():
        return
    kept = []
    for line in path.read_bytes().splitlines(keepends=True):
        try:
            content = json.loads(line)
        except (ValueError, RecursionError):
            continue  # cut off, or not ours
        of = content.get("step") if isinstance(content, dict) else None
        measured = of is not None and any(name.startswith("metrics/") for name in content)
        if of is None or any(name.startswith("final/") for name in content):
            continue
        end = step + 1 if measured or logged else step
        if line.endswith(b"\n") and isinstance(of, int) and of < end:
            kept.append(line)
    with replacing(path) as file:
        file.write(b"".join(kept))
