"""A generator as a safetensors file: its tensors under the names of its state_dict, and what it is in the header."""

from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_safetensors

from gan_cli.errors import RunFailed
from gan_cli.export.exported import Exported
from gan_cli.files import replacing

SUFFIX = ".safetensors"


def save(exported: Exported, path: Path) -> str:
    """Write the file, read it again, and tell what was found.

    It is no checkpoint: it has neither a discriminator nor optimizers, and gan-cli does not read it.

    Raises:
        RunFailed: what was read is not what was written; the file that was there before still is.
    """
    # Tied weights are stored twice, so that each name of the state_dict is there.
    tensors = {name: tensor.clone() for name, tensor in exported.generator.state_dict().items()}
    with replacing(path) as file:
        file.write(to_safetensors({name: tensor.contiguous() for name, tensor in tensors.items()}, exported.metadata()))
        file.flush()
        with safe_open(file.name, framework="pt") as written:
            names = set(written.keys())
            if names != tensors.keys() or not all(
                torch.equal(written.get_tensor(name), tensors[name]) for name in names
            ):
                raise RunFailed(f"{path}: the file does not hold what was written into it")
    return f"{len(tensors)} tensors, read back and compared bit for bit"


def is_checkpoint(path: Path) -> bool:
    """Whether a file is one from which a run goes on, which must not be replaced."""
    try:
        with safe_open(path, framework="pt") as file:
            return {"config", "facts", "digest"} <= (file.metadata() or {}).keys()
    except (OSError, SafetensorError):
        return False
