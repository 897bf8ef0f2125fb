import hashlib
import random
import re
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from gan_cli.data import download
from gan_cli.errors import Refused

PIECE = 1 << 16
CONTENT = random.Random(0).randbytes(3 * PIECE + 3392)
KINDS = {"sha256": "SHA-256", "sha1": "SHA-1", "md5": "MD5"}


def hash_of(content: bytes, kind: str = "sha256") -> str:
    return f"{kind}:{hashlib.new(kind, content, usedforsecurity=False).hexdigest()}"


HASH = hash_of(CONTENT)
INSTEAD = "Copy x.zip by hand: data.root=PATH"


class Server(ThreadingHTTPServer):
    """Serves one file on the loopback interface, and fails as it is told to."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.content = CONTENT
        self.status = 200
        self.knows_ranges = True
        self.cut_after: int | None = None  # bytes of a body, after which the connection is closed
        self.ranges: list[str | None] = []  # what was asked for, request by request
        self.encodings: list[str | None] = []  # in which form
        self.url = f"http://127.0.0.1:{self.server_port}/x.zip"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        asked = self.headers["Range"]
        self.server.ranges.append(asked)
        self.server.encodings.append(self.headers["Accept-Encoding"])
        start, status = 0, self.server.status
        if asked and self.server.knows_ranges and status == 200:
            start, status = int(asked.removeprefix("bytes=").removesuffix("-")), 206
        body = self.server.content[start:]
        if status == 206 and not body:
            status, body = 416, b"nothing left"
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: self.server.cut_after])

    def log_message(self, *_) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GAN_CLI_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return tmp_path / "cache"


def files_in(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def fetch(server: Server, known_hash: str = HASH) -> Path:
    return download.fetch(server.url, known_hash, INSTEAD)


def test_a_file_is_fetched_into_the_cache_whole_and_alone(server, cache):
    assert fetch(server) == cache / "x.zip"
    assert files_in(cache) == {"x.zip": CONTENT}
    assert server.ranges == [None]


def test_a_file_may_have_a_folder_of_its_own_in_the_cache(server, cache):
    assert download.fetch(server.url, HASH, INSTEAD, "set") == cache / "set" / "x.zip"
    assert files_in(cache / "set") == {"x.zip": CONTENT}
    assert [path.name for path in cache.iterdir()] == ["set"]


def test_the_files_own_bytes_are_asked_for_in_pieces_that_need_little_memory(server, monkeypatch):
    sizes = []

    def counted(pieces, *_, **__):
        for piece in pieces:
            sizes.append(len(piece))
            yield piece

    monkeypatch.setattr(download, "tracked", counted)
    fetch(server)
    assert sizes == [PIECE, PIECE, PIECE, len(CONTENT) - 3 * PIECE]
    assert server.encodings == ["identity"]  # a range of compressed bytes would be another


def test_a_file_that_is_there_is_not_asked_for_again(server, cache):
    fetch(server)
    assert fetch(server) == cache / "x.zip"
    assert server.ranges == [None]


def test_a_cached_file_that_was_damaged_is_fetched_again(server, cache):
    fetch(server).write_bytes(b"damaged")
    assert fetch(server).read_bytes() == CONTENT
    assert files_in(cache) == {"x.zip": CONTENT}


@pytest.mark.parametrize("value", ["", None], ids=["empty", "unset"])
def test_without_gan_cli_cache_the_file_goes_to_the_systems_cache(server, tmp_path, monkeypatch, value):
    if value is None:
        monkeypatch.delenv("GAN_CLI_CACHE")
    else:
        monkeypatch.setenv("GAN_CLI_CACHE", value)
    asked = []
    monkeypatch.setattr(download.pooch, "os_cache", lambda name: asked.append(name) or tmp_path / "system")
    assert fetch(server) == tmp_path / "system" / "x.zip"
    assert asked == ["gan-cli"]


@pytest.mark.parametrize("arrived", [PIECE, 100_001, len(CONTENT) - 1])
def test_an_interrupted_download_is_continued_where_it_broke_off(server, cache, arrived):
    server.cut_after = arrived
    with pytest.raises(Refused, match=re.escape(INSTEAD)):
        fetch(server)
    assert list(files_in(cache)) == ["x.zip.part"]
    kept = (cache / "x.zip.part").read_bytes()
    assert arrived - PIECE < len(kept) <= arrived  # a piece that did not arrive whole may be lost
    assert CONTENT.startswith(kept)
    server.cut_after = None
    assert fetch(server).read_bytes() == CONTENT
    assert files_in(cache) == {"x.zip": CONTENT}
    assert server.ranges == [None, f"bytes={len(kept)}-"]


def test_a_download_that_breaks_off_again_and_again_arrives_in_the_end(server, cache):
    server.cut_after = PIECE
    for pieces in (1, 2, 3):
        with pytest.raises(Refused):
            fetch(server)
        assert files_in(cache) == {"x.zip.part": CONTENT[: pieces * PIECE]}
    assert fetch(server).read_bytes() == CONTENT
    assert server.ranges == [None, f"bytes={PIECE}-", f"bytes={2 * PIECE}-", f"bytes={3 * PIECE}-"]


@pytest.mark.parametrize("arrived", [0, 1])
def test_a_download_that_broke_off_at_once_starts_anew(server, cache, arrived):
    server.cut_after = arrived
    with pytest.raises(Refused):
        fetch(server)
    server.cut_after = None
    assert fetch(server).read_bytes() == CONTENT
    assert files_in(cache) == {"x.zip": CONTENT}


def test_ctrl_c_keeps_what_has_arrived(server, cache, monkeypatch):
    def interrupted(pieces, *_, **__):
        yield next(iter(pieces))
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(download, "tracked", interrupted)
        with pytest.raises(KeyboardInterrupt):
            fetch(server)
    assert files_in(cache) == {"x.zip.part": CONTENT[:PIECE]}
    assert fetch(server).read_bytes() == CONTENT
    assert server.ranges == [None, f"bytes={PIECE}-"]


def test_a_server_that_knows_no_ranges_sends_everything_again(server, cache):
    server.knows_ranges = False
    cache.mkdir()
    (cache / "x.zip.part").write_bytes(CONTENT[:1000])
    assert fetch(server).read_bytes() == CONTENT
    assert server.ranges == ["bytes=1000-"]


def test_a_download_that_broke_off_after_its_last_byte_is_finished(server, cache):
    cache.mkdir()
    (cache / "x.zip.part").write_bytes(CONTENT)
    assert fetch(server).read_bytes() == CONTENT
    assert files_in(cache) == {"x.zip": CONTENT}


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_with_another_checksum_is_refused_and_not_kept(server, cache, kind):
    right = hash_of(CONTENT, kind)
    server.content = b"another file"
    words = rf"x\.zip is not the expected file \({KINDS[kind]} {right.split(':')[1]}\)\.\n{re.escape(INSTEAD)}$"
    with pytest.raises(Refused, match=words):
        fetch(server, right)
    assert files_in(cache) == {}
    server.content = CONTENT
    assert fetch(server, right).read_bytes() == CONTENT


@pytest.mark.parametrize("part", [b"wrong bytes", CONTENT + b"too long"], ids=["wrong", "too-long"])
def test_a_partial_file_that_does_not_fit_is_refused_once_and_forgotten(server, cache, part):
    cache.mkdir()
    (cache / "x.zip.part").write_bytes(part)
    with pytest.raises(Refused, match="not the expected file"):
        fetch(server)
    assert files_in(cache) == {}
    assert fetch(server).read_bytes() == CONTENT


@pytest.mark.parametrize("status", [403, 404, 500, 503])
def test_an_error_of_the_server_is_refused_with_what_to_do_instead(server, cache, status):
    server.status = status
    with pytest.raises(Refused, match=rf"x\.zip from 127\.0\.0\.1.* \(HTTP status {status}\)\.\n{re.escape(INSTEAD)}$"):
        fetch(server)
    assert files_in(cache) == {}


def test_an_error_of_the_server_does_not_spoil_what_had_arrived(server, cache):
    cache.mkdir()
    (cache / "x.zip.part").write_bytes(CONTENT[:1000])
    server.status = 503
    with pytest.raises(Refused):
        fetch(server)
    assert files_in(cache) == {"x.zip.part": CONTENT[:1000]}


def test_no_server_at_all_is_refused_with_what_to_do_instead(cache):
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    with pytest.raises(Refused, match=rf"^cannot fetch x\.zip from 127\.0\.0\.1:{port} .*\n{re.escape(INSTEAD)}$"):
        download.fetch(f"http://127.0.0.1:{port}/x.zip", HASH, INSTEAD)


def test_a_cache_that_cannot_be_written_is_refused_with_what_to_do_instead(server, cache):
    cache.write_bytes(b"a file where the folder should be")
    with pytest.raises(Refused, match=rf"^cannot store x\.zip in .*/cache: .*\n{re.escape(INSTEAD)}$"):
        fetch(server)
