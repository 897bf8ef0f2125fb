import errno
import io
import json
import os
import stat
from pathlib import Path

import pytest

from gan_cli import files

OLD, NEW = b"old content", b"new content, which is longer"


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """A file with old content, alone in its directory."""
    path = tmp_path / "state.bin"
    path.write_bytes(OLD)
    return path


def assert_untouched(target: Path) -> None:
    assert target.read_bytes() == OLD
    assert list(target.parent.iterdir()) == [target]


def write(path: Path, content: bytes, failure: BaseException | None = None) -> None:
    with files.replacing(path) as file:
        file.write(content)
        if failure is not None:
            raise failure


def test_block_that_ends_well_replaces_the_file_and_leaves_nothing_beside_it(target):
    write(target, NEW)
    assert target.read_bytes() == NEW
    assert list(target.parent.iterdir()) == [target]


def test_file_and_its_parents_are_made_where_there_are_none(tmp_path):
    write(tmp_path / "a" / "b" / "new.bin", NEW)
    assert (tmp_path / "a" / "b" / "new.bin").read_bytes() == NEW


def test_reader_sees_the_old_content_until_the_block_has_ended(target):
    with files.replacing(target) as file:
        file.write(NEW)
        file.flush()
        assert target.read_bytes() == OLD
    assert target.read_bytes() == NEW


def test_reader_that_holds_the_old_file_open_keeps_reading_the_old_content(target):
    with open(target, "rb") as reader:
        write(target, NEW)
        assert reader.read() == OLD


@pytest.mark.parametrize("failure", [ValueError("mine"), KeyboardInterrupt("mine"), SystemExit("mine")], ids=repr)
def test_failure_inside_the_block_leaves_the_old_file_alone(target, failure):
    with pytest.raises(type(failure), match="mine"):
        write(target, NEW, failure)
    assert_untouched(target)


def test_failure_inside_the_block_leaves_no_file_where_there_was_none(tmp_path):
    with pytest.raises(ValueError, match="mine"):
        write(tmp_path / "new.bin", NEW, ValueError("mine"))
    assert list(tmp_path.iterdir()) == []


class FullDisk(io.FileIO):
    """Takes the first bytes and fails, as a file system does that runs full."""

    def write(self, content) -> int:
        super().write(bytes(content)[:4])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def no_space(*_) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("moment", ["write", "fsync", "replace"])
def test_full_disk_leaves_the_old_file_alone(target, monkeypatch, moment):
    if moment == "write":
        monkeypatch.setattr(files, "open", FullDisk, raising=False)
    else:
        monkeypatch.setattr(os, moment, no_space)
    with pytest.raises(OSError, match="No space left") as caught:
        write(target, NEW)
    assert caught.value.errno == errno.ENOSPC
    assert_untouched(target)


def test_content_is_on_disk_before_the_name_changes_and_the_name_after_it(target, monkeypatch):
    real_fsync, real_replace, calls = os.fsync, os.replace, []

    def fsync(descriptor: int) -> None:
        status = os.fstat(descriptor)
        calls.append(("fsync", status.st_ino, status.st_size if stat.S_ISREG(status.st_mode) else "directory"))
        real_fsync(descriptor)

    def replace(source: Path, destination: Path) -> None:
        calls.append(("replace", os.stat(source).st_ino, destination))
        real_replace(source, destination)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", replace)
    write(target, NEW)
    new = target.stat().st_ino
    assert calls == [
        ("fsync", new, len(NEW)),
        ("replace", new, target),
        ("fsync", target.parent.stat().st_ino, "directory"),
    ]


@pytest.mark.parametrize(
    "content",
    [{"state": "größe ✓", "step": 0, "reason": None}, [1, 2.5, -1e-300, 2**60], {}, "text", None, True],
    ids=repr,
)
def test_json_that_was_written_reads_back_equal(tmp_path, content):
    files.write_json(tmp_path / "x.json", content)
    assert json.loads((tmp_path / "x.json").read_text(encoding="utf-8")) == content


def test_json_keeps_letters_readable_and_ends_in_a_newline(tmp_path):
    files.write_json(tmp_path / "x.json", {"name": "größe"})
    assert (tmp_path / "x.json").read_bytes() == '{\n  "name": "größe"\n}\n'.encode()


def test_json_that_cannot_be_written_leaves_the_old_file_alone(target):
    with pytest.raises(TypeError, match="not JSON serializable"):
        files.write_json(target, {"fine": 1, "wrong": object()})
    assert_untouched(target)


# A second name


def test_link_gives_the_same_content_a_second_name_in_place_of_the_old_file(tmp_path, target):
    existing = tmp_path / "step_1.bin"
    existing.write_bytes(NEW)
    files.link(existing, target)
    assert target.read_bytes() == NEW
    assert sorted(tmp_path.iterdir()) == [target, existing]


def test_each_of_two_linked_names_lives_on_without_the_other(tmp_path, target):
    existing = tmp_path / "step_1.bin"
    existing.write_bytes(NEW)
    files.link(existing, target)
    write(existing, b"newer still")
    assert target.read_bytes() == NEW
    existing.unlink()
    assert target.read_bytes() == NEW


def test_linking_the_same_file_again_and_again_changes_nothing(tmp_path, target):
    existing = tmp_path / "step_1.bin"
    existing.write_bytes(NEW)
    for _ in range(3):
        files.link(existing, target)
        assert existing.read_bytes() == target.read_bytes() == NEW
    assert sorted(tmp_path.iterdir()) == [target, existing]


@pytest.mark.parametrize(
    "following",
    [lambda source, path: files.link(source, path), lambda source, path: write(path, source.read_bytes())],
    ids=["link", "write"],
)
def test_what_a_killed_link_left_is_harmed_by_no_later_write(tmp_path, target, monkeypatch, following):
    """A process in a container often has the number of the one that was killed before it."""
    first, second, temporaries = tmp_path / "step_1.bin", tmp_path / "step_2.bin", []
    first.write_bytes(NEW)
    second.write_bytes(b"newer still")

    def killed(source: Path, destination: Path) -> None:
        temporaries.append(Path(source))
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            files.link(first, target)
    assert target.read_bytes() == OLD
    if not temporaries[0].exists():  # a killed process tidies nothing
        os.link(first, temporaries[0])
    following(second, target)
    assert target.read_bytes() == second.read_bytes() == b"newer still"
    assert first.read_bytes() == NEW


def test_a_link_that_fails_leaves_the_old_file_alone(tmp_path, target, monkeypatch):
    (tmp_path / "a").mkdir()
    existing = tmp_path / "a" / "step_1.bin"
    existing.write_bytes(NEW)
    monkeypatch.setattr(os, "replace", no_space)
    with pytest.raises(OSError, match="No space left"):
        files.link(existing, target)
    assert target.read_bytes() == OLD
    assert sorted(tmp_path.iterdir()) == [tmp_path / "a", target]


def test_where_there_are_no_links_a_copy_is_made(tmp_path, target, monkeypatch):
    existing = tmp_path / "step_1.bin"
    existing.write_bytes(NEW)
    monkeypatch.setattr(os, "link", no_space)
    files.link(existing, target)
    existing.unlink()
    assert target.read_bytes() == NEW
    assert list(tmp_path.iterdir()) == [target]


def test_what_killed_writers_left_is_removed_and_nothing_else(tmp_path, target):
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    for kept in ("notes.tmp", ".hidden"):
        (deep / kept).write_bytes(OLD)
    everything = set(tmp_path.rglob("*"))
    for path in (target, deep / "new.bin"):
        with files.replacing(path):
            (temporary,) = set(path.parent.iterdir()) - everything
        temporary.write_bytes(b"half")
    everything.add(deep / "new.bin")
    assert len(set(tmp_path.rglob("*")) - everything) == 2
    files.remove_temporaries(tmp_path)
    assert set(tmp_path.rglob("*")) == everything
