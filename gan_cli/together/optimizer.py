"""Optimizers of one kind as one, over stacked parameters."""

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim import SGD, Adam, AdamW, Optimizer, RMSprop

from gan_cli.errors import Incompatible
from gan_cli.together.stack import Stack

_PROPORTIONAL = (Adam, AdamW, RMSprop, SGD)
"""Their change of a number is proportional to the learning rate, and depends on no other number of the network."""

_COUNT = "step"  # the one entry of their states that is not shaped like the parameter


class JoinedOptimizer(Optimizer):
    """Moves the stacked parameters of K networks as each network's own optimizer would.

    The options are those of the first, and the learning rates each one's own, at every step as they are then. The state
    of the K optimizers becomes a view into that of the one.

    Raises:
        Incompatible: of this kind of optimizer it is not known that one can stand for several.
    """

    def __init__(self, stack: Stack, parts: Sequence[Optimizer]) -> None:
        kind = type(parts[0])
        if kind not in _PROPORTIONAL:
            known = ", ".join(known.__name__ for known in _PROPORTIONAL)
            raise Incompatible(f"the optimizer {kind.__name__} is not known to move several runs as one ({known} are)")
        super().__init__(stack.parameters(), {})
        self._parts = parts
        self._moved: list[Tensor] = self.param_groups[0]["params"]
        accepted = inspect.signature(kind).parameters  # AdamW's group holds what it does not take
        self._whole = kind(self._moved, **{key: value for key, value in self._options().items() if key in accepted})
        self._join_states()
        self._shared = False

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """One update of all."""
        group, rates = self._whole.param_groups[0], [part.param_groups[0]["lr"] for part in self._parts]
        group |= self._options()
        if len(set(rates)) == 1:
            self._whole.step()
        else:
            self._step_scaled(rates)
        if not self._shared:
            self._share_states()

    def _step_scaled(self, rates: Sequence[float]) -> None:
        """Update with a learning rate of 1, and take each network's share of the change."""
        self._whole.param_groups[0]["lr"] = 1.0
        before = [parameter.detach().clone() for parameter in self._moved]
        self._whole.step()
        shares = torch.tensor(rates, device=self._moved[0].device)
        for parameter, old in zip(self._moved, before, strict=True):
            parameter.copy_(old.lerp(parameter, shares.to(old.dtype).reshape(-1, *(1,) * (old.dim() - 1))))

    def _options(self) -> dict[str, Any]:
        return {key: value for key, value in self._parts[0].param_groups[0].items() if key != "params"}

    def _join_states(self) -> None:
        """Take up what restored optimizers hold."""
        for number, whole in enumerate(self._moved):
            states = [part.state.get(part.param_groups[0]["params"][number], {}) for part in self._parts]
            for key, value in states[0].items():
                stacked = isinstance(value, Tensor) and key != _COUNT
                self._whole.state[whole][key] = torch.stack([state[key] for state in states]) if stacked else value

    def _share_states(self) -> None:
        """Make the state of each optimizer a view, which a checkpoint reads."""
        for number, whole in enumerate(self._moved):
            for place, part in enumerate(self._parts):
                part.state[part.param_groups[0]["params"][number]] = {
                    key: value[place] if isinstance(value, Tensor) and key != _COUNT else value
                    for key, value in self._whole.state[whole].items()
                }
        self._shared = True
