"""Checkpoints: one safetensors file with all of a run's tensors, and its configuration as JSON in the header.

The file is data: reading one runs nothing. Tensors are named `network/NAME/...`, `optimizer/NAME/...` and
`meter/...`; the header holds `format`, `step`, `config`, `facts` and `digest`, a SHA-256 over everything else.
"""

import inspect
import json
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save as to_safetensors
from torch import Tensor, nn
from torch.optim import Optimizer

from gan_cli.digests import digest
from gan_cli.errors import Refused, RunFailed
from gan_cli.files import link, replacing

FORMAT = 1
SUFFIX = ".safetensors"
_MAX_HEADER = 1_000_000  # characters; ours have some thousand


@dataclass(frozen=True)
class Checkpoint:
    """A run's state after `step` steps, on the CPU.

    Attributes:
        config: the resolved configuration that it was trained with, as plain containers.
        facts: what the configuration does not say: `sample_shape` of the data; the versions and device of the run.
        tensors: by their names in the file.
    """

    step: int
    config: dict[str, Any]
    facts: dict[str, Any]
    tensors: dict[str, Tensor]

    def part(self, prefix: str) -> dict[str, Tensor]:
        """The tensors below a prefix, without it."""
        start = f"{prefix}/"
        return {name.removeprefix(start): tensor for name, tensor in self.tensors.items() if name.startswith(start)}

    def check_network(self, name: str, network: nn.Module) -> None:
        """Raise `Refused` unless the stored weights of network `name` fit `network`; it may be on the meta device."""
        stored = {key: (tensor.dtype, tuple(tensor.shape)) for key, tensor in self.part(f"network/{name}").items()}
        wanted = {key: (tensor.dtype, tuple(tensor.shape)) for key, tensor in network.state_dict().items()}
        differing = sorted(key for key in stored.keys() | wanted.keys() if stored.get(key) != wanted.get(key))
        if differing:
            key = differing[0]
            raise Refused(
                f"the checkpoint's {name} does not fit: {len(differing)} of its parameters differ, the first is {key} "
                f"(stored {_described(stored.get(key))}, wanted {_described(wanted.get(key))})"
            )

    def load_network(self, name: str, network: nn.Module) -> None:
        """Put the weights of network `name` into `network`.

        Raises:
            Refused: the names or shapes differ.
        """
        self.check_network(name, network)
        network.load_state_dict(self.part(f"network/{name}"))

    def load_optimizer(self, name: str, optimizer: Optimizer) -> None:
        """Put the stored state of optimizer `name` into `optimizer`; its hyper-parameters stay as they are.

        Raises:
            Refused: it belongs to other parameters.
        """
        parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        stored = self.part(f"optimizer/{name}")
        wanted = expected_state(optimizer) if self.step else {}
        found = {path: (tensor.dtype, tuple(tensor.shape)) for path, tensor in stored.items()}
        if found != wanted:
            path = min(path for path, _ in found.items() ^ wanted.items())
            raise Refused(
                f"the checkpoint's optimizer state of {name} does not fit: {path} is {_described(found.get(path))}, "
                f"wanted {_described(wanted.get(path))}"
            )
        state: dict[int, dict[str, Tensor]] = {index: {} for index in range(len(parameters))}
        for path, tensor in stored.items():
            index, _, key = path.partition("/")
            state[int(index)][key] = _laid_out_as(parameters[int(index)], tensor)
        optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def _laid_out_as(parameter: Tensor, stored: Tensor) -> Tensor:
    """A state in the memory order of its parameter: fused optimizers walk through both as they lie."""
    if stored.shape != parameter.shape:
        return stored
    return torch.empty_like(parameter, dtype=stored.dtype, device=stored.device).copy_(stored)


def expected_state(optimizer: Optimizer) -> dict[str, tuple[torch.dtype, tuple[int, ...]]]:
    """What `optimizer_state` holds of an optimizer that has made a step: learned from a copy that makes one."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    models = [torch.zeros(parameter.shape, dtype=parameter.dtype) for parameter in parameters]
    for model in models:
        model.requires_grad_(True).grad = torch.zeros_like(model)
    accepted = inspect.signature(type(optimizer)).parameters  # AdamW's defaults hold what it does not take
    copy = type(optimizer)(models, **{key: value for key, value in optimizer.defaults.items() if key in accepted})
    copy.step()
    state = optimizer_state("", copy)
    return {path.removeprefix("optimizer//"): (tensor.dtype, tuple(tensor.shape)) for path, tensor in state.items()}


def _described(kind: tuple[torch.dtype, tuple[int, ...]] | None) -> str:
    return "absent" if kind is None else f"{str(kind[0]).removeprefix('torch.')} {kind[1]}"


def network_state(name: str, network: nn.Module) -> dict[str, Tensor]:
    """A network's parameters and buffers under their names in a checkpoint."""
    return {f"network/{name}/{key}": tensor for key, tensor in network.state_dict().items()}


def optimizer_state(name: str, optimizer: Optimizer) -> dict[str, Tensor]:
    """An optimizer's state, per parameter in order. Its hyper-parameters are configuration and are not stored."""
    prefix = f"optimizer/{name}/"
    state = optimizer.state_dict()["state"]
    return {
        f"{prefix}{index}/{key}": torch.as_tensor(value)
        for index, entries in state.items()
        for key, value in entries.items()
        if value is not None
    }


def save(path: Path, checkpoint: Checkpoint, second_name: Path | None = None) -> None:
    """Write a checkpoint; each name holds its old file until the new one is complete.

    Raises:
        RunFailed: the file could not be written.
    """
    on_cpu: dict[str, Tensor] = {}
    addresses: set[int] = set()
    for name, tensor in sorted(checkpoint.tensors.items()):
        plain = tensor.detach().cpu().contiguous()
        on_cpu[name] = plain.clone() if plain.data_ptr() in addresses else plain  # tied weights are stored twice
        addresses.add(plain.data_ptr())
    header = {
        "format": str(FORMAT),
        "step": str(checkpoint.step),
        "config": json.dumps(checkpoint.config, sort_keys=True),
        "facts": json.dumps(checkpoint.facts, sort_keys=True),
    }
    header["digest"] = _digest(header, on_cpu)
    content = to_safetensors(on_cpu, header)
    try:
        with replacing(path) as file:
            file.write(content)
        if second_name is not None:
            link(path, second_name)
    except OSError as error:
        free = shutil.disk_usage(next(parent for parent in path.absolute().parents if parent.exists())).free
        raise RunFailed(
            f"cannot write {path}: {error.strerror or error} ({len(content) / 1e6:.1f} MB needed, {free / 1e6:.1f} MB "
            "free); the checkpoint before it is intact"
        ) from error


def load(path: Path) -> Checkpoint:
    """Read and verify a checkpoint.

    Raises:
        Refused: there is no such file, it is damaged, or it is not one of ours.
    """
    if not path.is_file():
        raise Refused(f"there is no checkpoint {path}")
    try:
        with safe_open(path, framework="pt") as file:
            header: dict[str, str] = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dictionary)
    except Exception as error:  # whatever a damaged file makes of the parser
        raise Refused(f"{path} is damaged, or not a safetensors file: {error}") from error
    version = header.get("format", "")
    whole = re.fullmatch(r"\d{1,9}", version) and re.fullmatch(r"\d{1,15}", header.get("step", ""))
    if not {"config", "facts", "digest"} <= header.keys() or not whole:
        raise Refused(f"{path} is a safetensors file, but not a checkpoint of gan-cli")
    if int(version) > FORMAT:
        raise Refused(f"{path} has checkpoint format {version}, and this version reads {FORMAT}: upgrade gan-cli")
    if header.pop("digest") != _digest(header, tensors):
        raise Refused(f"{path} is damaged: its contents do not match their digest")
    try:
        return Checkpoint(int(header["step"]), _mapping(header["config"]), _mapping(header["facts"]), tensors)
    except (ValueError, RecursionError) as error:
        raise Refused(f"{path} is not a checkpoint of gan-cli: its header cannot be read ({error})") from error


def resolve(path: Path) -> Path:
    """The checkpoint that a path means: the file itself, or a run directory's last one.

    Raises:
        Refused: nothing is there.
    """
    if path.is_dir():
        last = path / "checkpoints" / f"last{SUFFIX}"
        if not last.is_file():
            raise Refused(f"{path} holds no checkpoint: there is no {last}")
        return last
    return path


def _mapping(text: str) -> dict[str, Any]:
    if len(text) > _MAX_HEADER:
        raise ValueError(f"{len(text):,} characters of configuration")
    content = json.loads(text)
    if not isinstance(content, dict):
        raise ValueError("not a mapping")
    return content


def _digest(header: Mapping[str, str], tensors: Mapping[str, Tensor]) -> str:
    return digest(json.dumps(dict(sorted(header.items()))), tensors)
