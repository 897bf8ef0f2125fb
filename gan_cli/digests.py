"""Fingerprints, to tell whether tensors are whole and which file one was."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor


def digest(text: str, tensors: Mapping[str, Tensor]) -> str:
    """SHA-256, in hexadecimal, of a text and of the names, types, shapes and bytes of tensors on the CPU."""
    sha = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        sha.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        sha.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return sha.hexdigest()


def file_digest(path: Path) -> str:
    """SHA-256, in hexadecimal, of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
