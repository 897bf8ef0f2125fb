"""A margin is positive exactly where a sample lies nearer to the real target, by the loss's own measure."""

import pytest
import torch
from torch import Tensor
from torch.nn.functional import relu, softplus
from torch.testing import assert_close

from gan_cli.losses import AdversarialLoss
from gan_cli.losses.bce import BCE
from gan_cli.losses.hinge import Hinge
from gan_cli.losses.lsgan import LSGAN
from gan_cli.losses.minimax import Minimax
from gan_cli.losses.rahinge import RaHinge
from gan_cli.losses.ralsgan import RaLSGAN
from gan_cli.losses.rasgan import RaSGAN
from gan_cli.losses.rsgan import RSGAN
from gan_cli.losses.wgan import WGAN
from gan_cli.streams import Streams

LOGITS = torch.tensor([[-30.0, -1.3, -0.6], [-0.4, -0.05, 0.05], [0.4, 0.6, 0.9], [1.1, 2.5, 40.0]]).double()

LOSSES: dict[str, AdversarialLoss] = {
    "bce": BCE(),
    "bce one-sided": BCE(real_target=0.9),
    "bce noisy": BCE(real_target=[0.7, 1.2], fake_target=[0.0, 0.3]),
    "bce reversed": BCE(0.0, 1.0, 0.0),
    "bce reversed and noisy": BCE([0.0, 0.3], [0.7, 1.2], 0.0),
    "minimax": Minimax(),
    "minimax reversed": Minimax(0.0, 1.0),
    "hinge": Hinge(),
    "lsgan 0-1": LSGAN(),
    "lsgan -1-1": LSGAN(1.0, -1.0, 0.0),
    "lsgan 1-0": LSGAN(0.0, 1.0, 0.0),
    "lsgan smoothed": LSGAN(real_target=0.9, fake_target=0.1),
    "lsgan noisy": LSGAN(real_target=[0.7, 1.2], fake_target=[0.0, 0.3]),
    "lsgan reversed and noisy": LSGAN([-1.0, -0.5], [0.0, 3.0], -1.0),
    "lsgan flips": LSGAN(flip=0.2),
}


def cost(loss: AdversarialLoss, logits: Tensor, kind: str) -> Tensor:
    """What the discriminator pays for samples of these logits as "real" or "fake" ones, with noise at its mean."""
    if isinstance(loss, Hinge):
        return relu(1 - logits) if kind == "real" else relu(1 + logits)
    target = getattr(loss, f"{kind}_target")
    mean = sum(target) / 2 if isinstance(target, list) else target
    return (logits - mean) ** 2 if isinstance(loss, LSGAN) else softplus(logits) - mean * logits


@pytest.mark.parametrize("name", LOSSES)
def test_margin_is_positive_exactly_where_a_sample_costs_less_as_a_real_one(name: str) -> None:
    loss = LOSSES[name]
    margin = loss.margin(LOGITS)
    assert margin is not None
    assert margin.shape == LOGITS.shape
    cheaper = cost(loss, LOGITS, "fake") - cost(loss, LOGITS, "real")
    assert torch.equal(margin.sign(), cheaper.sign())
    assert {-1.0, 1.0} == set(margin.sign().flatten().tolist())


@pytest.mark.parametrize("name", LOSSES)
def test_costs_are_the_losss_own(name: str) -> None:
    # So that the test above speaks of what is minimized.
    loss = LOSSES[name].drawn(Streams(0, torch.device("cpu")).draws("d", 0), 1)
    if loss is not LOSSES[name]:
        return  # with its noise drawn it is another
    halved = 0.5 if isinstance(loss, LSGAN) else 1.0
    for real, fake in zip(LOGITS.flatten(), LOGITS.flatten().flip(0), strict=True):
        expected = halved * (cost(loss, real, "real") + cost(loss, fake, "fake"))
        assert_close(loss.discriminator(real[None], fake[None]), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", LOSSES)
def test_margin_of_a_batch_is_that_of_each_logit_and_does_not_depend_on_what_was_drawn(name: str) -> None:
    loss = LOSSES[name]
    whole = loss.margin(LOGITS)
    assert whole is not None
    one_by_one = [loss.margin(logit) for logit in LOGITS.flatten()]
    assert torch.equal(whole, torch.stack([each for each in one_by_one if each is not None]).reshape(LOGITS.shape))


def test_margins_of_the_usual_codings() -> None:
    assert torch.equal(BCE().margin(LOGITS), LOGITS)
    assert torch.equal(Hinge().margin(LOGITS), LOGITS)
    assert torch.equal(Minimax().margin(LOGITS), LOGITS)
    assert torch.equal(LSGAN().margin(LOGITS), LOGITS - 0.5)
    assert torch.equal(LSGAN(1.0, -1.0, 0.0).margin(LOGITS), LOGITS)
    assert torch.equal(LSGAN(0.0, 1.0, 0.0).margin(LOGITS), 0.5 - LOGITS)
    assert torch.equal(BCE(0.0, 1.0, 0.0).margin(LOGITS), -LOGITS)


@pytest.mark.parametrize("loss", [BCE(0.5, 0.5), LSGAN(0.3, 0.3)], ids=repr)
def test_margin_has_some_sign_even_where_both_targets_are_the_same(loss: AdversarialLoss) -> None:
    margin = loss.margin(LOGITS)
    assert margin is not None
    assert margin.isfinite().all()


@pytest.mark.parametrize("loss", [WGAN(), RSGAN(), RaSGAN(), RaLSGAN(), RaHinge()], ids=repr)
def test_losses_of_differences_have_no_place_that_parts_real_from_fake(loss: AdversarialLoss) -> None:
    assert loss.margin(LOGITS) is None
    real, fake = LOGITS.flatten(), LOGITS.flatten().flip(0)
    # Wherever logits lie, the discriminator pays the same: no number divides them.
    shifted = loss.discriminator(real + 3, fake + 3)
    assert_close(shifted, loss.discriminator(real, fake), rtol=1e-10, atol=1e-10)
