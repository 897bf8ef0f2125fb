"""What a run does without, so that its first step comes soon."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from conftest import TINY
from torch import nn

from gan_cli.optimizers import without_compiler

SLOW = ("torch._dynamo", "sympy", "torchvision", "torch.distributed.fsdp", "optuna", "pandas")


def test_a_run_imports_neither_the_compiler_nor_torchvision(tmp_path: Path) -> None:
    # Each takes as long as torch itself.
    script = (
        "import sys\nfrom gan_cli.commands.train import train\n"
        f"try:\n    train()\nexcept SystemExit as end:\n    print(end.code, set({SLOW}) & sys.modules.keys())"
    )
    shell = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script, *TINY, "device.threads=1"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=os.environ | {"HYDRA_FULL_ERROR": "0"},
    )
    assert shell.stdout.splitlines()[-1] == "0 set()", shell.stderr


OPTIMIZERS = {
    "Adam": {"fused": True, "lr": 1e-2},
    "AdamW": {"lr": 1e-2},
    "RMSprop": {"lr": 1e-2},
    "SGD": {"lr": 1e-2, "momentum": 0.9},
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers_without_the_compiler_move_as_they_do_with_it(name: str) -> None:
    kind = getattr(torch.optim, name)
    owner = next(base for base in kind.__mro__ if "step" in vars(base))
    before, layers = owner.step, []
    try:
        for change in (lambda: None, without_compiler):
            change()
            torch.manual_seed(0)
            layer = nn.Linear(3, 2)
            optimizer = kind(layer.parameters(), **OPTIMIZERS[name])
            for _ in range(5):
                optimizer.zero_grad()
                layer(torch.ones(4, 3)).square().sum().backward()
                optimizer.step()
            layers.append(layer)
    finally:
        owner.step = before
    one, other = layers
    assert torch.equal(one.weight, other.weight)
    assert torch.equal(one.bias, other.bias)


def test_a_differentiable_optimizer_still_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.optim.SGD, "step", torch.optim.SGD.step)  # put back afterwards
    without_compiler()
    parameter = torch.ones(2, requires_grad=True)
    moved = parameter.clone()
    moved.retain_grad()
    optimizer = torch.optim.SGD([moved], lr=0.5, differentiable=True)
    moved.grad = parameter * 2
    optimizer.step()
    (gradient,) = torch.autograd.grad(moved.sum(), parameter)
    assert torch.equal(gradient, torch.zeros(2))  # 1 - 0.5 · 2
