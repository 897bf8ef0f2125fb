"""What each rule looks at: identities of its scales, its test of a trend, and edges of what can be judged."""

import math
from itertools import permutations

import pytest

from gan_cli.doctor.diagnosis import diagnose, examine, summary_line
from gan_cli.doctor.divergence import diverging
from gan_cli.doctor.improvement import still_improving
from gan_cli.doctor.log import Log
from gan_cli.doctor.memory import memorising
from gan_cli.doctor.saturation import discriminator_saturated
from gan_cli.doctor.scale import scale_of
from gan_cli.doctor.series import Series
from gan_cli.doctor.starvation import generator_starved
from gan_cli.doctor.trend import chance_of_fall
from gan_cli.doctor.verdict import Clear, Unjudged, Verdict


def loss(name: str, **options: object) -> dict[str, object]:
    modules = {"BCE": "bce", "Minimax": "minimax", "LSGAN": "lsgan", "Hinge": "hinge", "WGAN": "wgan"}
    return {"_target_": f"gan_cli.losses.{modules.get(name, name.lower())}.{name}", **options}


LOSSES = [
    *(loss(name) for name in ("BCE", "Minimax", "LSGAN", "Hinge", "RSGAN", "RaSGAN", "RaLSGAN", "RaHinge")),
    *(loss(name, real_target=0.9, d_scale=0.5) for name in ("BCE", "LSGAN")),
    *(loss(name, flip=0.1) for name in ("BCE", "LSGAN")),
    *(loss(name, real_target=[0.7, 1.2], fake_target=[0.0, 0.3]) for name in ("BCE", "LSGAN")),
]


@pytest.mark.parametrize("configured", LOSSES, ids=str)
def test_scale_is_that_of_the_loss_itself(configured: dict[str, object]) -> None:
    """Over grids of a real and a fake logit: the least value of the loss, and the least where both are one logit."""
    import importlib

    import torch

    from gan_cli.streams import Streams

    module, _, name = str(configured["_target_"]).rpartition(".")
    options = {key: value for key, value in configured.items() if key != "_target_"}
    objective = getattr(importlib.import_module(module), name)(**options)
    if "flip" in options or isinstance(options.get("real_target"), list):
        objective = objective.drawn(Streams(0, torch.device("cpu")).draws("targets", 1), 4000)
    grid = torch.cat([torch.linspace(-2, 3, 21), torch.tensor([-20.0, 20.0])]).double()
    ones = torch.ones(4000, 1, dtype=torch.float64)
    sampled = isinstance(getattr(objective, "real_target", 0), torch.Tensor)
    count = ones if sampled else ones[:2]
    apart = min(float(objective.discriminator(real * count, fake * count)) for real in grid for fake in grid)
    same = min(float(objective.discriminator(one * count, one * count)) for one in grid)
    scale = scale_of(configured)
    assert scale is not None
    tolerance = 0.03 if sampled else 0.01
    assert scale.least == pytest.approx(apart, abs=tolerance)
    assert scale.blind == pytest.approx(same, abs=tolerance)


@pytest.mark.parametrize(
    "configured",
    [
        loss("WGAN"),
        {"_target_": "my_losses.BCE"},
        {},
        loss("BCE", d_scale="x"),
        loss("BCE", real_target={"start": 1}),
        loss("LSGAN", real_target=0.0),
    ],
    ids=str,
)
def test_loss_without_a_known_scale_is_not_judged(configured: dict[str, object]) -> None:
    assert scale_of(configured) is None
    log = Log(means={"loss/D": curve([0.0] * 9)}, config={"loss": configured})
    assert isinstance(discriminator_saturated(log), Unjudged)


def test_chance_of_fall_is_the_share_of_orders_that_rise_as_little() -> None:
    orders = list(permutations(range(5)))

    def rises(order: tuple[int, ...]) -> int:
        return sum(order[i] < order[j] for j in range(5) for i in range(j))

    for order in orders[::7]:
        share = sum(rises(other) <= rises(order) for other in orders) / len(orders)
        assert chance_of_fall(order) == pytest.approx(share)
    assert chance_of_fall([1.0] * 6) == 1
    assert chance_of_fall(range(5000, 0, -1)) < 1e-12


def curve(values: list[float], floor: float | None = None, every: int = 10) -> Series:
    return Series([every * (at + 1) for at in range(len(values))], values, floor, 2000)


def run(kind: str, d: list[float], g: list[float], **metrics: Series) -> Log:
    means = {"loss/D": curve(d), "loss/G": curve(g)}
    return Log(means, {name: (found,) for name, found in metrics.items()}, config={"loss": loss(kind)})


def test_one_line_of_a_saturated_discriminator_is_not_enough() -> None:
    assert isinstance(discriminator_saturated(run("BCE", [1.0] * 6 + [0.01] * 3, [1.0] * 9)), Verdict)
    assert isinstance(discriminator_saturated(run("BCE", [1.0] * 8 + [0.01], [1.0] * 9)), Clear)
    assert isinstance(discriminator_saturated(run("BCE", [0.01] * 8 + [1.0], [1.0] * 9)), Clear)
    assert isinstance(discriminator_saturated(run("BCE", [0.01] * 4, [1.0] * 4)), Unjudged)


def test_discriminator_that_wins_is_not_saturated_while_samples_get_better() -> None:
    better = curve([9.0, 8, 7, 6, 5, 4, 3, 2, 1], 0.0)
    assert isinstance(discriminator_saturated(run("BCE", [0.01] * 9, [1.0] * 9, kid=better)), Clear)


def test_same_loss_means_another_thing_of_another_loss() -> None:
    assert isinstance(discriminator_saturated(run("LSGAN", [0.03] * 9, [0.5] * 9)), Clear)
    assert isinstance(discriminator_saturated(run("BCE", [0.03] * 9, [0.5] * 9)), Verdict)


def test_gradient_of_minimax_vanishes_with_its_loss() -> None:
    assert isinstance(generator_starved(run("Minimax", [0.01] * 9, [-0.04] * 9)), Verdict)
    assert isinstance(generator_starved(run("Minimax", [0.01] * 9, [-0.06] * 9)), Clear)


def test_growing_loss_of_a_generator_is_no_alarm_while_samples_get_better() -> None:
    grows = [1.0, 1, 1, 2, 3, 4, 5, 5, 5]
    stays, falls = curve([1.0] * 9, 0.0), curve([9.0, 9, 9, 5, 5, 5, 5, 5, 5], 0.0)
    assert isinstance(generator_starved(run("BCE", [0.5] * 9, grows, kid=stays)), Verdict)
    assert isinstance(generator_starved(run("BCE", [0.5] * 9, grows, kid=falls)), Clear)
    assert isinstance(generator_starved(run("BCE", [0.5] * 9, grows)), Unjudged)


def test_logits_may_wander_under_a_relativistic_loss_alone() -> None:
    wandering = {name: curve([10.0**at for at in range(9)]) for name in ("logits/real", "logits/fake")}
    losses = {name: curve([0.7] * 9) for name in ("loss/D", "loss/G")}
    assert isinstance(diverging(Log(losses | wandering, config={"loss": loss("RSGAN")})), Clear)
    assert isinstance(diverging(Log(losses | wandering, config={"loss": loss("BCE")})), Verdict)


@pytest.mark.parametrize(
    ("copied", "floor", "seen"), [(0.04, 0.005, False), (0.06, 0.005, True), (0.06, 0.02, False), (0.3, 0.005, True)]
)
def test_copies_are_counted_against_held_out_images(copied: float, floor: float, seen: bool) -> None:
    log = Log(finals={"copied": (curve([copied], floor),)})
    assert isinstance(memorising(log), Verdict) is seen


def test_final_evaluation_goes_before_the_ones_under_way() -> None:
    log = Log(metrics={"copied": (curve([0.0] * 5, 0.005),)}, finals={"copied": (Series([50], [0.9], 0.005, 10000),)})
    assert isinstance(memorising(log), Verdict)


def test_three_readings_are_too_few_for_a_trend() -> None:
    assert isinstance(still_improving(Log(metrics={"kid": (curve([3.0, 2, 1], 0.0),)})), Unjudged)
    assert isinstance(still_improving(Log(metrics={"kid": (curve([9.0, 8, 3, 2, 1, 0.5], 0.0),)})), Verdict)
    assert isinstance(still_improving(Log(metrics={"kid": (curve([1.0, 2, 3, 4, 5, 6], 0.0),)})), Clear)
    flat = curve([1.0 - 0.001 * at for at in range(12)], 0.0)
    assert isinstance(still_improving(Log(metrics={"kid": (flat,)})), Clear)


def test_of_an_empty_log_nothing_is_judged() -> None:
    findings = examine(Log())
    assert all(isinstance(finding, Unjudged) for finding in findings)
    assert len(findings) == 6
    assert summary_line(findings) == "nothing could be judged"
    assert diagnose(Log()) == []


def test_diverged_run_is_told_with_its_reason_and_nothing_else() -> None:
    log = Log(state="diverged", reason="the generator's loss became NaN at step 7.\nA smaller ...")
    (finding,) = examine(log)
    assert isinstance(finding, Verdict)
    assert finding.evidence == "the generator's loss became NaN at step 7."


def test_thirds_part_the_steps_of_a_curve() -> None:
    whole = curve([float(at) for at in range(30)])
    parts = [whole.third(number) for number in range(3)]
    assert [step for part in parts for step in part.steps] == list(whole.steps)
    assert [len(part) for part in parts] == [10, 10, 10]
    assert math.isclose(whole.last_third.middle, 24.5)
