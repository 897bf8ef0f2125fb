"""Torch's optimizers without torch's compiler, which they import at their first use."""

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch.optim import Optimizer


def without_compiler() -> None:
    """Let torch's optimizers, in this process, do without torch._dynamo: its import takes as long as that of torch.

    They import it to keep themselves out of what it compiles; where nothing is compiled there is nothing to keep out
    of. What they compute stays the same. (Private names of torch: where they have changed, nothing is done.)
    """
    for method in vars(Optimizer).values():  # each imports it when called first, and notes that on what it wraps
        behind = getattr(method, "__wrapped__", None)
        if behind is not None and not hasattr(behind, "__dynamo_disable"):
            setattr(behind, "__dynamo_disable", behind)
    for kind in vars(torch.optim).values():  # each `step` imports it to break compiled graphs
        step: Any = vars(kind).get("step") if isinstance(kind, type) and issubclass(kind, Optimizer) else None
        if hasattr(step, "__wrapped__") and step.__code__.co_name == "_use_grad":
            kind.step = _step(step.__wrapped__)


def _step(plain: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(plain)
    def step(self: Optimizer, *args: Any, **kwargs: Any) -> Any:
        with torch.set_grad_enabled(self.defaults["differentiable"]):
            return plain(self, *args, **kwargs)

    return step
