"""Fetching a file once: verified, atomic, resumed where it was interrupted."""

import os
from pathlib import Path
from typing import Any

import pooch
import requests

from gan_cli.console import tracked
from gan_cli.errors import Refused

_PIECE = 1 << 16  # bytes
_TIMEOUT = (10, 60)  # seconds to connect, and between two pieces
_KINDS = {"sha256": "SHA-256", "sha1": "SHA-1", "md5": "MD5"}


def fetch(url: str, known_hash: str, instead: str, folder: str = "") -> Path:
    """The file behind `url`, from the user's cache or, the first time, from the network.

    The cache is `cache_directory`. A file gets its final name once its hash is right;
    a partial download is kept beside it and continued. Files of any size pass through memory in pieces.

    Args:
        known_hash: of the whole file, as pooch writes it: "sha256:...", "sha1:..." or "md5:...", in hexadecimal.
        instead: what the user can do without a network, for the message.
        folder: below the cache, for files whose names alone do not say what they are.

    Raises:
        Refused: it cannot be reached, or is not the expected file.
    """
    kind, digest = known_hash.split(":")
    name = url.rsplit("/", 1)[-1]
    cache = cache_directory() / folder
    try:
        pooch.get_logger().setLevel("ERROR")
        return Path(pooch.retrieve(url, known_hash, name, cache, downloader=_Resuming(cache / f"{name}.part")))
    except requests.RequestException as error:
        why = type(error).__name__ if error.response is None else f"HTTP status {error.response.status_code}"
        raise Refused(f"cannot fetch {name} from {url.split('/')[2]} ({why}).\n{instead}") from error
    except ValueError as error:  # pooch: the hash does not match
        raise Refused(f"{url} is not the expected file ({_KINDS[kind]} {digest}).\n{instead}") from error
    except OSError as error:
        raise Refused(f"cannot store {name} in {cache}: {error.strerror or error}\n{instead}") from error


def cache_directory() -> Path:
    """Where files are kept between runs: `GAN_CLI_CACHE`, or the usual place of the system."""
    return Path(os.environ.get("GAN_CLI_CACHE") or pooch.os_cache("gan-cli"))


class _Resuming:
    """A pooch downloader that keeps what has arrived in `partial` and asks for the rest of it."""

    def __init__(self, partial: Path) -> None:
        self.partial = partial

    def __call__(self, url: str, output_file: str, _pooch: Any) -> None:
        have = self.partial.stat().st_size if self.partial.exists() else 0
        headers = {"Accept-Encoding": "identity"}  # the file's own bytes: what is hashed, and what a range counts
        if have:
            headers["Range"] = f"bytes={have}-"
        with requests.get(url, headers=headers, stream=True, timeout=_TIMEOUT) as response:
            if response.status_code != requests.codes.requested_range_not_satisfiable:  # else all had arrived
                response.raise_for_status()
                mode = "ab" if response.status_code == requests.codes.partial_content else "wb"
                pieces = -(-int(response.headers.get("Content-Length", 0)) // _PIECE)
                with open(self.partial, mode) as file:
                    for piece in tracked(response.iter_content(_PIECE), f"fetching {url}", pieces):
                        file.write(piece)
        os.replace(self.partial, output_file)
