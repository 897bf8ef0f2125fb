"""A critic is its discriminator, computed in the asked precision, with logits in float32."""

from contextlib import nullcontext

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from gan_cli.accelerate import autocast
from gan_cli.critic import Critic
from gan_cli.models.mlp import MLPDiscriminator
from gan_cli.schema import Precision

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


class Spy(nn.Module):
    """A discriminator that notes in which precision its layer computes."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(2, 1)
        self.computed: list[torch.dtype] = []

    def forward(self, samples: Tensor) -> Tensor:
        logits = self.layer(samples).flatten()
        self.computed.append(logits.dtype)
        return logits


@pytest.mark.parametrize(
    ("precision", "inside"), [(Precision.fp32, torch.float32), (Precision.bf16, torch.bfloat16)], ids=["fp32", "bf16"]
)
def test_logits_are_float32_whatever_the_network_computes_in(precision: Precision, inside: torch.dtype) -> None:
    spy, samples = Spy(), torch.randn(5, 2)
    logits = Critic(spy, autocast(CPU, precision))(samples)
    assert spy.computed == [inside]
    # bfloat16 has 8 significant bits: the logits are near 1, and what was rounded is handed on unchanged.
    expected = (samples @ spy.layer.weight.T + spy.layer.bias).flatten()
    assert_close(logits, expected, rtol=0, atol=1e-6 if inside is torch.float32 else 0.02)
    assert torch.equal(logits, logits.to(inside).float())
    assert not torch.is_autocast_enabled("cpu")


def test_logits_of_a_float64_network_stay_float64() -> None:
    spy = Spy().double()
    samples = torch.randn(5, 2, dtype=torch.float64)
    assert torch.equal(Critic(spy, nullcontext)(samples), spy(samples))


def test_critic_without_autocast_is_its_discriminator_with_gradients() -> None:
    discriminator = MLPDiscriminator((1, 3, 3), widths=(7,))
    critic = Critic(discriminator, nullcontext)
    samples = torch.randn(4, 1, 3, 3, requires_grad=True)
    logits, expected = critic(samples), discriminator(samples)
    assert torch.equal(logits, expected)
    wanted = [samples, *discriminator.parameters()]
    for ours, theirs in zip(
        torch.autograd.grad(logits.sum(), wanted), torch.autograd.grad(expected.sum(), wanted), strict=True
    ):
        assert torch.equal(ours, theirs)
