"""What a run turns before each step: the numbers that follow a schedule."""

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor
from torch.optim import Optimizer

from gan_cli.schedules import Schedule, follow

Dial = Callable[[int], None]
"""Sets something to what it is at a step, counted from 0."""


def optimizer_dial(optimizer: Optimizer, lr: float, factor: Schedule, options: Mapping[str, Any]) -> Dial:
    """Sets the learning rate to `lr` times the factor, and each option that follows a schedule of its own."""
    changing = {name: value for name, value in options.items() if follow(value, 0) != value}

    def turn(step: int) -> None:
        for group in optimizer.param_groups:
            rate = lr * factor(step)
            if isinstance(group["lr"], Tensor):  # read by recorded operations, wherever they run
                group["lr"].fill_(rate)
            else:
                group["lr"] = rate
            for name, value in changing.items():
                group[name] = follow(value, step)

    return turn


def attribute_dial(owner: object, name: str, value: Any) -> Dial:
    """Sets an attribute to what a configured value is at the step."""
    return lambda step: setattr(owner, name, follow(value, step))
