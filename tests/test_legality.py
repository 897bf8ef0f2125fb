"""What does not go together is refused with what mends it; the table of the docs is the program's."""

import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import pytest
import torch
from conftest import TINY, Result, outcomes
from torch import nn

from gan_cli.augment.ada import ADA
from gan_cli.augment.none import NoAugment
from gan_cli.build import build
from gan_cli.errors import Incompatible
from gan_cli.legality import Combination, check
from gan_cli.losses.bce import BCE
from gan_cli.losses.rsgan import RSGAN
from gan_cli.losses.wgan import WGAN
from gan_cli.models.mlp import MLPDiscriminator
from gan_cli.penalties import Penalty
from gan_cli.penalties.dragan import DRAGAN
from gan_cli.penalties.gp import GradientPenalty
from gan_cli.penalties.none import NoPenalty
from gan_cli.penalties.zero_centered import R1, R1R2
from gan_cli.run_directory import RunDirectory
from gan_cli.schema import Config
from gan_cli.streams import Streams
from gan_cli.traits import critic_traits

ROOT = Path(__file__).resolve().parents[1]
Compose = Callable[..., Config]
Cli = Callable[..., Result]

IMAGES = ("data.limit=64", "train.batch_size=16", "latent.dim=4", "train.steps=2")
SMALL = {
    "mlp": TINY,
    "dcgan": (
        *("model=dcgan", *IMAGES, "model.generator.hidden=8", "model.generator.widths=[4,4]"),
        *("model.discriminator.hidden=8", "model.discriminator.widths=[2,4]"),
    ),
    "dcgan64": (
        *("model=dcgan64", "model.resolution=8", *IMAGES),
        *("model.generator.widths=[4]", "model.discriminator.widths=[4]"),
    ),
}
PICTURES = (
    *("data.split=test", "model.resolution=8", *IMAGES),
    *("model.generator.widths=[8]", "model.discriminator.widths=[8]"),
)
LOSSES = ("bce", "minimax", "lsgan", "hinge", "wgan", "rsgan", "rasgan", "ralsgan", "rahinge")
NORMS = ("none", "batch", "layer", "instance", "group", "spectral")


def refusal(compose: Compose, path: Path, *overrides: str) -> str | None:
    """Why a run cannot be built; None if it can, and has made a step."""
    try:
        run = build(compose(*overrides), RunDirectory(path))
    except Incompatible as error:
        return str(error)
    run.advance()
    run.meter.check()
    return None


@pytest.mark.exhaustive(2)
@pytest.mark.parametrize("penalty", ["gp", "r1", "r2", "r1r2", "dragan"])
@pytest.mark.parametrize("model", SMALL)
def test_batch_normalization_refuses_every_penalty_and_each_override_that_is_named_mends_it(
    model: str, penalty: str, compose: Compose, tmp_path: Path
) -> None:
    asked = (*SMALL[model], f"penalty={penalty}")
    why = refusal(compose, tmp_path, *asked, "model.discriminator.norm=batch")
    assert why is not None
    assert "BatchNorm" in why
    named = re.search(r"model\.discriminator\.norm=([\w|]+)", why)
    assert named is not None
    expected = [norm for norm in NORMS if norm != "batch" and (norm, model) != ("instance", "mlp")]
    assert named[1].split("|") == expected
    for norm in expected:
        assert refusal(compose, tmp_path, *asked, f"model.discriminator.norm={norm}") is None
    assert refusal(compose, tmp_path, *SMALL[model], "penalty=none", "model.discriminator.norm=batch") is None


def test_the_penalty_that_is_refused_would_be_wrong_indeed() -> None:
    # With BatchNorm the gradient of the sum of all logits holds what each sample does to the others: for a critic that
    # is normalized last, the sum does not depend on the batch at all, and the penalty vanishes whatever the critic is.
    torch.manual_seed(0)
    critic = nn.Sequential(nn.Linear(3, 1, bias=False), nn.BatchNorm1d(1, affine=False), nn.Flatten(0)).double()
    samples = torch.randn(8, 3, dtype=torch.float64, requires_grad=True)
    (summed,) = torch.autograd.grad(critic(samples).sum(), samples)
    assert float(summed.abs().max()) < 1e-12
    per_sample = torch.autograd.functional.jacobian(critic, samples)
    assert float(per_sample.abs().max()) > 0.1
    crossing = per_sample.clone()
    crossing[range(8), range(8)] = 0
    assert float(crossing.abs().max()) > 0.01


@pytest.mark.parametrize("penalty", [R1R2(gamma=1.0), DRAGAN(weight=1.0)], ids=repr)
def test_a_penalty_at_the_samples_alone_gives_the_wasserstein_loss_no_minimum(penalty: Penalty) -> None:
    # Real samples near 1 and fakes near -1; a critic of the asked slope at both, and a step of height K between them.
    torch.manual_seed(0)
    real, fake = (sign + 0.01 * torch.randn(64, 1, dtype=torch.float64) for sign in (1, -1))
    slope, draws = float(isinstance(penalty, DRAGAN)), Streams(0, torch.device("cpu")).draws("d", 0)

    def objective(height: float, penalty: Penalty) -> float:
        scale = torch.tensor(height, dtype=torch.float64, requires_grad=True)

        def critic(samples: torch.Tensor) -> torch.Tensor:
            return (scale * torch.tanh(50 * samples) + slope * samples).flatten()

        loss = WGAN().discriminator(critic(real), critic(fake))
        return float((loss + penalty(critic, real, fake, draws).mean()).detach())

    assert [objective(height, penalty) < -height for height in (10.0, 1e3, 1e6)] == [True] * 3
    # The penalty on the way between them makes the step too dear.
    values = [objective(height, GradientPenalty(weight=1.0)) for height in (10.0, 1e3, 1e6)]
    assert values == sorted(values)
    assert values[0] > 0


@pytest.mark.slow
@pytest.mark.parametrize("model", ["mlp", "dcgan", "dcgan64"])
def test_every_mend_that_is_named_mends(model: str, compose: Compose, tmp_path: Path) -> None:
    cells = product(("bce", "wgan"), ("none", "gp", "r1"), ("batch", "none", "layer"))
    refused = 0
    for loss, penalty, norm in cells:
        asked = (*SMALL[model], f"loss={loss}", f"penalty={penalty}", f"model.discriminator.norm={norm}")
        why = refusal(compose, tmp_path, *asked)
        if why is None:
            continue
        refused += 1
        mends = why.rsplit(": ", 1)[1].removesuffix(" mends it").split(" or ")
        for mend in mends:
            key, values = mend.rsplit("=", 1)
            for value in values.split("|"):
                assert refusal(compose, tmp_path, *asked, *f"{key}={value}".split(" with ")) is None, (asked, mend)
    assert refused == 2 + 3 + 1 + 3  # bce with batch: gp, r1; wgan: without a penalty, gp with batch, r1


@pytest.mark.exhaustive(1)
@pytest.mark.parametrize(
    "mend",
    [
        *("penalty=gp", "optim.discriminator.weight_clip=0.01", "model.discriminator.norm=spectral"),
    ],
)
def test_wgan_without_a_bound_on_the_slope_is_refused_and_each_bound_mends_it(
    mend: str, compose: Compose, tmp_path: Path
) -> None:
    why = refusal(compose, tmp_path, *TINY, "loss=wgan")
    assert why is not None
    assert "no minimum" in why
    for named in ("penalty=gp", "optim.discriminator.weight_clip=0.01", "model.discriminator.norm=spectral"):
        assert named in why
    assert refusal(compose, tmp_path, *TINY, "loss=wgan", mend) is None


MINE = """
from torch import nn

class G(nn.Sequential):
    def __init__(self, latent_dim, sample_shape):
        super().__init__(nn.Linear(latent_dim, *sample_shape))

class D(nn.Sequential):
    def __init__(self, sample_shape):
        super().__init__(nn.Linear(*sample_shape, 4), nn.BatchNorm1d(4), nn.Linear(4, 1), nn.Flatten(0))
"""


def test_a_network_of_ones_own_is_told_which_layer_to_replace(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "mixing_models.py").write_text(MINE)
    path = list(sys.path)
    own = ("model=custom", "model.generator._target_=mixing_models.G", "model.discriminator._target_=mixing_models.D")
    try:
        result = cli(*own, "data=gaussian2d", "penalty=r1")
    finally:
        sys.path[:] = path
        sys.modules.pop("mixing_models", None)
    assert result.code == 2
    assert "replace BatchNorm1d in your discriminator" in result.err
    assert "model.discriminator.norm" not in result.err


def test_a_refusal_is_told_in_a_few_lines_and_leaves_nothing(cli: Cli, tmp_path: Path) -> None:
    result = cli(*SMALL["dcgan64"], "penalty=r1")
    assert (result.code, result.out) == (2, "")
    assert len(result.err.splitlines()) <= 3
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_an_illegal_cell_of_a_sweep_is_named_and_is_no_failure(cli: Cli, tmp_path: Path) -> None:
    result = cli(
        "-m", *TINY, "train.steps=2", "loss=hinge,wgan", "penalty=none,gp", "model.discriminator.norm=none,batch"
    )
    assert result.code == 0, result.err
    # 8 cells: gp with batch twice, wgan without a penalty twice.
    jobs = outcomes().values()
    assert sorted(state for state, _ in jobs) == ["finished"] * 4 + ["refused"] * 4
    assert sum("BatchNorm1d" in reason for _, reason in jobs) == 2
    assert sum("no minimum" in reason for _, reason in jobs) == 2


@pytest.mark.slow
def test_every_loss_with_every_penalty_and_norm_finishes_or_is_named_as_refused(cli: Cli, tmp_path: Path) -> None:
    losses = "bce,minimax,lsgan,hinge,wgan,rsgan,rasgan,ralsgan,rahinge"
    small = ("model.generator.widths=[32]", "model.discriminator.widths=[32]", "train.sample_every=0")
    result = cli(
        *("-m", "data=ring8", "model=mlp", "model.discriminator.norm=none,batch", f"loss={losses}", *small),
        *("penalty=none,gp,r1,r2,r1r2,dragan", "train.steps=50", "train.checkpoint_every=0", "train.log_every=50"),
    )
    assert result.code == 0, result.err
    # Without a norm: all 54 but wgan with anything else than gp; with batch: the 8 that need neither penalty nor bound.
    finished = list(tmp_path.glob("outputs/multirun/*/*/*/summary.json"))
    assert len(finished) == 49 + 8
    reasons = [reason for state, reason in outcomes().values() if state == "refused"]
    assert len(reasons) == 108 - len(finished)
    assert sum("no minimum" in reason for reason in reasons) == 6
    assert sum("BatchNorm1d" in reason for reason in reasons) == 9 * 5


def test_the_table_of_the_documentation_is_what_the_program_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "docs"))
    import legality_table

    try:
        assert legality_table.table() in (ROOT / "docs/axes.md").read_text()
    finally:
        sys.modules.pop("legality_table", None)


def test_the_table_agrees_with_runs(compose: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "docs"))
    import legality_table

    verdicts = legality_table.verdicts()
    sys.modules.pop("legality_table", None)
    assert len(verdicts) == 9 * 6 * 6
    for loss, penalty, norm in [("wgan", "none", "layer"), ("wgan", "none", "spectral"), ("rahinge", "r2", "batch")]:
        asked = (*SMALL["dcgan64"], f"loss={loss}", f"penalty={penalty}", f"model.discriminator.norm={norm}")
        assert (refusal(compose, tmp_path, *asked) is None) == verdicts[loss, penalty, norm]


# Minibatch std, augmentation that adapts, and everything at once.


def named_mends(why: str) -> list[tuple[str, ...]]:
    """The overrides that a refusal says mend it, each with those that must go with it."""
    found: list[tuple[str, ...]] = []
    for mend in why.rsplit(": ", 1)[1].removesuffix(" mends it").split(" or "):
        *before, last = mend.split(" with ")
        key, values = last.split("=")
        found += [(*before, f"{key}={value}") for value in values.split("|")]
    return found


@pytest.mark.exhaustive(1)
@pytest.mark.parametrize("model", SMALL)
def test_minibatch_std_refuses_a_penalty_of_single_samples_and_each_override_that_is_named_mends_it(
    model: str, compose: Compose, tmp_path: Path
) -> None:
    asked = (*SMALL[model], "model.discriminator.norm=none", "model.discriminator.minibatch_std=4")
    why = refusal(compose, tmp_path, *asked, "penalty=r1")
    assert why is not None
    assert "MinibatchStd makes it a function of the whole batch" in why
    assert named_mends(why) == [("model.discriminator.minibatch_std=0",), ("penalty=none",)]
    for mend in named_mends(why):
        assert refusal(compose, tmp_path, *asked, "penalty=r1", *mend) is None
    assert refusal(compose, tmp_path, *asked) is None


def test_the_penalty_that_minibatch_std_refuses_would_be_wrong_indeed() -> None:
    # The gradient of the sum of all logits at a sample holds what it does to its neighbors, too.
    torch.manual_seed(0)
    critic = MLPDiscriminator((3,), widths=(), minibatch_std=4).double()
    samples = torch.randn(8, 3, dtype=torch.float64, requires_grad=True)
    (summed,) = torch.autograd.grad(critic(samples).sum(), samples)
    per_sample = torch.autograd.functional.jacobian(critic, samples)
    own = per_sample[range(8), range(8)]
    assert float((summed - own).norm(dim=1).min()) > 0.01
    in_other_groups = per_sample[:4, 4:]
    assert not in_other_groups.any()


@pytest.mark.slow
def test_batch_normalization_and_minibatch_std_together_need_a_pair_of_overrides(
    compose: Compose, tmp_path: Path
) -> None:
    both = (*TINY, "model.discriminator.norm=batch", "model.discriminator.minibatch_std=4")
    asked = (*both, "loss=wgan", "penalty=gp")
    why = refusal(compose, tmp_path, *asked)
    assert why is not None
    none = "model.discriminator.minibatch_std=0"
    assert named_mends(why) == [
        *((none, f"model.discriminator.norm={norm}") for norm in ("none", "layer", "group", "spectral")),
        ("penalty=none", "model.discriminator.norm=spectral"),
        ("penalty=none", "optim.discriminator.weight_clip=0.01"),
    ]
    for mend in named_mends(why):
        assert refusal(compose, tmp_path, *asked, *mend) is None
        for alone in mend:
            assert refusal(compose, tmp_path, *asked, alone) is not None
    # Where the loss can do without a penalty, that alone is enough, and is what is named.
    why = refusal(compose, tmp_path, *both, "penalty=r1")
    assert why is not None
    assert named_mends(why) == [("penalty=none",)]


@pytest.mark.exhaustive(3)
@pytest.mark.parametrize("loss", LOSSES)
def test_an_augmentation_that_adapts_is_refused_for_losses_that_part_real_from_fake_nowhere(
    loss: str, compose: Compose, tmp_path: Path
) -> None:
    asked = (*PICTURES, f"loss={loss}", *(("penalty=gp",) if loss == "wgan" else ()))
    why = refusal(compose, tmp_path, *asked, "augment=ada")
    if loss in ("bce", "minimax", "lsgan", "hinge"):
        assert why is None
        return
    assert why is not None
    assert "only differences of logits mean anything" in why
    assert named_mends(why) == [("augment=diffaugment",), ("augment.target=null",)]
    for mend in named_mends(why):
        assert refusal(compose, tmp_path, *asked, "augment=ada", *mend) is None


@dataclass(frozen=True)
class Cell:
    """A combination as it would be typed."""

    loss: str
    penalty: str
    norm: str
    minibatch_std: int
    ada: bool
    clipped: bool = False

    def with_(self, override: str) -> "Cell":
        """The cell after one more override."""
        key, value = override.split("=")
        match key, value:
            case "penalty", _:
                return replace(self, penalty=value)
            case "model.discriminator.norm", _:
                return replace(self, norm=value)
            case "model.discriminator.minibatch_std", "0":
                return replace(self, minibatch_std=0)
            case ("augment", "diffaugment") | ("augment.target", "null"):
                return replace(self, ada=False)
            case "optim.discriminator.weight_clip", _:
                return replace(self, clipped=True)
        raise AssertionError(f"nobody knows {override}")

    def combination(self) -> Combination:
        """The real parts; the traits are those of a real network."""
        losses = {"bce": BCE(), "wgan": WGAN(), "rsgan": RSGAN()}
        penalties = {"none": NoPenalty(), "gp": GradientPenalty(), "r1": R1()}
        traits = TRAITS[self.norm, self.minibatch_std]
        augment = ADA() if self.ada else NoAugment()
        return Combination(losses[self.loss], penalties[self.penalty], traits, self.clipped, augment)


TRAITS = {
    (norm, size): critic_traits(MLPDiscriminator((2,), (8,), norm=norm, minibatch_std=size))
    for norm in ("none", "batch", "layer", "group", "spectral")
    for size in (0, 4)
}


def refused_cells() -> list[tuple[Cell, str]]:
    cells = [
        Cell(*values)
        for values in product(
            ("bce", "wgan", "rsgan"),
            ("none", "gp", "r1"),
            ("none", "batch", "layer", "spectral"),
            (0, 4),
            (False, True),
        )
    ]
    found = []
    for cell in cells:
        try:
            check(cell.combination(), ("none", "layer", "group", "spectral"), True)
        except Incompatible as error:
            found.append((cell, str(error)))
    return found


def test_whatever_is_named_mends_and_no_less_would() -> None:
    found = refused_cells()
    assert len(found) == 144 - legal_cells()
    for cell, why in found:
        mends = named_mends(why)
        assert mends
        for mend in mends:
            mended = cell
            for override in mend:
                mended = mended.with_(override)
            assert mended.combination().objection() is None, (cell, mend)
            for left_out in mend:
                less = cell
                for override in mend:
                    less = less if override == left_out else less.with_(override)
                assert less.combination().objection() is not None, (cell, mend)


def legal_cells() -> int:
    """How many of the 144 are right mathematics, counted from what each part needs."""
    legal = 0
    for loss, penalty, norm, size, ada in product(
        ("bce", "wgan", "rsgan"), ("none", "gp", "r1"), ("none", "batch", "layer", "spectral"), (0, 4), (False, True)
    ):
        mixes = norm == "batch" or size > 0
        held = penalty == "gp" or norm == "spectral"
        legal += not (
            (penalty != "none" and mixes) or (loss == "wgan" and not held) or (ada and loss in ("wgan", "rsgan"))
        )
    return legal


@pytest.mark.slow
def test_a_model_without_normalizations_is_told_of_the_keys_that_it_has(compose: Compose, tmp_path: Path) -> None:
    asked = (
        *("model=r3gan", "model.resolution=8", *IMAGES, "model.discriminator.minibatch_std=4"),
        *("model.generator.widths=[8,8]", "model.generator.blocks=1", "model.generator.group_size=8"),
        *("model.discriminator.widths=[8,8]", "model.discriminator.blocks=1", "model.discriminator.group_size=8"),
    )
    why = refusal(compose, tmp_path, *asked, "penalty=r1")
    assert why is not None
    assert named_mends(why) == [("model.discriminator.minibatch_std=0",), ("penalty=none",)]
    for mend in named_mends(why):
        assert refusal(compose, tmp_path, *asked, "penalty=r1", *mend) is None
    why = refusal(compose, tmp_path, *asked, "loss=rsgan", "penalty=r1", "augment=ada")
    assert why is not None
    assert ("model.discriminator.minibatch_std=0", "augment=diffaugment") in named_mends(why)
    for mend in named_mends(why):
        assert refusal(compose, tmp_path, *asked, "loss=rsgan", "penalty=r1", "augment=ada", *mend) is None
