"""What of a step can be told from another's without doing either."""

from collections.abc import Hashable
from dataclasses import dataclass

from torch import Tensor
from torch.optim import Optimizer


@dataclass(frozen=True)
class Itself:
    """Equal for one and the same object alone. It keeps the object alive: its address could be another's tomorrow."""

    part: object

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Itself) and self.part is other.part

    def __hash__(self) -> int:
        return id(self.part)


def rates(optimizer: Optimizer) -> Hashable:
    """An optimizer's numbers. One that is a tensor may change its value: operations read it when they run."""
    return tuple(
        Itself(value) if isinstance(value, Tensor) else tuple(value) if isinstance(value, list) else value
        for group in optimizer.param_groups
        for key, value in group.items()
        if key != "params"
    )
