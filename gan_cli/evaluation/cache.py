"""Tensors that are costly to compute, kept on disk under what they were computed from."""

import hashlib
import json
import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from safetensors import safe_open
from safetensors.torch import save as to_safetensors
from torch import Tensor

from gan_cli.digests import digest
from gan_cli.files import replacing

log = logging.getLogger("gan_cli.evaluation")

_SUFFIX = ".safetensors"
Tensors = dict[str, Tensor]


def cached(directory: Path, key: Mapping[str, Any], make: Callable[[], Tensors]) -> Tensors:
    """What `make` returns, from the file of an earlier call with the same key or, when there is none, made and stored.

    The key is content, never a path: equal data in another place are found, changed data in the same place are not. It
    stands in the file, too, beside a digest of the tensors; a file that does not match either is damaged and made anew.
    Where nothing can be written, everything works, only slower the next time.

    Args:
        key: plain values that determine the result, the version of the code that computes it among them.
    """
    text = json.dumps(dict(key), sort_keys=True)
    path = directory / f"{hashlib.sha256(text.encode()).hexdigest()[:24]}{_SUFFIX}"
    found = _read(path, text)
    if found is not None:
        return found
    made = {name: tensor.detach().cpu().contiguous() for name, tensor in make().items()}
    try:
        with replacing(path, durable=False) as file:
            file.write(to_safetensors(made, {"key": text, "digest": digest("", made)}))
    except OSError as error:
        log.warning("cannot keep reference statistics in %s: %s", directory, error.strerror)
    return made


def _read(path: Path, key: str) -> Tensors | None:
    if not os.path.isfile(path):  # False, and no error, in a directory that must not be searched
        return None
    try:
        with safe_open(path, framework="pt") as file:
            header: dict[str, str] = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dictionary)
    except Exception:  # whatever a damaged file makes of the parser
        header, tensors = {}, {}
    if header.get("key") == key and header.get("digest") == digest("", tensors):
        return tensors
    log.warning("%s is damaged: making it anew", path)
    return None
