"""The operations of a step as a list, for processors that have no graphs of their own."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch._ops import OpOverload
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only

from gan_cli.replay.tape import NotReplayable

_EMPTY = {"empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided"}
_OF_RESULTS = {"dtype", "layout", "device", "pin_memory"}  # what a tensor that is written into has already
_VIEWS = {"_unsafe_view"}  # views whose signature does not say so


@dataclass(frozen=True)
class _Call:
    """One operation, in the form that writes into given tensors; where there is none, its results are copied."""

    operation: OpOverload
    arguments: tuple[Any, ...]
    options: dict[str, Any]
    copies: tuple[Tensor, ...] = ()

    def __call__(self) -> None:
        results = self.operation(*self.arguments, **self.options)
        if self.copies:
            for kept, new in zip(self.copies, _made(self.operation, results), strict=True):
                kept.copy_(new)


class OperationList(TorchDispatchMode):
    """Notes every operation while it runs, below autograd: those of the backward pass and of optimizers too.

    Tensors that operations made are kept, and replaying writes new values into them: the memory of all results of a
    step is held at once.

    Args:
        most_bytes: of results; beyond it recording ends.
    """

    def __init__(self, most_bytes: int) -> None:
        super().__init__()
        self._calls: list[_Call] = []
        self._most_bytes = most_bytes
        self.num_bytes = 0

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # there is no compiler to hide from, and hiding would import it

    @classmethod
    def record(cls, work: Callable[[], None], most_bytes: int) -> "OperationList":
        """Do the work once, and note how.

        Raises:
            NotReplayable: it waits for the value of a tensor, or its results take too much memory.
        """
        recording = cls(most_bytes)
        with recording:
            work()
        return recording

    def __str__(self) -> str:
        return f"{len(self._calls)} operations, whose results take {self.num_bytes / 2**20:,.1f} MB"

    @torch.inference_mode()
    def replay(self) -> None:
        """Do the work again, on whatever its inputs hold now."""
        for call in self._calls:
            call()

    def __torch_dispatch__(
        self, func: OpOverload, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        options = kwargs or {}
        name = func._schema.name.split("::")[1]
        if _reads_values(func, args):
            raise NotReplayable(f"it waits for the value of a tensor (aten::{name})")
        if torch.Tag.inplace_view in func.tags:
            raise NotReplayable(f"it changes the shape of a tensor in place (aten::{name})")
        arguments, further = _held(args), _held(options)
        results = func(*args, **options)
        if not _is_view(func) and name not in _EMPTY | _VIEWS and func.namespace != "profiler":
            self._note(func, arguments, further, results)
        return results

    def _note(self, func: OpOverload, arguments: tuple[Any, ...], options: dict[str, Any], results: Any) -> None:
        made = tuple(_held(tensor) for tensor in _made(func, results))
        self.num_bytes += sum(tensor.nbytes for tensor in made)
        if self.num_bytes > self._most_bytes:
            raise NotReplayable(f"the results of its operations take more than {self._most_bytes / 2**20:,.0f} MB")
        writing = None if func._schema.is_mutable else _writing_form(func, len(made))
        if writing is None:
            self._calls.append(_Call(func, arguments, options, made))
        else:
            operation, names = writing
            allowed = {argument.name for argument in operation._schema.arguments}
            kept = {key: value for key, value in options.items() if key in allowed}
            self._calls.append(_Call(operation, arguments, kept | dict(zip(names, made, strict=True))))


def _reads_values(func: OpOverload, args: tuple[Any, ...]) -> bool:
    """Whether what follows depends on the values of tensors: a number in Python, or a shape."""
    if torch.Tag.data_dependent_output in func.tags:
        return True
    if torch.Tag.dynamic_output_shape not in func.tags:
        return False
    by_places = func is torch.ops.aten.index.Tensor and all(
        place is None or place.dtype not in (torch.bool, torch.uint8) for place in args[1]
    )
    return not by_places


def _made(func: OpOverload, results: Any) -> list[Tensor]:
    """The results that are new tensors, rather than arguments written into."""
    each = results if len(func._schema.returns) > 1 else (results,)
    fresh = [
        result for result, returned in zip(each, func._schema.returns, strict=False) if returned.alias_info is None
    ]
    return [leaf for leaf in tree_leaves(fresh) if isinstance(leaf, Tensor)]


def _held(value: Any) -> Any:
    """The same tensors without their history, which would keep the recorded step's graph alive."""
    return tree_map_only(Tensor, Tensor.detach, value)


def _is_view(func: OpOverload) -> bool:
    """Whether the results are other names of an argument's memory."""
    return any(
        returned.alias_info is not None and not returned.alias_info.is_write for returned in func._schema.returns
    )


def _writing_form(func: OpOverload, count: int) -> tuple[OpOverload, list[str]] | None:
    """The overload that writes its `count` results into arguments, and these arguments' names."""
    wanted = [_typed(argument) for argument in func._schema.arguments if argument.name not in _OF_RESULTS]
    packet = func._overloadpacket
    for overload in (getattr(packet, name) for name in packet.overloads()):
        arguments = overload._schema.arguments
        outs = [argument.name for argument in arguments if argument.is_out]
        inputs = [_typed(argument) for argument in arguments if not (argument.is_out or argument.name in _OF_RESULTS)]
        if len(outs) == count and inputs == wanted:
            return overload, outs
    return None


def _typed(argument: Any) -> tuple[str, str]:
    return argument.name, str(argument.type)
