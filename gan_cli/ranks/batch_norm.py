"""BatchNorm whose batch is that of all ranks. (torch.nn.SyncBatchNorm is for GPUs alone.)"""

from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from gan_cli.errors import Refused
from gan_cli.ranks.ranks import Ranks

_KNOWN = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


class SharedBatchNorm(_BatchNorm):
    """BatchNorm over the samples of all ranks while training; in evaluation as ever, without the others.

    With x of all ranks, as many on each:

        y = (x - E x) / sqrt(Var x + ε) · weight + bias

    The ranks' means and variances are put together exactly: E x = mean of the E_r x, and Var x = mean of Var_r x +
    (E_r x - E x)². The gradient goes the same way back (Ioffe and Szegedy 2015, arXiv:1502.03167, section 3).

    Where `momentum` is None a sampler takes the statistics of its own fixed batch, on this rank alone.
    """

    ranks: Ranks

    def forward(self, inputs: Tensor) -> Tensor:
        """(N, C, ...) to the same."""
        if not self.training or self.momentum is None:
            return super().forward(inputs)
        exact = inputs if inputs.dtype == torch.float64 else inputs.float()
        over, shape = [0, *range(2, exact.dim())], (1, -1, *(1,) * (exact.dim() - 2))
        own_mean = exact.mean(over)
        own_var = (exact - own_mean.reshape(shape)).square().mean(over)  # torch.var_mean takes ten times as long
        means, variances = _of_all(torch.stack([own_mean, own_var]), self.ranks).unbind(1)
        mean = means.mean(0)
        variance = (variances + (means - mean).square()).mean(0)
        self._note(mean.detach(), variance.detach(), self.ranks.size * exact[:, 0].numel())
        scale = (variance + self.eps).rsqrt()
        if self.affine:
            scale = scale * self.weight
        shift = -mean * scale + (self.bias if self.affine else 0)
        return torch.addcmul(shift.reshape(shape), exact, scale.reshape(shape)).to(inputs.dtype)

    @torch.no_grad()
    def _note(self, mean: Tensor, variance: Tensor, count: int) -> None:
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        assert self.momentum is not None
        self.num_batches_tracked.add_(1)
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), self.momentum)
        self.running_var.lerp_((variance * (count / max(count - 1, 1))).to(self.running_var.dtype), self.momentum)

    def _check_input_dim(self, input: Tensor) -> None:
        pass  # the layer in whose place this one stands has done so in tests of the network


def _of_all(own: Tensor, ranks: Ranks) -> Tensor:
    """Tensors of all ranks, (ranks, ...), differentiably on each: what any rank makes of them counts."""
    return cast(Tensor, _Gather.apply(own, ranks))


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, own: Tensor, ranks: Ranks) -> Tensor:
        ctx.ranks = ranks
        return ranks.gathered(own.detach()[None])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        ranks: Ranks = ctx.ranks
        return ranks.sum_over_ranks(gradients[0].clone())[ranks.rank], None


def share_statistics(network: nn.Module, ranks: Ranks) -> None:
    """Put a `SharedBatchNorm` with the same parameters and buffers in the place of every BatchNorm of a network.

    Raises:
        Refused: one of them is of a kind of its own, whose statistics would be those of each rank's samples.
    """
    if ranks.size == 1:
        return
    for parent in list(network.modules()):
        for name, layer in list(parent.named_children()):
            if not isinstance(layer, _BatchNorm) or isinstance(layer, SharedBatchNorm | nn.SyncBatchNorm):
                continue
            if type(layer) not in _KNOWN or layer.momentum is None:
                raise Refused(
                    f"{type(layer).__name__} with momentum={layer.momentum} normalizes the samples of one rank by "
                    "themselves: use torch.nn.BatchNorm1d, 2d or 3d with a momentum, or one process"
                )
            setattr(parent, name, _shared(layer, ranks))


def _shared(layer: _BatchNorm, ranks: Ranks) -> SharedBatchNorm:
    shared = SharedBatchNorm.__new__(SharedBatchNorm)
    nn.Module.__init__(shared)
    vars(shared).update(vars(layer))
    shared.ranks = ranks
    return shared
