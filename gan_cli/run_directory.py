"""A run's directory: a new one for each run, locked while it is in use, and where each file lies in it."""

import contextlib
import fcntl
import json
import os
import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import IO

from gan_cli.errors import Diverged, GanCliError, Pruned, Refused
from gan_cli.files import write_json


def create(parent: str) -> str:
    """Make PARENT/DATE/TIME, with a number behind it where another run took that name in the same second.

    Creating it is what claims it: of two processes that ask at once, one gets the name.

    Raises:
        Refused: it cannot be made.
    """
    now = datetime.now()
    base = Path(parent) / f"{now:%Y-%m-%d}"
    try:
        base.mkdir(parents=True, exist_ok=True)
        for attempt in range(1000):
            path = base / (f"{now:%H-%M-%S}" + (f"-{attempt}" if attempt else ""))
            with contextlib.suppress(FileExistsError):
                path.mkdir()
                return str(path)
    except OSError as error:
        raise Refused(
            f"cannot make a run directory in {base.absolute()}: {error.strerror}; set hydra.run.dir=PATH"
        ) from error
    raise Refused(f"{base} holds a thousand runs of this second")


def of_checkpoint(path: Path) -> Path:
    """The run directory that a path given to `resume` means: itself, or that of a checkpoint in it.

    Raises:
        Refused: it is neither.
    """
    directory = path.parent.parent if path.is_file() else path
    if not (directory / "checkpoints").is_dir():
        raise Refused(f"resume={path}: not a run directory, nor a checkpoint in one")
    return directory


class RunDirectory:
    """Paths in a run directory, and its status."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.samples = path / "samples"
        self.checkpoints = path / "checkpoints"
        self.evaluation = path / "evaluation"
        self.tensorboard = path / "tensorboard"
        self.config = path / "config.yaml"
        self.metrics = path / "metrics.jsonl"
        self.summary = path / "summary.json"
        self.losses = path / "losses.png"
        self.status = path / "status.json"
        self._lock = path / ".lock"

    def sample(self, step: int) -> Path:
        """The grid of a step."""
        return self.samples / f"step_{step:08d}.png"

    def checkpoint(self, step: int) -> Path:
        """The numbered checkpoint of a step."""
        return self.checkpoints / f"step_{step:08d}.safetensors"

    @property
    def last(self) -> Path:
        """The newest checkpoint."""
        return self.checkpoints / "last.safetensors"

    @property
    def best(self) -> Path:
        """The checkpoint with the best evaluation."""
        return self.checkpoints / "best.safetensors"

    def metric_lines(self) -> list[str]:
        """The lines of metrics.jsonl; none where there is no such file yet."""
        return self.metrics.read_text(encoding="utf-8").splitlines() if self.metrics.exists() else []

    def state(self) -> str | None:
        """How the run stands; None where there is none, or where that cannot be read."""
        try:
            found = json.loads(self.status.read_text(encoding="utf-8"))["state"]
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return None
        return found if isinstance(found, str) else None

    @property
    def holder(self) -> int | None:
        """The process that is using the directory; None where none is."""
        try:
            with open(self._lock, encoding="utf-8") as lock:
                try:
                    fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
                except OSError:
                    return int(lock.read())
        except (OSError, ValueError):
            pass
        return None

    def write_status(self, state: str, step: int, reason: str | None = None) -> None:
        """Record how the run stands: running, finished, interrupted, diverged, pruned or failed; of a sweep's job
        also refused."""
        content = {"state": state, "step": step, "reason": reason}
        try:
            write_json(self.status, content)
        except OSError:
            if not self.status.exists():
                raise
            # A full disk still has the room that the old status takes.
            with open(self.status, "r+", encoding="utf-8") as file:
                file.write(json.dumps(content) + "\n")
                file.truncate()

    @contextlib.contextmanager
    def claimed(self, resuming: bool) -> Iterator[None]:
        """Hold the directory for this process alone.

        Raises:
            Refused: another process uses it, or it holds a run already and this is not to be resumed.
        """
        with self._locked():
            if self.status.exists() and not resuming:
                raise Refused(f"{self.path} holds a run already: resume={self.path} goes on with it")
            try:
                yield
            finally:
                self._lock.unlink(missing_ok=True)

    def check_unused(self) -> None:
        """Raise `Refused` if a process is using the directory."""
        if self._lock.exists():
            with self._locked():
                pass

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        with self._open_lock() as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                lock.seek(0)
                raise Refused(f"{self.path} is in use by process {lock.read().strip()}") from error
            if not self._lock.exists() or not os.path.samestat(os.fstat(lock.fileno()), self._lock.stat()):
                raise Refused(f"{self.path} was in use until this moment: try again")  # locked a file that was removed
            lock.truncate(0)
            lock.write(f"{os.getpid()}\n")
            lock.flush()
            yield

    def _open_lock(self) -> IO[str]:
        try:
            return open(self._lock, "a+")
        except OSError as error:
            raise Refused(f"cannot write {self._lock}: {error.strerror}; set hydra.run.dir=PATH") from error

    @contextlib.contextmanager
    def discarded_if_refused(self) -> Iterator[None]:
        """Leave nothing of a run that is refused or interrupted before it starts."""
        try:
            yield
        except (Refused, KeyboardInterrupt):
            self.discard()
            raise

    def discard(self) -> None:
        """Remove what was made before a run could start, and the directories that are empty then.

        Of the directories above it only those that `create` makes: others are the user's, even empty ones.
        """
        if self.status.exists() or self.checkpoints.exists():
            return  # a run is there
        for name in (".lock", "train.log", ".hydra/config.yaml", ".hydra/hydra.yaml", ".hydra/overrides.yaml"):
            (self.path / name).unlink(missing_ok=True)
        dated = re.fullmatch(r"\d{4}-\d{2}-\d{2}", self.path.parent.name)
        for empty in (self.path / ".hydra", self.path, *(list(self.path.parents)[:2] if dated else ())):
            try:
                empty.rmdir()
            except OSError:
                return


def reason_of(error: BaseException) -> str:
    """Why a run ended so, in one text: what was foreseen speaks for itself, the rest has its type before it."""
    text, name = str(error), type(error).__name__
    if isinstance(error, GanCliError | KeyboardInterrupt):
        return text or name
    return f"{name}: {text}" if text else name


def state_of(error: BaseException) -> str:
    """The status that an exception leaves behind."""
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    if isinstance(error, Pruned):
        return "pruned"
    return "diverged" if isinstance(error, Diverged) else "failed"
