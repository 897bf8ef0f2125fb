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


def fetch(url: str, sha1: str, instead: str) -> Path:
    """The file behind `url`, from the user's cache or, the first time, from the network.

    The cache is `cache_directory`. A file gets its final name once its SHA-1 is right;
    a partial download is kept beside it and continued.

    Args:
        instead: what the user can do without a network, for the message.

    Raises:
        Refused: it cannot be reached, or is not the expected file.
    """
    name = url.rsplit("/", 1)[-1]
    cache = cache_directory()
    try:
        pooch.get_logger().setLevel("ERROR")
        return Path(pooch.retrieve(url, f"sha1:{sha1}", name, cache, downloader=_Resuming(cache / f"{name}.part")))
    except requests.RequestException as error:
        why = type(error).__name__ if error.response is None else f"HTTP status {error.response.status_code}"
        raise Refused(f"cannot fetch {name} from {url.split('/')[2]} ({why}).\n{instead}") from error
    except ValueError as error:  # pooch: the hash does not match
        raise Refused(f"{url} is not the expected file (SHA-1 {sha1}).\n{instead}") from error
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
        headers = {"Range": f"bytes={have}-"} if have else {}
        with requests.get(url, headers=headers, stream=True, timeout=_TIMEOUT) as response:
            if response.status_code != requests.codes.requested_range_not_satisfiable:  # else all had arrived
                response.raise_for_status()
                mode = "ab" if response.status_code == requests.codes.partial_content else "wb"
                pieces = -(-int(response.headers.get("Content-Length", 0)) // _PIECE)
                with open(self.partial, mode) as file:
                    for piece in tracked(response.iter_content(_PIECE), f"fetching {url}", pieces):
                        file.write(piece)
        os.replace(self.partial, output_file)
