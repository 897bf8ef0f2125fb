"""The IDX format: what was written is read, and nothing else."""

import gzip

import pytest
import torch
from conftest import write_idx

from gan_cli.data.idx import read_idx


@pytest.mark.parametrize("shape", [(3,), (2, 3), (2, 3, 4), (0, 2)])
@pytest.mark.parametrize("compressed", [True, False])
def test_idx_file_reads_back_as_it_was_written(tmp_path, shape, compressed):
    array = torch.randint(0, 256, shape, generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    write_idx(tmp_path / "x", array)
    if not compressed:
        (tmp_path / "x").write_bytes(gzip.decompress((tmp_path / "x").read_bytes()))
    assert torch.equal(read_idx(tmp_path / "x"), array)


@pytest.mark.parametrize(
    "content",
    [
        gzip.compress(b""),
        gzip.compress(b"\0\0\x08"),
        gzip.compress(b"\0\0\x0d\x01" + (1).to_bytes(4, "big") + b"abcd"),  # floats
        gzip.compress(b"\x1f\0\x08\x01" + (1).to_bytes(4, "big") + b"a"),
        gzip.compress(b"\0\0\x08\x03\0\0"),
        gzip.compress(b"\0\0\x08\x01" + (5).to_bytes(4, "big") + b"abc"),
        gzip.compress(b"\0\0\x08\x01" + (2).to_bytes(4, "big") + b"abc"),
        b"",
        b"not compressed",
        gzip.compress(b"\0\0\x08\x01" + (90).to_bytes(4, "big") + bytes(range(90)))[:60],
        b"\0\0\x08\x01" + (3).to_bytes(4, "big") + b"ab",
        gzip.compress(b"\0\0\x08\x01" + (1).to_bytes(4, "big") + b"a")[:-8] + bytes(8),
        gzip.compress(b"\0\0\x08\x04" + b"\xff" * 16),
    ],
    ids=[
        *(
            "empty",
            "no-rank",
            "floats",
            "other-magic",
            "no-sizes",
            "short",
            "long",
            "zero-bytes",
            "no-gzip",
            "cut-gzip",
        ),
        *("short-plain", "checksum", "2^128"),
    ],
)
def test_a_bad_idx_file_is_a_value_error(tmp_path, content):
    path = tmp_path / "bad-idx.gz"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"bad-idx\.gz"):
        read_idx(path)


def test_what_decompresses_to_more_than_the_header_says_is_read_no_further(tmp_path, monkeypatch):
    path = tmp_path / "bomb.gz"
    path.write_bytes(gzip.compress(b"\0\0\x08\x01" + (3).to_bytes(4, "big") + bytes(2**24)))
    read = []
    original = gzip.GzipFile.read
    monkeypatch.setattr(gzip.GzipFile, "read", lambda self, size=-1: read.append(size) or original(self, size))
    with pytest.raises(ValueError, match=r"bomb\.gz holds more than 3 bytes of data"):
        read_idx(path)
    assert read == [4, 4, 4]
