"""A network as it will be after a few updates, differentiably: nothing is moved, so nothing need be put back."""

import inspect
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.optim import Optimizer

Function = Callable[..., Tensor]
"""A network with other parameters than its own: called like the network."""

_SQUARES = ("exp_avg_sq", "square_avg", "sum")
_TINY = 1e-30  # a root's derivative at 0 is infinite; this far below any eps the root itself does not change


def can_unroll(optimizer: type[Optimizer]) -> bool:
    """Whether an optimizer's update can be differentiated through."""
    return "differentiable" in inspect.signature(optimizer).parameters


def unrolled(
    network: nn.Module, optimizer: Optimizer, objective: Callable[[Function, int], Tensor], steps: int
) -> Function:
    """The network after `steps` updates of its optimizer, as a function of all that the objective depends on.

        θ_0 = θ        θ_{i+1} = θ_i - update(∂ objective(θ_i) / ∂θ_i)

    The updates are the optimizer's own, with its state and rates of the moment; parameters, buffers and state are
    copied first, so that the real ones stay as they are.

    Args:
        objective: of the network at θ_i and i, the scalar that its updates minimize.

    Source: Metz et al. 2017, arXiv:1611.02163, equations (7) to (9).
    """
    parameters = {name: parameter.detach().clone().requires_grad_() for name, parameter in network.named_parameters()}
    buffers = {name: buffer.clone() for name, buffer in network.named_buffers()}
    state = [dict(optimizer.state.get(parameter, {})) for parameter in network.parameters()]
    for step in range(steps):
        loss = objective(partial(_called, network, parameters | buffers), step)
        gradients = torch.autograd.grad(loss, list(parameters.values()), create_graph=True, allow_unused=True)
        parameters, state = _updated(optimizer, parameters, gradients, state)
    return partial(_called, network, parameters | buffers)


def _called(network: nn.Module, tensors: dict[str, Tensor], *inputs: Tensor) -> Tensor:
    outputs: Tensor = functional_call(network, tensors, inputs)
    return outputs


def _updated(
    optimizer: Optimizer,
    parameters: dict[str, Tensor],
    gradients: tuple[Tensor | None, ...],
    state: list[dict[str, Tensor]],
) -> tuple[dict[str, Tensor], list[dict[str, Tensor]]]:
    """The next parameters and optimizer state, by a copy of the optimizer that is differentiated through."""
    moved = {name: parameter.clone() for name, parameter in parameters.items()}
    accepted = inspect.signature(type(optimizer)).parameters
    options = {key: value for key, value in optimizer.param_groups[0].items() if key in accepted and key != "params"}
    plain = {key: False for key in ("fused", "foreach") if key in accepted}
    copy = type(optimizer)(moved.values(), **options | {"differentiable": True} | plain)
    for parameter, gradient, entries in zip(moved.values(), gradients, state, strict=True):
        parameter.retain_grad()  # a leaf's right: to have its gradient set and read
        parameter.grad = gradient
        copy.state[parameter] = {
            key: value + _TINY if key in _SQUARES else value.clone()
            for key, value in entries.items()
            if value is not None
        }
    copy.step()
    return moved, [copy.state[parameter] for parameter in moved.values()]
