"""When the disk fails, the checkpoint before is whole, nothing lies about, and the user is told what and where."""

import errno
import io
import json
import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from conftest import TINY, Result

from gan_cli import checkpoint, files, run_directory
from gan_cli.build import build
from gan_cli.checkpoint import Checkpoint
from gan_cli.commands.sample import sample
from gan_cli.errors import Refused, RunFailed
from gan_cli.run import Run
from gan_cli.run_directory import RunDirectory
from gan_cli.schema import Config

Cli = Callable[..., Result]
Compose = Callable[..., Config]

ERRORS = [errno.ENOSPC, errno.EIO, errno.EACCES]
SHORT = (*TINY, "train.steps=6", "train.sample_every=0", "train.log_every=3")


@dataclass
class Disk:
    """What `gan_cli` does to the disk while `watched`, and which of it fails.

    Attributes:
        calls: what was called.
        files: for each call, the file that was opened last.
        fails: whether the call of this number fails.
    """

    calls: list[str] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    watched: bool = False
    fails: Callable[[int], bool] = lambda number: False
    error: int = errno.ENOSPC

    def reached(self, call: str, on: Any = None) -> None:
        """Called before each; a path in the error where the system gives one."""
        if not self.watched:
            return
        self.calls.append(call)
        self.files.append(str(on) if call == "open" else self.files[-1] if self.files else "")
        if self.fails(len(self.calls) - 1):
            text = os.strerror(self.error)
            raise OSError(self.error, text, str(on)) if isinstance(on, str | Path) else OSError(self.error, text)

    @contextmanager
    def watching(self) -> Iterator[None]:
        self.watched, before = True, self.watched
        try:
            yield
        finally:
            self.watched = before


class RawFile(io.FileIO):
    """A file whose writes may fail half-way."""

    disk: Disk

    def write(self, content: Any) -> int:
        try:
            self.disk.reached("write")
        except OSError:
            super().write(bytes(content)[: len(content) // 2])
            raise
        return super().write(content) or 0


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    """Every way in which `gan_cli.files` reaches the disk, wrapped."""
    disk = Disk()

    def opened(path: Path, mode: str) -> io.BufferedWriter:
        assert mode == "wb"
        disk.reached("open", path)
        raw = RawFile(path, "w")
        raw.disk = disk
        return io.BufferedWriter(raw)

    def wrapped(name: str) -> Callable[..., Any]:
        real = getattr(os, name)

        def call(*arguments: Any, **options: Any) -> Any:
            disk.reached(name, arguments[0])
            return real(*arguments, **options)

        return call

    monkeypatch.setattr(files, "open", opened, raising=False)
    for name in ("fsync", "replace", "link"):
        monkeypatch.setattr(os, name, wrapped(name))
    return disk


def temporaries(path: Path) -> list[Path]:
    return [found for found in path.rglob("*") if found.name.endswith(".tmp")]


def same(one: Checkpoint, other: Checkpoint) -> bool:
    return one.step == other.step and all((one.tensors[name] == other.tensors[name]).all() for name in other.tensors)


# One save


@pytest.fixture
def run(compose: Compose, tmp_path: Path) -> Run:
    """A run at step 3, whose state of step 2 is saved."""
    run = build(compose(*TINY), RunDirectory(tmp_path / "run"))
    run.advance()
    run.advance()
    run.save()
    run.advance()
    return run


def saves(run: Run, disk: Disk, error: int, fails: Callable[[int], bool]) -> tuple[Exception | None, Checkpoint]:
    """Save in a copy of the run's directory with failing calls; what was raised, and what can be read afterwards."""
    before = run.directory
    copied = before.path.with_name("copied")
    shutil.rmtree(copied, ignore_errors=True)
    shutil.copytree(before.path, copied)
    run.directory = RunDirectory(copied)
    disk.calls, disk.error, disk.fails = [], error, fails
    raised = None
    try:
        with disk.watching():
            run.save()
    except (OSError, RunFailed) as failed:
        raised = failed
    finally:
        run.directory = before
    assert temporaries(copied) == []
    for path in copied.rglob("*.safetensors"):
        checkpoint.load(path)  # each is whole
    return raised, checkpoint.load(copied / "checkpoints" / "last.safetensors")


def test_calls_of_a_save_are_the_expected_ones(run: Run, disk: Disk) -> None:
    # What "every call" below means: two names for one file, each put there by a rename that is synced.
    raised, _ = saves(run, disk, 0, lambda number: False)
    assert raised is None
    assert disk.calls == ["open", "write", "fsync", "replace", "fsync", "link", "replace", "fsync"]
    run.train.keep = 0
    saves(run, disk, 0, lambda number: False)
    assert disk.calls == ["open", "write", "fsync", "replace", "fsync"]


@pytest.mark.exhaustive(4)
@pytest.mark.parametrize("keep", [0, 3])
@pytest.mark.parametrize("lasting", [False, True], ids=["once", "from-then-on"])
@pytest.mark.parametrize("error", ERRORS, ids=errno.errorcode.get)
def test_failing_call_leaves_the_old_checkpoint_or_the_new(
    error: int, lasting: bool, keep: int, run: Run, disk: Disk
) -> None:
    old, new = checkpoint.load(run.directory.last), run.state()
    run.train.keep = keep
    saves(run, disk, error, lambda number: False)
    count = len(disk.calls)
    kept = 0
    for failing in range(count):
        raised, left = saves(run, disk, error, lambda n, k=failing: n >= k if lasting else n == k)
        assert len(disk.calls) > failing
        assert same(left, old) or same(left, new), disk.calls
        if raised is None:
            assert same(left, new), disk.calls
        else:
            assert isinstance(raised, RunFailed), disk.calls
            assert os.strerror(error) in str(raised)
            assert str(run.directory.path.with_name("copied")) in str(raised)
        kept += same(left, old)
    assert kept >= 4  # until the rename it is the old one


@pytest.mark.parametrize("error", [errno.EPERM, errno.EXDEV, errno.EMLINK, errno.EOPNOTSUPP], ids=errno.errorcode.get)
def test_file_system_without_links_gets_copies(error: int, run: Run, disk: Disk) -> None:
    raised, left = saves(run, disk, error, lambda number: disk.calls[number] == "link")
    assert raised is None
    assert same(left, run.state())


def test_failed_save_says_how_much_space_there_is(run: Run, disk: Disk) -> None:
    raised, _ = saves(run, disk, errno.ENOSPC, lambda number: number == 1)
    text = str(raised)
    assert "No space left on device" in text
    assert " MB needed, " in text
    assert " MB free" in text
    assert "checkpoint before it is intact" in text


def test_run_can_go_on_saving_after_a_failed_save(run: Run, disk: Disk) -> None:
    saves(run, disk, errno.EIO, lambda number: number == 2)
    raised, left = saves(run, disk, errno.EIO, lambda number: False)
    assert raised is None
    assert same(left, run.state())


@pytest.mark.parametrize("failing", ["write", "fsync", "replace"])
def test_first_save_of_a_run_leaves_nothing_when_it_fails(
    failing: str, compose: Compose, tmp_path: Path, disk: Disk
) -> None:
    run = build(compose(*TINY), RunDirectory(tmp_path / "run"))
    disk.fails = lambda number: disk.calls[number] == failing and "replace" not in disk.calls[:number]
    with disk.watching(), pytest.raises(RunFailed):
        run.save()
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


# Through the command


@pytest.fixture
def failing_save(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Watches the disk during the save of this number alone."""
    real, count = Run.save, 0

    def watch(number: int) -> None:
        def save(self: Run) -> None:
            nonlocal count
            count += 1
            if count == number:
                with disk.watching():
                    real(self)
            else:
                real(self)

        monkeypatch.setattr(Run, "save", save)

    return watch


CALLS = 8  # of a save, see above


@pytest.mark.exhaustive(4)
@pytest.mark.parametrize("number", range(CALLS))
@pytest.mark.parametrize(
    "error", [errno.ENOSPC, errno.EIO, pytest.param(errno.EACCES, marks=pytest.mark.slow)], ids=errno.errorcode.get
)
def test_command_tells_what_could_not_be_written(
    error: int, number: int, cli: Cli, disk: Disk, failing_save: Callable[[int], None]
) -> None:
    failing_save(2)  # the first is that of step 0, the second that of step 6
    disk.error, disk.fails = error, lambda n: n == number
    result = cli(*SHORT, "hydra.run.dir=run")
    assert len(disk.calls) > number
    if disk.calls[number] == "link":
        assert result.code == 0  # a file system without links, for all one knows
        assert json.loads(Path("run/status.json").read_text())["state"] == "finished"
    else:
        assert result.code == 1
        assert "Traceback" not in result.err
        assert os.strerror(error) in result.err
        assert "run/checkpoints/" in result.err
        assert ".tmp" not in result.err
        if error == errno.ENOSPC:
            assert "MB free" in result.err
        status = json.loads(Path("run/status.json").read_text())
        assert (status["state"], status["step"]) == ("failed", 6)
        assert os.strerror(error) in status["reason"]
    assert temporaries(Path("run")) == []
    assert checkpoint.load(Path("run/checkpoints/last.safetensors")).step in ((0, 6) if result.code else (6,))
    assert not Path("run/.lock").exists()


def test_run_that_failed_is_resumed_where_it_was_saved(
    cli: Cli, disk: Disk, failing_save: Callable[[int], None]
) -> None:
    assert cli(*TINY, "hydra.run.dir=straight").code == 0
    failing_save(2)
    disk.fails = lambda number: number == 1
    assert cli(*TINY, "hydra.run.dir=run").code == 1
    assert cli("resume=run").code == 0
    one, other = (checkpoint.load(Path(name, "checkpoints/last.safetensors")) for name in ("straight", "run"))
    assert same(one, other)


def test_disk_that_stays_full_is_told_all_the_same(cli: Cli, disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    real, saved = Run.save, []

    def save(self: Run) -> None:
        saved.append(self.step)
        disk.watched = len(saved) == 2  # and from then on, so that the status cannot be written either
        real(self)

    monkeypatch.setattr(Run, "save", save)
    disk.fails = lambda number: True
    result = cli(*SHORT, "hydra.run.dir=run")
    disk.watched = False
    assert result.code == 1
    assert "Traceback" not in result.err
    assert "run/checkpoints/step_00000006.safetensors: No space left on device" in result.err
    assert checkpoint.load(Path("run/checkpoints/last.safetensors")).step == 0
    assert temporaries(Path("run")) == []


def whole_run(cli: Cli, disk: Disk) -> Result:
    shutil.rmtree("run", ignore_errors=True)
    disk.calls, disk.files = [], []
    with disk.watching():
        return cli(*TINY, "train.steps=6", "hydra.run.dir=run")


@pytest.mark.slow
@pytest.mark.parametrize(("error", "lasting"), [(errno.ENOSPC, False), (errno.ENOSPC, True), (errno.EIO, False)])
def test_any_failing_call_of_a_run_ends_it_plainly(error: int, lasting: bool, cli: Cli, disk: Disk) -> None:
    disk.error = error
    assert whole_run(cli, disk).code == 0
    wrong = {}
    for failing in range(len(disk.calls)):
        disk.fails = lambda n, k=failing: n >= k if lasting else n == k
        result = whole_run(cli, disk)
        # Without links a copy is made, and a status that was there is written in place.
        mended = (disk.calls[failing] == "link" and not lasting) or "status.json" in disk.files[failing]
        checks = {
            f"exit code {result.code}": result.code in ((0, 1) if mended else (1,)),
            "traceback": "Traceback" not in result.err,
            "no reason": result.code == 0 or os.strerror(error) in result.err,
            "no path": result.code == 0 or "run/" in result.err,
            "temporary file": not temporaries(Path("run")),
            "wrong status": lasting or mended or state_of(Path("run")) in (None, "failed"),
        }
        for path in Path("run").rglob("*.safetensors"):
            checkpoint.load(path)
        broken = [what for what, holds in checks.items() if not holds]
        if broken:
            wrong[f"{failing}: {disk.calls[failing]} after opening {disk.files[failing]}"] = broken
    assert wrong == {}


def state_of(run: Path) -> str | None:
    path = run / "status.json"
    return json.loads(path.read_text())["state"] if path.exists() else None


# A directory that cannot be written


@pytest.fixture
def read_only(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Makes directories refuse what is new in them, as for a user who may not write there (tests run as root)."""

    def refusing(*names: str, error: int = errno.EACCES) -> None:
        paths = [Path(name).absolute() for name in names]

        def check(path: Any) -> None:
            absolute = Path(os.path.abspath(path))
            if any(absolute.is_relative_to(known) for known in paths):
                raise OSError(error, os.strerror(error), str(path))

        make, open_log, open_file = Path.mkdir, logging.FileHandler._open, open

        def mkdir(self: Path, mode: int = 0o777, parents: bool = False, exist_ok: bool = False) -> None:
            if not (exist_ok and self.is_dir()):
                check(self)
            make(self, mode, parents, exist_ok)

        def _open(self: logging.FileHandler) -> Any:
            check(self.baseFilename)
            return open_log(self)

        def opened(path: Any, mode: str = "r", *arguments: Any, **options: Any) -> Any:
            if set(mode) & set("wax+"):
                check(path)
            return open_file(path, mode, *arguments, **options)

        monkeypatch.setattr(Path, "mkdir", mkdir)
        monkeypatch.setattr(logging.FileHandler, "_open", _open)
        for module in (files, run_directory):
            monkeypatch.setattr(module, "open", opened, raising=False)

    return refusing


@pytest.fixture
def untrained(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails when a step is taken."""

    def advance(self: Run) -> None:
        raise AssertionError("trained before it was clear that there is room for the result")

    monkeypatch.setattr(Run, "advance", advance)


def assert_refused_before_training(result: Result, path: str, reason: str) -> None:
    assert result.code == 2, result.err
    assert "Traceback" not in result.err
    assert path in result.err
    assert reason in result.err
    assert len(result.err.splitlines()) <= 3


@pytest.mark.exhaustive(2)
@pytest.mark.usefixtures("untrained")
@pytest.mark.parametrize("error", [errno.EACCES, errno.EROFS, errno.ENOSPC], ids=errno.errorcode.get)
@pytest.mark.parametrize("typed", [(), ("hydra.run.dir=outputs/mine",)], ids=["default", "typed"])
def test_directory_for_runs_that_cannot_be_made_is_refused_before_training(
    typed: tuple[str, ...], error: int, cli: Cli, read_only: Callable[..., None], tmp_path: Path
) -> None:
    read_only("outputs", error=error)
    result = cli(*SHORT, *typed)
    assert_refused_before_training(result, str(tmp_path / "outputs") if not typed else "outputs", os.strerror(error))
    assert "hydra.run.dir=" in result.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("untrained")
def test_file_in_the_way_of_a_run_directory_is_refused_before_training(cli: Cli) -> None:
    Path("outputs").write_text("not a directory")
    assert_refused_before_training(cli(*SHORT), "outputs", "hydra.run.dir=")
    assert_refused_before_training(cli(*SHORT, "hydra.run.dir=outputs/mine"), "outputs", "hydra.run.dir=")


def test_run_in_a_read_only_directory_is_not_resumed(
    cli: Cli, read_only: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cli(*SHORT, "hydra.run.dir=run").code == 0
    read_only("run")
    assert_refused_before_training(cli("resume=run", "train.steps=8"), "run", "Permission denied")


def test_samples_that_cannot_be_written_are_told(cli: Cli, read_only: Callable[..., None]) -> None:
    assert cli(*SHORT, "hydra.run.dir=run").code == 0
    read_only("o")
    result = cli("checkpoint=run", "out=o", command=sample)
    assert result.code == 2
    assert "Traceback" not in result.err
    assert "cannot write to out=o" in result.err
    assert "Permission denied" in result.err


def test_run_directory_that_cannot_be_made_names_the_place(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Refused, match=r"cannot make a run directory in .*file.*hydra\.run\.dir"):
        run_directory.create(str(tmp_path / "file"))


# Two at once

CLAIM = """
import sys, time
from pathlib import Path
from gan_cli.run_directory import create
print("ready", flush=True)
while not Path(sys.argv[1]).exists():
    pass
print(create(sys.argv[2]), flush=True)
"""

HOLD = """
import fcntl, os, sys
lock = open(sys.argv[1], "a+")
fcntl.flock(lock, fcntl.LOCK_EX)
lock.truncate(0)
lock.write(f"{os.getpid()}\\n")
lock.flush()
print("held", flush=True)
sys.stdin.read()
"""


@contextmanager
def process(code: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A Python process that is ended with the block."""
    started = subprocess.Popen(
        [sys.executable, "-c", code, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with started:
        try:
            yield started
        finally:
            started.kill()


def line_of(running: subprocess.Popen[str]) -> str:
    assert running.stdout is not None
    return running.stdout.readline().strip()


def test_eight_processes_at_once_get_eight_directories(tmp_path: Path) -> None:
    start, parent = tmp_path / "start", tmp_path / "outputs"
    arguments = [sys.executable, "-c", CLAIM, str(start), str(parent)]
    processes = [subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) for _ in range(8)]
    try:
        assert [line_of(running) for running in processes] == ["ready"] * 8
        start.touch()
        made = [line_of(running) for running in processes]
    finally:
        for running in processes:
            running.kill()
            running.communicate()
    assert len(set(made)) == 8
    assert all(Path(path).is_dir() for path in made)
    assert sorted(str(path) for path in parent.glob("*/*")) == sorted(made)


def test_directory_taken_in_this_second_gets_a_number(tmp_path: Path) -> None:
    made = [run_directory.create(str(tmp_path)) for _ in range(20)]
    assert len(set(made)) == 20
    assert any(Path(path).name.endswith("-1") for path in made)


@contextmanager
def held(directory: Path) -> Iterator[int]:
    """Another process that uses the directory; its id."""
    directory.mkdir(exist_ok=True)
    with process(HOLD, str(directory / ".lock")) as holder:
        assert line_of(holder) == "held"
        yield holder.pid


def contents(path: Path) -> dict[str, bytes]:
    found = {str(file.relative_to(path)): file.read_bytes() for file in path.rglob("*") if file.is_file()}
    return {name: content for name, content in found.items() if name != "train.log"}


def test_new_run_in_a_directory_in_use_is_refused(cli: Cli) -> None:
    # As while the other loads its data: its directory holds its configuration, and no status yet.
    Path("run/.hydra").mkdir(parents=True)
    Path("run/.hydra/overrides.yaml").write_text("- data=mnist\n")
    with held(Path("run")) as pid:
        before = contents(Path("run"))
        result = cli(*SHORT, "hydra.run.dir=run")
        assert result.code == 2
        assert f"in use by process {pid}" in result.err
        assert contents(Path("run")) == before


def test_new_run_in_the_directory_of_a_running_one_is_refused(cli: Cli) -> None:
    Path("run").mkdir()
    RunDirectory(Path("run")).write_status("running", 3)
    with held(Path("run")):
        before = contents(Path("run"))
        result = cli(*SHORT, "hydra.run.dir=run")
        assert result.code == 2
        assert "run" in result.err
        assert "Traceback" not in result.err
        assert contents(Path("run")) == before


def test_run_in_use_is_not_resumed_until_it_is_free(cli: Cli) -> None:
    assert cli(*SHORT, "hydra.run.dir=run").code == 0
    with held(Path("run")) as pid:
        before = contents(Path("run"))
        result = cli("resume=run", "train.steps=8")
        assert result.code == 2
        assert f"in use by process {pid}" in result.err
        assert contents(Path("run")) == before
    # The other was killed: what is left of its lock stands in nobody's way.
    assert Path("run/.lock").exists()
    assert cli("resume=run", "train.steps=8").code == 0
    assert not Path("run/.lock").exists()


def test_run_that_began_in_the_same_moment_keeps_its_files(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RunDirectory, "check_unused", lambda self: None)  # it claimed the directory just after this
    Path("run/.hydra").mkdir(parents=True)
    with held(Path("run")) as pid:
        result = cli(*SHORT, "hydra.run.dir=run")
        assert result.code == 2
        assert f"in use by process {pid}" in result.err
        assert Path("run/.lock").read_text() == f"{pid}\n"
        assert Path("run/.hydra/overrides.yaml").exists()


def test_directory_is_claimed_once(tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path)
    with directory.claimed(resuming=False):
        assert (tmp_path / ".lock").read_text() == f"{os.getpid()}\n"
        with pytest.raises(Refused, match=f"in use by process {os.getpid()}"), directory.claimed(resuming=True):
            pass
        assert (tmp_path / ".lock").read_text() == f"{os.getpid()}\n"
    with directory.claimed(resuming=False):
        pass


def test_lock_that_is_removed_while_another_waits_for_it_is_not_taken_for_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One opens the lock file, its holder ends and removes it, a third makes a new one: two would hold a lock."""
    directory, real = RunDirectory(tmp_path), run_directory.fcntl.flock
    third = RunDirectory(tmp_path).claimed(resuming=False)
    entered = False

    def flock(file: Any, operation: int) -> None:
        nonlocal entered
        if not entered:
            entered = True
            (tmp_path / ".lock").unlink()
            third.__enter__()
        real(file, operation)

    monkeypatch.setattr(run_directory.fcntl, "flock", flock)
    try:
        with pytest.raises(Refused, match="in use"), directory.claimed(resuming=False):
            pass
    finally:
        third.__exit__(None, None, None)
