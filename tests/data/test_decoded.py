import hashlib
import json
import logging
import os
import random
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from picture_files import BAD, UNREADABLE, encoded, good, make_bad, make_good, noise
from PIL import Image

from gan_cli.data import decoded, folder, picture_cache, pictures, tree
from gan_cli.errors import Refused

OPTIONS = {"channels": 3, "resolution": 8, "fit": "crop", "background": (255, 255, 255)}
Log = pytest.LogCaptureFixture


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GAN_CLI_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "pictures"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Ten pictures of two classes, and a bad one."""
    path = tmp_path / "root"
    make_good(path / "a", 5)
    make_good(path / "b", 5)
    (path / "b" / "bad.png").write_bytes(b"no picture")
    return path


@pytest.fixture
def reading(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """How often pictures were decoded."""
    read, times = pictures.read, []
    monkeypatch.setattr(pictures, "read", lambda *given, **options: times.append("") or read(*given, **options))
    return times


def load(root: Path, **options):
    return folder.load(str(root), **OPTIONS | options)


def lines(caplog: Log) -> list[str]:
    return [record.getMessage() for record in caplog.records]


def files(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir()) if directory.exists() else []


# Bad files


def test_of_25_bad_and_100_good_files_the_good_are_read_and_the_bad_are_named_with_their_reasons(tmp_path, caplog):
    make_bad(tmp_path / "mixed")
    make_good(tmp_path / "mixed", 100)
    assert len(BAD) == 25
    for _ in range(2):  # decoded, and from the cache
        caplog.clear()
        with caplog.at_level(logging.INFO):
            data = load(tmp_path / "mixed")
        assert tuple(data.samples.shape) == (100, 3, 8, 8)
        *named, summary, animations = lines(caplog)
        assert summary == f"{tmp_path / 'mixed'}: 100 pictures read, 25 skipped"
        assert animations == f"{tmp_path / 'mixed'}: of 10 pictures with several frames the first is taken"
        assert len(named) == 25
        for name, (_, reason) in BAD.items():
            shown = name.replace("\udce9", r"\udce9")
            (line,) = [line for line in named if line.startswith(f"skipped {shown} (")]
            assert re.fullmatch(reason, line.removeprefix(f"skipped {shown} (")[:-1]), line


def test_each_good_picture_is_what_reading_it_alone_gives(tmp_path):
    make_bad(tmp_path / "mixed")
    make_good(tmp_path / "mixed", 20)
    for _ in range(2):
        data = load(tmp_path / "mixed")
        for number in range(20):
            name, _ = good(number)
            with open(tmp_path / "mixed" / name, "rb") as file:
                assert torch.equal(data.samples[number], pictures.read(file, **OPTIONS).pixels)


def test_strict_data_are_refused_with_the_first_few_names_and_the_count(tmp_path):
    make_bad(tmp_path / "mixed")
    make_good(tmp_path / "mixed", 3)
    for _ in range(2):
        with pytest.raises(Refused) as refusal:
            load(tmp_path / "mixed", strict=True)
        text = str(refusal.value)
        assert "data.strict=true, and 25 of the pictures in" in text
        assert text.count(UNREADABLE) == 1  # five are named, all told apart by their reasons but this
        assert "Layers.PSD (PSD is not read" in text
        assert "and 20 more\n" in text
        assert len(text.splitlines()) <= 3


def test_strict_data_without_a_fault_are_read(tmp_path, caplog):
    make_good(tmp_path / "good", 10)
    assert torch.equal(load(tmp_path / "good", strict=True).samples, load(tmp_path / "good").samples)
    assert lines(caplog) == []


def test_names_reach_the_terminal_as_letters(tmp_path, caplog):
    (tmp_path / "root").mkdir()
    for name in ("a\x1b[2J.png", "b\nc.png", "größe 猫.png"):
        (tmp_path / "root" / name).write_bytes(b"bad")
    make_good(tmp_path / "root", 1)
    load(tmp_path / "root")
    assert [line.split(" (")[0] for line in lines(caplog)[:-1]] == [
        r"skipped a\x1b[2J.png",
        r"skipped b\nc.png",
        "skipped größe 猫.png",
    ]


def test_classes_are_named_in_letters_that_a_checkpoint_can_hold(tmp_path):
    for number, name in enumerate((b"\xff", b"a\tb")):
        make_good(Path(os.fsdecode(os.fsencode(tmp_path / "root") + b"/" + name)), number + 1)
    data = load(tmp_path / "root")
    assert data.classes == (r"a\tb", r"\udcff")
    assert data.labels.tolist() == [0, 0, 1]


def mutated(draws: random.Random, seeds: list[tuple[str, bytes]]) -> tuple[str, bytes]:
    """A picture's file with some bytes changed, cut out, doubled, or cut off."""
    name, content = draws.choice(seeds)
    changed = bytearray(content)
    for _ in range(draws.choice((1, 1, 3, 20))):
        start = draws.randrange(len(changed) + 1)
        end = min(len(changed), start + draws.choice((1, 4, 50)))
        match draws.randrange(5):
            case 0:
                changed[start:end] = draws.randbytes(end - start)
            case 1:
                del changed[start:end]
            case 2:
                changed[start:start] = changed[start:end]
            case 3:
                changed[start:end] = bytes(end - start)
            case _:
                del changed[start if draws.random() < 0.2 else len(changed) :]
    return name, bytes(changed)


@pytest.mark.parametrize("count", [150, pytest.param(1000, marks=pytest.mark.slow)])
def test_mutated_files_are_read_or_named_and_nothing_else_happens(tmp_path, caplog, count):
    draws = random.Random(count)
    seeds = [good(number) for number in range(10)]
    (tmp_path / "root").mkdir()
    for number in range(count):
        name, content = mutated(draws, seeds)
        (tmp_path / "root" / f"{number:04d} {name}").write_bytes(content)
    data = load(tmp_path / "root")
    *named, summary = lines(caplog)
    assert all(line.startswith("skipped ") for line in named)
    assert len({line.split()[1] for line in named}) == len(named)
    assert len(named) + len(data.samples) == count
    assert summary.endswith(f": {len(data.samples)} pictures read, {len(named)} skipped")
    assert 0.2 * count < len(named) < 0.95 * count  # both happen
    assert torch.equal(load(tmp_path / "root").samples, data.samples)


# What is found in a directory


def test_links_are_followed_and_each_directory_is_listed_once(tmp_path, caplog):
    root, elsewhere = tmp_path / "root", tmp_path / "elsewhere"
    make_good(root / "real", 2)
    make_good(elsewhere, 3)
    (root / "a link").symlink_to(root / "real")  # also in the folder: read where it lies
    (root / "linked").symlink_to(elsewhere)
    (root / "again").symlink_to(elsewhere)
    (root / "real" / "up").symlink_to(root)
    (elsewhere / "back").symlink_to(root)
    (elsewhere / "itself").symlink_to(elsewhere)
    data = load(root)
    assert data.classes == ("again", "real")
    assert data.labels.tolist() == [0, 0, 0, 1, 1]
    assert lines(caplog) == []


def test_a_link_to_a_picture_is_that_picture(tmp_path):
    make_good(tmp_path / "elsewhere", 1)
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "x.png").symlink_to(tmp_path / "elsewhere" / "00000.png")
    assert torch.equal(load(tmp_path / "root").samples, load(tmp_path / "elsewhere").samples)


def test_a_directory_that_is_named_like_a_picture_is_searched_or_named(tmp_path, caplog):
    make_good(tmp_path / "root" / "full.png" / "deeper", 2)
    (tmp_path / "root" / "hollow.png" / "deeper").mkdir(parents=True)
    assert len(load(tmp_path / "root")) == 2
    assert lines(caplog)[0] == "skipped hollow.png (a directory)"
    assert len(lines(caplog)) == 2


def test_what_must_not_be_listed_or_opened_is_named(root, caplog, monkeypatch):
    def refusing(true: Callable) -> Callable:
        def asked(path, *given, **options):
            if str(path).endswith(("/a", "00003.cmyk.jpg")):
                raise PermissionError(13, "Permission denied", str(path))
            return true(path, *given, **options)

        return asked

    monkeypatch.setattr(tree.os, "scandir", refusing(os.scandir))
    monkeypatch.setattr(tree, "open", refusing(open), raising=False)
    assert len(load(root)) == 4
    assert lines(caplog)[:2] == [
        "skipped a (a directory that cannot be listed: Permission denied)",
        "skipped b/00003.cmyk.jpg (Permission denied)",
    ]


def test_formats_that_are_not_read_are_named_with_the_remedy_and_other_files_are_only_counted(tmp_path, caplog):
    make_good(tmp_path / "root", 1)
    for name in ("a.HEIC", "b.avif", "c.svg", "d.nef", "e.txt", "f"):
        (tmp_path / "root" / name).write_bytes(b"x")
    load(tmp_path / "root")
    assert [line for line in lines(caplog) if "convert it to PNG or JPEG" in line] == [
        f"skipped {name} ({kind} is not read: convert it to PNG or JPEG)"
        for name, kind in (("a.HEIC", "HEIC"), ("b.avif", "AVIF"), ("c.svg", "SVG"), ("d.nef", "NEF"))
    ]
    assert len(lines(caplog)) == 5


# The cache


def test_a_second_start_opens_no_picture(root, cache, caplog, monkeypatch):
    first = load(root)
    told = lines(caplog)
    caplog.clear()
    for module, name in ((pictures, "read"), (Image, "open"), (tree.Tree, "open")):
        monkeypatch.setattr(module, name, lambda *_, **__: pytest.fail("a picture was opened"))
    again = load(root)
    assert torch.equal(again.samples, first.samples)
    assert torch.equal(again.labels, first.labels)
    assert again.classes == first.classes == ("a", "b")
    assert again.digest() == first.digest()
    assert lines(caplog) == told
    assert told[0] == f"skipped b/bad.png ({UNREADABLE})"
    assert len(files(cache)) == 1


def as_before(path: Path) -> None:
    """Other content of the same size and time."""
    before, content = path.stat(), bytearray(path.read_bytes())
    content[-1] ^= 1
    time.sleep(0.01)  # the clock of a file system
    path.write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


CHANGES: dict[str, Callable[[Path], object]] = {
    "name": lambda path: path.rename(path.with_name("99.png")),
    "folder": lambda path: path.rename(path.parent.parent / "b" / "0.png"),
    "size": lambda path: path.write_bytes(path.read_bytes() + b"x"),
    "time": lambda path: os.utime(path, ns=(1, 1)),
    "content": as_before,
    "removed": lambda path: path.unlink(),
    "added": lambda path: shutil.copy(path, path.with_name("new.png")),
    "a bad one mended": lambda path: shutil.copy(path, path.parent.parent / "b" / "bad.png"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_after_any_change_all_is_decoded_anew_and_replaces_the_old(root, cache, reading, change):
    load(root)
    (before,) = files(cache)
    CHANGES[change](root / "a" / "00000.png")
    reading.clear()
    changed = load(root)
    assert len(reading) == 11 + {"removed": -1, "added": 1}.get(change, 0)
    assert files(cache) == [before]
    shutil.rmtree(cache)
    assert load(root).digest() == changed.digest()


def test_a_file_that_is_no_picture_may_come_and_go(root, reading):
    load(root)
    reading.clear()
    (root / "notes.txt").write_text("x")
    (root / ".hidden.png").write_text("x")
    load(root)
    assert reading == []


@pytest.mark.parametrize(
    "other",
    [{"channels": 1}, {"resolution": 9}, {"fit": "pad"}, {"background": (0, 0, 0)}],
    ids=lambda o: next(iter(o)),
)
def test_other_options_have_a_file_of_their_own(root, cache, reading, other):
    first, second = load(root), load(root, **other)
    assert len(files(cache)) == 2
    reading.clear()
    assert load(root).digest() == first.digest()
    assert load(root, **other).digest() == second.digest()
    assert reading == []
    assert first.digest() != second.digest()


def test_another_decoder_decodes_anew(root, cache, reading, monkeypatch):
    load(root)
    reading.clear()
    monkeypatch.setattr(pictures, "DECODER", "another")
    load(root)
    assert len(reading) == 11
    assert len(files(cache)) == 1


def test_a_folder_is_known_by_whatever_path_leads_to_it(root, tmp_path, reading, monkeypatch):
    first = load(root)
    reading.clear()
    (tmp_path / "link").symlink_to(root)
    monkeypatch.chdir(root / "a")
    assert load(tmp_path / "link").digest() == load(Path("..")).digest() == first.digest()
    assert reading == []


@pytest.fixture
def threads() -> Iterator[Callable[[int], None]]:
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def test_the_number_of_threads_changes_nothing(tmp_path, cache, caplog, threads):
    make_bad(tmp_path / "mixed")
    make_good(tmp_path / "mixed", 60)
    told, found = [], []
    for number in (1, 4):
        caplog.clear()
        threads(number)
        shutil.rmtree(cache, ignore_errors=True)
        load(tmp_path / "mixed")
        (file,) = cache.iterdir()
        told.append(lines(caplog))
        found.append(file.read_bytes())
    assert told[0] == told[1]
    assert found[0] == found[1]


def test_pictures_are_held_in_order_and_few_at_a_time(threads):
    threads(3)
    begun: list[int] = []

    def slowly(number: int) -> int:
        begun.append(number)
        time.sleep(0.004 if number % 3 == 0 else 0)
        return number * number

    results = decoded._in_order(slowly, iter(range(200)))
    for number in range(200):
        assert next(results) == number * number
        assert len(begun) <= number + 3 * decoded._AHEAD + 1


def test_what_is_written_to_the_samples_stays_in_the_process(root, cache):
    first = load(root)
    expected = first.samples.clone()
    first.samples.zero_()
    assert torch.equal(load(root).samples, expected)


def test_a_process_that_has_mapped_the_old_pictures_keeps_them(root):
    first = load(root)
    expected = first.samples.clone()
    (root / "a" / "00000.png").unlink()
    assert len(load(root)) == 9
    assert torch.equal(first.samples, expected)


# Interrupted and concurrent decoding


@pytest.mark.parametrize("at", [1, 5, 11])
@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, SystemExit, RecursionError])
def test_interrupted_decoding_leaves_nothing(root, cache, monkeypatch, at, interrupt):
    expected = load(root)
    shutil.rmtree(cache)
    write, written = picture_cache._Hashing.__call__, []

    def interrupted(self, content: bytes) -> None:
        written.append(content)
        if len(written) == at:
            raise interrupt
        write(self, content)

    with monkeypatch.context() as patch, pytest.raises(interrupt):
        patch.setattr(picture_cache._Hashing, "__call__", interrupted)
        load(root)
    assert files(cache) == []
    assert load(root).digest() == expected.digest()


def test_what_a_killed_process_left_is_removed_after_an_hour(root, cache):
    cache.mkdir(parents=True)
    for name, age in ((".a.bytes.1.tmp", 7200), (".b.bytes.2.tmp", 60)):
        (cache / name).write_bytes(b"x")
        os.utime(cache / name, (time.time() - age,) * 2)
    load(root)
    assert [name for name in files(cache) if name.endswith(".tmp")] == [".b.bytes.2.tmp"]


def test_pictures_that_another_process_replaces_at_once_are_decoded_all_the_same(root, monkeypatch):
    expected = load(root)
    monkeypatch.setattr(picture_cache, "read", lambda *_: None)
    found = load(root)
    assert found.digest() == expected.digest()
    found.samples.zero_()  # they may be written to


LOADING = """
import sys
from gan_cli.data import folder
data = folder.load(sys.argv[1], resolution=64)
print(data.digest(), len(data))
"""


@pytest.mark.slow
def test_processes_that_decode_at_the_same_time_agree(tmp_path, cache):
    make_good(tmp_path / "root", 300)
    command = [sys.executable, "-c", LOADING, str(tmp_path / "root")]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) for _ in range(3)]
    told = {process.communicate()[0] for process in running}
    expected = folder.load(str(tmp_path / "root"), resolution=64)
    assert told == {f"{expected.digest()} 300\n".encode()}
    assert len(files(cache)) == 1


# A damaged cache


def cut_to(kept: float) -> Callable[[bytes], bytes]:
    return lambda content: content[: int(kept * len(content))]


def flipped_at(position: int) -> Callable[[bytes], bytes]:
    def flipped(content: bytes) -> bytes:
        changed = bytearray(content)
        changed[position] ^= 4
        return bytes(changed)

    return flipped


def described(content: bytes) -> tuple[bytes, dict]:
    length = int.from_bytes(content[-40:-32], "big")
    return content[: -40 - length], json.loads(content[-40 - length : -40])


def forged(**changes) -> Callable[[bytes], bytes]:
    """A file with a true digest whose description says something else."""

    def forge(content: bytes) -> bytes:
        pixels, text = described(content)
        return sealed(pixels, text | changes)

    return forge


def sealed(pixels: bytes, text: object) -> bytes:
    line = json.dumps(text).encode()
    body = pixels + line + len(line).to_bytes(8, "big")
    return body + hashlib.blake2b(body, digest_size=32).digest()


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"",
    "short": lambda _: b"x" * 20,
    "text": lambda _: b"no cache at all\n" * 100,
    "zeros": lambda content: bytes(len(content)),
    "foreign": lambda _: encoded(noise(0)),
    "cut in half": cut_to(0.5),
    "cut a little": lambda content: content[:-1],
    "longer": lambda content: content + b"x",
    "pixels": flipped_at(17),
    "description": flipped_at(-60),
    "length": flipped_at(-33),
    "huge length": lambda content: content[:-40] + b"\xff" * 8 + content[-32:],
    "digest": flipped_at(-1),
    "a list": lambda content: sealed(described(content)[0], [1]),
    "a word": lambda content: sealed(described(content)[0], "stamp"),
    "nothing": lambda content: sealed(described(content)[0], {}),
    "another count": forged(shape=[9, 3, 8, 8]),
    "two negatives": forged(shape=[-10, -3, 8, 8]),
    "no shape": forged(shape=None),
    "endless": forged(shape=[float("inf"), 3, 8, 8]),
    "paths": forged(skipped=[["../../evil", "x"]]),
    "not there": forged(skipped=[[99, "x"]]),
    "none skipped": forged(skipped=[]),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_cache_is_told_and_made_anew(root, cache, caplog, reading, damage):
    expected = load(root)
    (file,) = cache.iterdir()
    whole = file.read_bytes()
    assert len(described(whole)[0]) == 10 * 3 * 8 * 8
    file.unlink()  # it is mapped: nobody writes into such a file
    file.write_bytes(DAMAGE[damage](whole))
    reading.clear()
    caplog.clear()
    assert load(root).digest() == expected.digest()
    assert lines(caplog)[0] == f"{file} is damaged: decoding the pictures anew"
    assert len(lines(caplog)) == 3
    assert len(reading) == 11
    assert file.read_bytes() == whole


def test_the_pictures_of_other_options_under_this_name_are_not_taken(root, cache):
    one, other = load(root), load(root, resolution=9)
    paths = sorted(cache.iterdir(), key=lambda path: path.stat().st_size)
    contents = [path.read_bytes() for path in paths]
    for path, content in zip(paths, reversed(contents), strict=True):
        path.unlink()
        path.write_bytes(content)
    assert load(root).digest() == one.digest()
    assert load(root, resolution=9).digest() == other.digest()


# A cache that cannot be


def full(*_, **__):
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("fault", ["file-for-directory", "directory-for-file", "no-room", "full-disk", "read-only"])
def test_where_no_cache_can_be_the_pictures_are_held_in_memory_and_one_line_says_so(
    root, cache, caplog, monkeypatch, fault
):
    expected = load(root)
    (file,) = files(cache)
    shutil.rmtree(cache)
    if fault == "file-for-directory":
        cache.write_bytes(b"")
    elif fault == "directory-for-file":
        (cache / file).mkdir(parents=True)
    elif fault == "no-room":
        monkeypatch.setattr(decoded.shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**12, 10**12, 10))
    elif fault == "full-disk":
        monkeypatch.setattr(picture_cache._Hashing, "__call__", full)
    else:
        monkeypatch.setattr(decoded.Path, "mkdir", full)
    before = files(cache) if cache.is_dir() else []
    caplog.clear()
    data = load(root)
    assert data.digest() == expected.digest()
    data.samples.zero_()
    assert lines(caplog)[0].startswith(f"cannot keep decoded pictures in {cache} (")
    assert lines(caplog)[0].endswith("): they are held in memory")
    assert len(lines(caplog)) == 3
    assert (files(cache) if cache.is_dir() else []) == before


def test_a_file_that_cannot_be_read_this_once_is_skipped_this_once(root, caplog, reading, monkeypatch):
    true = tree.Tree.open

    def failing(self, entry):
        if entry.name.name == "00001.jpg":
            raise OSError(5, "Input/output error")
        return true(self, entry)

    with monkeypatch.context() as patch:
        patch.setattr(tree.Tree, "open", failing)
        assert len(load(root)) == 8
    assert lines(caplog)[0] == "skipped a/00001.jpg (Input/output error)"
    assert len(load(root)) == 10


def test_a_picture_that_the_system_fails_to_read_is_not_called_damaged():
    class Failing:
        def read(self, _size: int = -1) -> bytes:
            raise OSError(5, "Input/output error")

        def seek(self, *_) -> int:
            return 0

    with pytest.raises(OSError, match="Input/output error") as failure:
        pictures.read(Failing(), **OPTIONS)
    assert failure.value.errno == 5
