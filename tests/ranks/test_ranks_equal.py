"""Two processes with half of the batch each compute what one computes with all of it."""

import functools
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import ranks_worker
import torch
from safetensors.torch import load_file

from gan_cli.ranks.ranks import ALONE

POINTS = [
    *("data=gaussian2d", "data.num_samples=256", "model.generator.widths=[16]", "model.discriminator.widths=[16]"),
    *("latent.dim=4", "train.batch_size=128", "train.steps=12", "optim=sgd", "optim.lr=0.05", "train.evaluate_every=0"),
]
IMAGES = [
    *("data.limit=256", "latent.dim=4", "train.batch_size=128", "train.steps=12", "optim=sgd", "optim.lr=0.05"),
    *("model.generator.widths=[16]", "model.discriminator.widths=[16]", "train.evaluate_every=0"),
]
DCGAN = [
    *("model=dcgan", "model.generator.hidden=16", "model.generator.widths=[8,4]", "model.discriminator.hidden=16"),
    *("model.discriminator.widths=[4,4]", "data.limit=256", "latent.dim=4", "train.batch_size=128"),
    *("optim=sgd", "optim.lr=0.05", "train.evaluate_every=0"),
    # One step, and no kinks but those of the pooling: a rounding that decides which of two pixels is the larger is ten
    # thousand times itself after three steps, through layers of BatchNorm.
    "train.steps=1",
    *("model.generator.activation=tanh", "model.discriminator.activation=tanh"),
]
BATCH_NORM = "model.discriminator.norm=batch"

LOSSES = ("bce", "hinge", "lsgan", "minimax", "rahinge", "ralsgan", "rasgan", "rsgan", "wgan")
PENALTIES = ("none", "gp", "dragan", "r1", "r2", "r1r2")
CASES: dict[str, list[str]] = {
    f"{loss}_{penalty}": [
        *(*POINTS, f"loss={loss}", f"penalty={penalty}"),
        *(["optim.discriminator.weight_clip=0.05"] if loss == "wgan" else []),
        *(["penalty.weight=1"] if penalty in ("gp", "dragan") else []),  # 10 diverges under plain descent
    ]
    for loss in LOSSES
    for penalty in PENALTIES
} | {
    "noisy_targets": [*POINTS, "loss.real_target=[0.7,1.2]", "loss.fake_target=[0,0.3]", "loss.flip=0.2"],
    "noise": [*POINTS, "critic.noise=0.3"],
    "clipped": [*POINTS, "optim.clip_norm=0.01"],
    "d_steps": [*POINTS, "train.d_steps=2"],
    "latents": [*POINTS, "train.reuse=latents"],
    "fakes": [*POINTS, "train.reuse=fakes"],
    "packing": [*POINTS, "model.discriminator.packing=2", "penalty=gp", "critic.noise=0.1"],
    "minibatch_std": [*POINTS, "model.discriminator.minibatch_std=4"],
    "ragged": [*POINTS, "data.num_samples=300", "data.drop_last=false"],
    "momentum": [*POINTS, "optim.momentum=0.9", "ema.half_life=50"],
    "norm_of_points": [*POINTS, BATCH_NORM],
    "ada": [*IMAGES, "augment=ada", "augment.images=200", "augment.every=1", "augment.p=0.5", "critic.flip=true"],
    "diffaugment": [*IMAGES, "augment=diffaugment", "data.flip=true", "loss=rasgan"],
    "dcgan": [*DCGAN, BATCH_NORM, "ema.half_life=50"],
    "dcgan_fixed_batch": [*DCGAN, "sampling.batch_norm=batch"],
    "dcgan_classes": [*DCGAN, "model.conditional=projection"],
    "measured": [
        *(*DCGAN, "data.limit=1200", "train.evaluate_every=1", "evaluate.num_images=600", "evaluate.final_images=0"),
        *("evaluate.extractor=random_v1", "sampling.batch_norm=batch"),
    ],
}

QUICK = {"bce_r1", "rasgan_dragan", "rahinge_none", "wgan_gp", "ralsgan_r1r2"} | set(list(CASES)[54:])

WITH_POOLING = 3e-4
"""Of one step through a discriminator that pools, where a rounding can decide which pixel is the largest."""

TOLERANCE = 2e-5
"""Sums over the batch in another order differ by some 1e-7 of their terms; three steps of gradient descent at a rate of
0.05 pass that on a few times over. What is wrong in kind (a mean, a statistic or a draw of half of the batch) is seen
at 1e-3 and more: see `test_the_tolerance_would_show_a_mistake`."""


@dataclass(frozen=True)
class Pair:
    """What two ranks left."""

    out: Path
    told: tuple[dict[str, Any], dict[str, Any]]

    def state(self, rank: int, case: str) -> dict[str, torch.Tensor]:
        return load_file(self.out / str(rank) / f"{case}.safetensors")


def together(cases: dict[str, list[str]], out: Path) -> Pair:
    """Let two ranks go through cases."""
    (out / "cases.json").write_text(json.dumps(cases))
    done = subprocess.run(
        [sys.executable, "-W", "error", ranks_worker.__file__, str(out / "cases.json"), str(out)],
        capture_output=True,
        text=True,
        timeout=400,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    first, second = (json.loads((out / f"{rank}.json").read_text()) for rank in (0, 1))
    return Pair(out, (first, second))


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Pair]:
    """The pair that has gone through a case."""

    @functools.cache
    def of(quick: bool) -> Pair:
        chosen = {name: of for name, of in CASES.items() if (name in QUICK) == quick}
        return together(chosen, tmp_path_factory.mktemp("pair"))

    return lambda case: of(case in QUICK)


def furthest(states: dict[str, torch.Tensor], others: dict[str, torch.Tensor]) -> float:
    """The largest difference of any number, in units of the larger of 1 and the number."""
    assert states.keys() == others.keys()
    return max(
        float(((states[name] - others[name]).abs() / others[name].abs().clamp(min=1)).max())
        for name in states
        if not name.startswith("meter/")
    )


@pytest.mark.parametrize(
    "case", [case if case in QUICK else pytest.param(case, marks=pytest.mark.slow) for case in CASES]
)
def test_two_ranks_train_as_one(case: str, pairs: Callable[[str], Pair]) -> None:
    pair = pairs(case)
    run, state, logged = ranks_worker.trained(CASES[case], ALONE)
    tolerance = WITH_POOLING if "model=dcgan" in CASES[case] else TOLERANCE
    assert furthest(pair.state(0, case), state) < tolerance
    for step, (ours, theirs) in enumerate(zip(pair.told[0][case]["logged"], logged, strict=True)):
        assert ours == pytest.approx(theirs, rel=1e-4, abs=tolerance), step
    samples = next(iter(run.samplers.values()))(range(70)).flatten()
    assert torch.tensor(pair.told[0][case]["samples"]) == pytest.approx(samples, abs=20 * tolerance)


@pytest.mark.parametrize(
    "case", [case if case in QUICK else pytest.param(case, marks=pytest.mark.slow) for case in CASES]
)
def test_the_ranks_hold_the_same_bits(case: str, pairs: Callable[[str], Pair]) -> None:
    pair = pairs(case)
    first, second = pair.state(0, case), pair.state(1, case)
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert pair.told[0][case]["logged"] == pair.told[1][case]["logged"]


@pytest.mark.parametrize("case", ["bce_r1", "rasgan_dragan", "ada", "dcgan"])
def test_the_tolerance_would_show_a_mistake(case: str, pairs: Callable[[str], Pair]) -> None:
    pair = pairs(case)
    halved = [option.replace("train.batch_size=128", "train.batch_size=64") for option in CASES[case]]
    before = ranks_worker.tensors(ranks_worker.built(CASES[case], ALONE))
    assert furthest(pair.state(0, case), before) > 50 * TOLERANCE  # it has moved
    assert furthest(ranks_worker.trained(halved, ALONE)[1], pair.state(0, case)) > 50 * TOLERANCE


def test_shared_evaluation_measures_the_same_numbers_as_one_rank(pairs: Callable[[str], Pair]) -> None:
    pair = pairs("measured")
    expected = ranks_worker.measured(ranks_worker.built(CASES["measured"], ALONE))
    assert expected
    assert pair.told[0]["measured"]["measured"] == expected  # to the bit: the untrained networks are the same
