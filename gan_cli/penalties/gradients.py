"""The critic's gradient with respect to its samples."""

import torch
from torch import Tensor
from torch._C._functorch import get_unwrapped, is_functorch_wrapped_tensor

from gan_cli.errors import RunFailed
from gan_cli.penalties import ExactCritic


def sample_gradients(critic: ExactCritic, samples: Tensor) -> Tensor:
    """∇D(x_i) of every sample, (N, d) with the sample's d numbers in a row; differentiable in the critic's parameters.

    Where a sample's logit depends on that sample alone, the gradient of the sum of all logits holds them all.

    Raises:
        RunFailed: the gradient does not depend on the parameters, so that a penalty on it would have no effect.
    """
    if is_functorch_wrapped_tensor(samples):  # the samples of one run among several, of which autograd sees them all
        gradients: Tensor = torch.func.grad(lambda inputs: critic(inputs).sum())(samples)
        depends = is_functorch_wrapped_tensor(gradients) and get_unwrapped(gradients).requires_grad
    else:
        inputs = samples.detach().requires_grad_()
        with torch.enable_grad():
            gradients = torch.autograd.grad(critic(inputs).sum(), inputs, create_graph=True)[0]
        depends = gradients.requires_grad
    if not depends:
        raise RunFailed(
            "the penalty would have no effect: the gradient of this discriminator with respect to its samples does not "
            "depend on its parameters (a custom backward, or a detached part?)"
        )
    return gradients.flatten(1)


def gradient_norm(critic: ExactCritic, samples: Tensor) -> Tensor:
    """‖∇D(x_i)‖₂, (N,); its own derivative is 0, not NaN, where the gradient vanishes."""
    norms: Tensor = torch.linalg.vector_norm(sample_gradients(critic, samples), dim=1)
    return norms


def squared_gradient_norm(critic: ExactCritic, samples: Tensor) -> Tensor:
    """‖∇D(x_i)‖₂², (N,)."""
    return sample_gradients(critic, samples).square().sum(1)
