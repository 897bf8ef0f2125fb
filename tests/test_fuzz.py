"""A damaged checkpoint is refused, or turns out to be whole; nothing in between."""

import gzip
import io
import pickle
import random
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from conftest import TINY, Result

from gan_cli import checkpoint
from gan_cli.build import build
from gan_cli.checkpoint import Checkpoint
from gan_cli.commands.sample import sample
from gan_cli.errors import Refused
from gan_cli.images import png
from gan_cli.run_directory import RunDirectory
from gan_cli.schema import Config

Damage = Callable[[random.Random, bytes], bytes]


@pytest.fixture
def whole(compose: Callable[..., Config], tmp_path: Path) -> Path:
    """The checkpoint of a run."""
    run = build(compose(*TINY), RunDirectory(tmp_path / "run"))
    for _ in range(3):
        run.advance()
    run.save()
    return run.directory.last


def flip_one(draw: random.Random, content: bytes) -> bytes:
    return flipped(content, [draw.randrange(8 * len(content))])


def flip_some(draw: random.Random, content: bytes) -> bytes:
    return flipped(content, [draw.randrange(8 * len(content)) for _ in range(draw.randint(2, 40))])


def flip_in_header_length(draw: random.Random, content: bytes) -> bytes:
    return flipped(content, [draw.randrange(64)])


def flipped(content: bytes, bits: list[int]) -> bytes:
    changed = bytearray(content)
    for bit in bits:
        changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def change_a_character(draw: random.Random, content: bytes) -> bytes:
    """In the header, with what its grammar is made of."""
    place = draw.randrange(8, 8 + int.from_bytes(content[:8], "little"))
    return content[:place] + bytes([draw.choice(b'{}[]",:\\0123456789-. \n\xff\0')]) + content[place + 1 :]


def truncate(draw: random.Random, content: bytes) -> bytes:
    return content[: draw.randrange(len(content))]


def zero_a_block(draw: random.Random, content: bytes) -> bytes:
    start, size = draw.randrange(len(content)), draw.choice([1, 4, 64, 512, 4096])
    block = content[start : start + size]
    return content[:start] + bytes(len(block)) + content[start + size :]


def drop_a_block(draw: random.Random, content: bytes) -> bytes:
    start = draw.randrange(len(content))
    return content[:start] + content[start + draw.choice([1, 8, 512]) :]


def repeat_a_block(draw: random.Random, content: bytes) -> bytes:
    start, size = draw.randrange(len(content)), draw.choice([1, 8, 512])
    return content[: start + size] + content[start:]


def append(draw: random.Random, content: bytes) -> bytes:
    return content + draw.choice([bytes(1), bytes(8), draw.randbytes(100), content])


def prepend(draw: random.Random, content: bytes) -> bytes:
    return draw.choice([b"\0", b"\xef\xbb\xbf", b"\n", draw.randbytes(8)]) + content


def foreign(draw: random.Random, content: bytes) -> bytes:
    """A file of another kind altogether."""
    buffer = io.BytesIO()
    kind = draw.randrange(9)
    if kind == 0:
        return b""
    if kind == 1:
        return draw.randbytes(draw.randrange(1, 10_000))
    if kind == 2:
        return ("text, just text, and nothing but text\n" * draw.randint(1, 100)).encode()
    if kind == 3:
        return png(torch.zeros(3, draw.randint(1, 30), draw.randint(1, 30), dtype=torch.uint8))
    if kind == 4:
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr("last.safetensors", content)
        return buffer.getvalue()
    if kind == 5:
        return pickle.dumps({"state": list(content[: draw.randrange(100)])})
    if kind == 6:
        torch.save({"weight": torch.zeros(draw.randint(1, 9))}, buffer)
        return buffer.getvalue()
    if kind == 7:
        return gzip.compress(content)
    return b"<!doctype html><title>404 Not Found</title>"


DAMAGES: tuple[Damage, ...] = (
    flip_one,
    truncate,
    zero_a_block,
    foreign,
    flip_some,
    append,
    change_a_character,
    flip_in_header_length,
    drop_a_block,
    repeat_a_block,
    prepend,
)


def outcome(path: Path, stored: Checkpoint) -> str:
    """How reading a damaged file ends; any other exception than `Refused` is a failure."""
    try:
        loaded = checkpoint.load(path)
    except Refused as refused:
        message = str(refused)
        assert message.strip()
        assert str(path) in message
        assert len(message.splitlines()) <= 3
        assert len(message) < 500
        return "refused"
    assert (loaded.step, loaded.config, loaded.facts) == (stored.step, stored.config, stored.facts)
    assert loaded.tensors.keys() == stored.tensors.keys()
    for name, tensor in stored.tensors.items():
        assert tensor.dtype == loaded.tensors[name].dtype
        assert torch.equal(tensor, loaded.tensors[name]), name
    return "identical"


def fuzz(whole: Path, count: int, seed: int) -> dict[str, Counter[str]]:
    content, stored = whole.read_bytes(), checkpoint.load(whole)
    path = whole.with_name("damaged.safetensors")  # what a failure leaves, to be looked at
    counts: dict[str, Counter[str]] = {}
    for number in range(count):
        damage = DAMAGES[number % len(DAMAGES)]
        path.write_bytes(damage(random.Random(f"{seed}/{number}"), content))
        counts.setdefault(damage.__name__, Counter())[outcome(path, stored)] += 1
    return counts


def test_damaged_checkpoints_are_refused_or_whole(whole: Path) -> None:
    counts = fuzz(whole, 200, seed=0)
    assert sum(count["refused"] for count in counts.values()) > 180  # zeros over zeros change nothing


@pytest.mark.slow
def test_many_damaged_checkpoints_are_refused_or_whole(whole: Path, capsys: pytest.CaptureFixture[str]) -> None:
    counts = fuzz(whole, 2000, seed=1)
    total = sum(counts.values(), Counter())
    with capsys.disabled():
        print(f"\n2,000 damaged checkpoints: {total['refused']} refused, {total['identical']} loaded bit-identical")
        for name, count in counts.items():
            print(f"  {name}: {dict(count)}")
    assert total["refused"] > 1800


def test_every_byte_counts(whole: Path) -> None:
    """Every 13th byte of the file in turn, inverted: none is read and not verified."""
    content, stored = whole.read_bytes(), checkpoint.load(whole)
    path = whole.with_name("damaged.safetensors")
    for place in range(0, len(content), 13):
        path.write_bytes(content[:place] + bytes([content[place] ^ 0xFF]) + content[place + 1 :])
        assert outcome(path, stored) == "refused", place


def test_every_shorter_file_is_refused(whole: Path) -> None:
    content, stored = whole.read_bytes(), checkpoint.load(whole)
    path = whole.with_name("damaged.safetensors")
    for size in (*range(12), *range(12, len(content), 97), len(content) - 1):
        path.write_bytes(content[:size])
        assert outcome(path, stored) == "refused", size


@pytest.mark.parametrize(
    "damage",
    [*DAMAGES[:4], *(pytest.param(damage, marks=pytest.mark.slow) for damage in DAMAGES[4:])],
    ids=lambda damage: damage.__name__,
)
def test_commands_refuse_a_damaged_checkpoint_in_a_few_lines(
    damage: Damage, whole: Path, cli: Callable[..., Result]
) -> None:
    draw = random.Random(4)
    content, stored = whole.read_bytes(), checkpoint.load(whole)
    path = whole.with_name("damaged.safetensors")
    path.write_bytes(damage(draw, content))
    while outcome(path, stored) != "refused":
        path.write_bytes(damage(draw, content))
    for result in (cli(f"checkpoint={path}", "out=o", command=sample), cli(f"resume={path}")):
        assert result.code == 2
        assert str(path) in result.err
        assert "Traceback" not in result.err
        assert len(result.err.splitlines()) <= 4
    assert not Path("o").exists()
    assert [found.name for found in whole.parent.parent.iterdir() if found.name != "train.log"] == ["checkpoints"]
