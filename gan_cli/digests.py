"""Fingerprints of tensors, to tell whether a file is whole."""

import hashlib
from collections.abc import Mapping

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
