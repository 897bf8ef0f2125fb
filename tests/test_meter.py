"""Means of statistics, and the first loss that was not finite."""

import math

import pytest
import torch
from torch.testing import assert_close

from gan_cli.errors import Diverged
from gan_cli.meter import Meter

CPU = torch.device("cpu")


def filled(values: list[tuple[float, float]], first_step: int = 1) -> Meter:
    meter = Meter()
    for step, (loss, logit) in enumerate(values, first_step):
        meter.add(step, {"loss/D": torch.tensor(loss), "logits/real": torch.tensor(logit)})
    return meter


def test_means_are_arithmetic_means_by_name() -> None:
    values = [(1.5, -3.0), (0.25, 8.0), (-7.0, 0.5)]
    means = filled(values).means()
    assert means == {"loss/D": pytest.approx((1.5 + 0.25 - 7) / 3), "logits/real": pytest.approx(5.5 / 3)}


def test_reading_twice_gives_the_same_means() -> None:
    meter = filled([(1.0, 2.0), (3.0, 4.0)])
    assert meter.means() == meter.means() == {"loss/D": 2.0, "logits/real": 3.0}


def test_clearing_starts_a_new_mean() -> None:
    meter = filled([(100.0, 100.0)])
    meter.clear()
    assert meter.means() == {}
    meter.add(2, {"loss/D": torch.tensor(4.0)})
    meter.add(3, {"loss/D": torch.tensor(6.0)})
    assert meter.means() == {"loss/D": 5.0}


def test_adding_leaves_the_tensors_that_were_added() -> None:
    meter, first = Meter(), torch.tensor(1.0)
    meter.add(1, {"loss/D": first})
    meter.add(2, {"loss/D": torch.tensor(5.0)})
    assert first.item() == 1.0


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize(("name", "network"), [("loss/D", "discriminator"), ("loss/G", "generator")])
def test_first_bad_step_and_its_network_are_named(bad: float, name: str, network: str) -> None:
    meter = Meter()
    for step in range(1, 9):
        losses = {"loss/D": torch.tensor(1.0), "loss/G": torch.tensor(1.0)}
        if step >= 4:
            losses[name] = torch.tensor(bad)
        if step >= 6:  # by then both are bad; the first one is the cause
            losses = {key: torch.tensor(math.nan) for key in losses}
        meter.add(step, losses)
    with pytest.raises(Diverged, match=f"the {network}'s loss became NaN or infinite at step 4\\."):
        meter.check()


def test_of_two_losses_bad_at_the_same_step_the_discriminator_is_named_because_it_moves_first() -> None:
    meter = Meter()
    meter.add(3, {"loss/G": torch.tensor(math.nan), "loss/D": torch.tensor(math.nan)})
    with pytest.raises(Diverged, match=r"discriminator's loss .* step 3"):
        meter.check()


def test_a_bad_loss_is_remembered_when_the_means_are_cleared_and_later_losses_are_finite() -> None:
    meter = filled([(1.0, 0.0), (math.nan, 0.0)])
    meter.clear()
    meter.add(3, {"loss/D": torch.tensor(1.0)})
    with pytest.raises(Diverged, match="step 2"):
        meter.check()


def test_only_losses_count_as_divergence() -> None:
    meter = filled([(1.0, math.inf), (2.0, math.nan)])
    meter.check()
    assert meter.means()["loss/D"] == 1.5


def test_a_restored_meter_goes_on_with_the_same_means() -> None:
    values = [(1.5, -3.0), (0.25, 8.0), (-7.0, 0.5), (2.0, 2.0)]
    straight, resumed = filled(values), Meter()
    resumed.restore(filled(values[:2]).state(), CPU)
    for step, (loss, logit) in enumerate(values[2:], 3):
        resumed.add(step, {"loss/D": torch.tensor(loss), "logits/real": torch.tensor(logit)})
    assert resumed.means() == straight.means()
    for name, tensor in straight.state().items():
        assert_close(resumed.state()[name], tensor, rtol=0, atol=0)


def test_state_of_a_cleared_meter_restores_to_nothing() -> None:
    meter, resumed = filled([(1.0, 2.0)]), filled([(9.0, 9.0)])
    meter.clear()
    resumed.restore(meter.state(), CPU)
    assert resumed.means() == {}
    resumed.add(5, {"loss/D": torch.tensor(3.0)})
    assert resumed.means() == {"loss/D": 3.0}


def test_adding_does_not_read_a_value_from_the_device() -> None:
    # A tensor without storage raises when something asks for its value.
    meter = Meter()
    for step in range(3):
        meter.add(step, {"loss/D": torch.empty((), device="meta"), "logits/real": torch.empty((), device="meta")})
    with pytest.raises(RuntimeError, match="meta"):
        meter.check()
