"""The GAN game with what steadies it: views, packs, adaptive augmentation, clipped gradients, spectral norms."""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import TINY
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, normalize, softplus
from torch.nn.utils import parameters_to_vector
from torch.optim import Optimizer
from torch.testing import assert_close

from gan_cli.augment import Augment
from gan_cli.augment.ada import ADA
from gan_cli.augment.diffaugment import DiffAugment
from gan_cli.build import build
from gan_cli.data.batches import Batch, Batches
from gan_cli.data.dataset import Dataset
from gan_cli.games.gan import GAN
from gan_cli.latents import Latents
from gan_cli.losses import AdversarialLoss
from gan_cli.losses.bce import BCE
from gan_cli.losses.lsgan import LSGAN
from gan_cli.losses.rsgan import RSGAN
from gan_cli.models.dcgan import DCGANDiscriminator
from gan_cli.models.dcgan64 import DCGAN64Discriminator
from gan_cli.models.mlp import MLPDiscriminator, MLPGenerator
from gan_cli.parse import parse_stored, to_plain
from gan_cli.penalties.none import NoPenalty
from gan_cli.penalties.zero_centered import R1
from gan_cli.run_directory import RunDirectory
from gan_cli.schema import Config
from gan_cli.streams import Draws, Streams
from gan_cli.traits import is_spectral
from gan_cli.view import View

Compose = Callable[..., Config]

CPU = torch.device("cpu")
BATCH, DIM, SHAPE = 16, 4, (1, 6, 6)


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


def pictures(shape: Sequence[int] = SHAPE, labelled: bool = False) -> Dataset:
    draws = Streams(7, CPU).draws("pictures", 0)
    samples = (draws.uniform("pixels", (64, *shape)) * 256).to(torch.uint8)
    return Dataset(samples, torch.arange(64) % 3, ("a", "b", "c")) if labelled else Dataset(samples)


def game(
    discriminator: nn.Module | None = None,
    *,
    lr: float = 0.1,
    optimizer: Callable[..., Optimizer] = torch.optim.SGD,
    **options: Any,
) -> GAN:
    """A game on small pictures, by default by plain gradient descent."""
    streams = Streams(3, CPU)
    data = options.pop("data", None) or pictures()
    shape = data.sample_shape
    packed = (options.get("packing", 1) * shape[0], *shape[1:])
    classes = {"conditional": "concat", "num_classes": options.get("num_classes", 0)}
    with streams.modules("init"):
        generator = MLPGenerator(DIM, shape, widths=(8,), **(classes if classes["num_classes"] else {}))
        discriminator = discriminator or MLPDiscriminator(packed, widths=(8,))
    return GAN(
        generator=generator,
        discriminator=discriminator,
        generator_optimizer=optimizer(generator.parameters(), lr=lr),
        discriminator_optimizer=optimizer(discriminator.parameters(), lr=lr),
        latents=Latents(DIM, "normal", streams),
        batches=Batches(data, BATCH, streams, shuffle=True, drop_last=True),
        streams=streams,
        autocast=nullcontext,
        **{"loss": BCE(), "penalty": NoPenalty()} | options,
    )


def state(made: GAN) -> dict[str, Tensor]:
    return {
        f"{name}.{key}": tensor.clone()
        for name, network in made.networks.items()
        for key, tensor in network.state_dict().items()
    }


# The view: the reference is a loop in plain PyTorch that shares the draws and nothing else.


@dataclass(frozen=True)
class PlainView:
    """Mirrored where a number is below 1/2, then noisy."""

    streams: Streams
    flip: bool
    noise: float

    def __call__(self, images: Tensor, purpose: str, index: int) -> Tensor:
        if self.flip:
            numbers = self.streams.uniform(f"{purpose}/view/flip", index, (len(images), 1, 1, 1))  # from -1 to 1
            images = torch.stack([i.flip(2) if n < 0 else i for i, n in zip(images, numbers, strict=True)])
        if self.noise:
            images = images + self.noise * self.streams.normal(f"{purpose}/view/noise", index, images.shape)
        return images


def plain_bce(logits: Tensor, target: float) -> Tensor:
    return binary_cross_entropy_with_logits(logits, torch.full_like(logits, target))


def play_plainly(made: GAN, view: PlainView, steps: int, relativistic: bool, gamma: float) -> list[dict[str, float]]:
    """The moves of a game made by `game`, on its own networks, by autograd alone."""
    told = []
    rate, discriminator, generator = 0.1, made.discriminator, made.generator

    def descend(network: nn.Module, loss: Tensor) -> None:
        parameters = list(network.parameters())
        for parameter, gradient in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
            parameter.data -= rate * gradient

    for step in range(steps):
        for turn in range(step * made.d_steps, (step + 1) * made.d_steps):
            real = made.batches(turn).samples
            fake = generator(made.latents("discriminator", turn, BATCH)).detach()
            real_logits = discriminator(view(real, "discriminator/real", turn))
            fake_logits = discriminator(view(fake, "discriminator/fake", turn))
            if relativistic:
                loss_d = softplus(fake_logits - real_logits).mean()
            else:
                loss_d = plain_bce(real_logits, 1.0) + plain_bce(fake_logits, 0.0)
            whole = loss_d
            if gamma:
                inputs = real.clone().requires_grad_()
                logits = discriminator(view(inputs, "discriminator/penalty", turn))
                (slope,) = torch.autograd.grad(logits.sum(), inputs, create_graph=True)
                whole = loss_d + gamma / 2 * slope.square().sum((1, 2, 3)).mean()
            descend(discriminator, whole)
        fake_logits = discriminator(view(generator(made.latents("generator", step, BATCH)), "generator/fake", step))
        if relativistic:
            real_logits = discriminator(view(real, "generator/real", step)).detach()
            loss_g = softplus(real_logits - fake_logits).mean()
        else:
            loss_g = plain_bce(fake_logits, 1.0)
        descend(generator, loss_g)
        told.append({"loss/D": float(loss_d.detach()), "loss/G": float(loss_g.detach())})
    return told


@pytest.mark.parametrize("gamma", [0.0, 0.5], ids=["", "r1"])
@pytest.mark.parametrize("relativistic", [False, True], ids=["bce", "rsgan"])
@pytest.mark.parametrize(
    ("flip", "noise", "d_steps"), [(False, 0.0, 1), (False, 0.3, 1), (True, 0.0, 1), (True, 0.3, 2)]
)
def test_steps_under_a_view_equal_those_of_a_plain_loop(
    flip: bool, noise: float, d_steps: int, relativistic: bool, gamma: float
) -> None:
    loss: AdversarialLoss = RSGAN() if relativistic else BCE()
    penalty = R1(gamma=gamma) if gamma else NoPenalty()
    ours = game(loss=loss, penalty=penalty, d_steps=d_steps, view=View(flip=flip, noise=noise))
    theirs = game(loss=loss, d_steps=d_steps)
    expected = play_plainly(theirs, PlainView(theirs.streams, flip, noise), 4, relativistic, gamma)
    for step in range(4):
        stats = ours.play(step)
        assert {key: float(stats[key]) for key in expected[step]} == pytest.approx(expected[step], rel=1e-5, abs=1e-6)
    assert_close(state(ours), state(theirs), rtol=1e-5, atol=1e-6)


def test_a_view_that_changes_nothing_is_none_bit_by_bit() -> None:
    ends = []
    for options in ({}, {"view": View()}, {"view": View(noise=0.0), "packing": 1, "unroll": 0, "clip_norm": None}):
        made = game(**options)
        stats = [{key: float(value) for key, value in made.play(step).items()} for step in range(4)]
        ends.append((state(made), stats))
    for tensors, stats in ends[1:]:
        assert stats == ends[0][1]
        assert all(torch.equal(tensor, ends[0][0][key]) for key, tensor in tensors.items())


def test_a_run_whose_configuration_knows_none_of_these_keys_is_one_that_turns_them_off(
    compose: Compose, tmp_path: Path
) -> None:
    off = ("critic.flip=false", "critic.noise=0.0", "augment=none", "train.unroll=0", "optim.clip_norm=null")
    plain = to_plain(compose(*TINY, *off, "model.discriminator.packing=1", "model.discriminator.minibatch_std=0"))
    older = {key: value for key, value in plain.items() if key not in ("critic", "augment")}
    older["train"] = {key: value for key, value in plain["train"].items() if key != "unroll"}
    older["optim"] = {key: value for key, value in plain["optim"].items() if key != "clip_norm"}
    older["data"] = {key: value for key, value in plain["data"].items() if key != "flip"}
    kept = {k: v for k, v in plain["model"]["discriminator"].items() if k not in ("packing", "minibatch_std")}
    older["model"] = {**plain["model"], "discriminator": kept}
    runs = [build(parse_stored(config), RunDirectory(tmp_path)) for config in (plain, older)]
    for run in runs:
        for _ in range(4):
            run.advance()
    one, other = (run.state().tensors for run in runs)
    assert one.keys() == other.keys()
    assert all(torch.equal(tensor, other[key]) for key, tensor in one.items())


@dataclass
class SpyView(View):
    """A view that notes what it is shown, and under which random numbers."""

    shown: list[tuple[str, int, Tensor]] = field(default_factory=list)

    def __call__(self, samples: Tensor, draws: Draws) -> Tensor:
        self.shown.append((draws.purpose, draws.index, samples.detach().clone()))
        return super().__call__(samples, draws)


@pytest.mark.parametrize("loss", [BCE(), RSGAN()], ids=["bce", "rsgan"])
def test_real_samples_and_fakes_of_both_moves_pass_the_same_view_each_under_draws_of_its_own(
    loss: AdversarialLoss,
) -> None:
    view = SpyView(flip=True, noise=0.1)
    made = game(loss=loss, penalty=R1(every=2), view=view, d_steps=2)
    reals = [made.batches(turn).samples for turn in range(4)]
    step = 1  # the turns 2 and 3
    made.play(step)
    purposes = [(purpose, index) for purpose, index, _ in view.shown]
    of_d = [("discriminator/real", 2), ("discriminator/fake", 2), ("discriminator/penalty", 2)]
    of_d += [("discriminator/real", 3), ("discriminator/fake", 3)]
    of_g = [("generator/fake", 1), *([("generator/real", 1)] if loss.relativistic else [])]
    assert purposes == of_d + of_g
    shown = {(purpose, index): samples for purpose, index, samples in view.shown}
    assert torch.equal(shown["discriminator/real", 2], reals[2])
    assert torch.equal(shown["discriminator/penalty", 2], reals[2])
    assert torch.equal(shown["discriminator/real", 3], reals[3])
    if loss.relativistic:
        assert torch.equal(shown["generator/real", 1], reals[3])
    assert all(not torch.equal(shown["generator/fake", 1], other) for other in reals)


def test_noise_that_follows_a_schedule_is_set_before_each_step(compose: Compose, tmp_path: Path) -> None:
    run = build(compose(*TINY, "critic.noise={start: 0.6, end: 0.0, steps: 6}"), RunDirectory(tmp_path))
    made = run.game
    assert isinstance(made, GAN)
    noises = []
    for _ in range(8):
        run.advance()
        noises.append(made.view.noise)
    assert noises == pytest.approx([0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.0, 0.0])


def test_every_key_reaches_the_game(compose: Compose, tmp_path: Path) -> None:
    keys = ("critic.flip=true", "critic.noise=0.3", "augment=diffaugment", "model.discriminator.packing=2")
    made = build(compose(*IMAGES, *NARROW, *keys, "train.unroll=3"), RunDirectory(tmp_path)).game
    assert isinstance(made, GAN)
    assert made.view == View(flip=True, augment=DiffAugment(), noise=0.3)
    assert made.critic.view is made.view
    assert (made.critic.packing, made.unroll) == (2, 3)
    clipped = build(compose(*TINY, "optim.clip_norm=0.5"), RunDirectory(tmp_path)).game
    assert [player.clip_norm for player in clipped.players] == [0.5, 0.5]


def test_options_of_both_optimizers_that_follow_schedules_are_set_before_each_step(
    compose: Compose, tmp_path: Path
) -> None:
    betas = "optim.betas=[{start: 0.0, end: 0.9, steps: 3}, 0.99]"
    run = build(compose(*TINY, betas), RunDirectory(tmp_path))
    for beta in (0.0, 0.3, 0.6, 0.9, 0.9):
        run.advance()
        for player in run.game.players:
            assert list(player.optimizer.param_groups[0]["betas"]) == pytest.approx([beta, 0.99])


# Packing.


def test_a_game_on_packs_is_one_that_packs_by_hand() -> None:
    made = game(packing=2, penalty=R1(gamma=0.5))
    discriminator, real = made.discriminator, made.batches(0).samples
    fake = made.generator(made.latents("discriminator", 0, BATCH)).detach()

    def packs(samples: Tensor) -> Tensor:
        return torch.cat([samples[0::2], samples[1::2]], 1)

    inputs = packs(real).requires_grad_()
    real_logits, fake_logits = discriminator(inputs), discriminator(packs(fake))
    (slope,) = torch.autograd.grad(real_logits.sum(), inputs, retain_graph=True)
    stats = made.play(0)
    assert real_logits.shape == (BATCH // 2,)
    assert_close(stats["loss/D"], (plain_bce(real_logits, 1.0) + plain_bce(fake_logits, 0.0)).detach())
    assert_close(stats["penalty/D"], 0.25 * slope.square().sum((1, 2, 3)).mean())
    # The generator's, against the discriminator that has moved: undo its own move, which was one of gradient descent.
    fresh = game(packing=2, penalty=R1(gamma=0.5))
    logits = discriminator(packs(fresh.generator(fresh.latents("generator", 0, BATCH))))
    assert_close(stats["loss/G"], plain_bce(logits, 1.0).detach())


def test_labels_with_noise_are_drawn_for_packs_and_noise_for_samples() -> None:
    view = SpyView(noise=0.1)
    made = game(packing=4, loss=BCE([0.7, 1.2], [0.0, 0.3], flip=0.1), view=view)
    stats = made.play(0)
    assert all(value.isfinite() for value in stats.values())
    assert {tuple(samples.shape) for _, _, samples in view.shown} == {(BATCH, *SHAPE)}
    drawn = made.loss.drawn(made.streams.draws("discriminator", 0), BATCH // 4)
    assert drawn.real_target.shape == (BATCH // 4, 1)  # type: ignore[attr-defined]


# Adaptive augmentation.


class Sure(nn.Module):
    """A discriminator of fixed logits for real samples and fakes alike, with a weight that has no effect on them."""

    def __init__(self, logits: Tensor) -> None:
        super().__init__()
        self.fixed = logits
        self.weight = nn.Parameter(torch.zeros(()))

    def forward(self, samples: Tensor) -> Tensor:
        return self.fixed + 0 * self.weight + 0 * samples.mean()


def shares(positive: int, count: int = BATCH) -> Tensor:
    """Logits of which so many are 2 and the others -2."""
    return torch.where(torch.arange(count) < positive, 2.0, -2.0)


def adapting(logits: Tensor, augment: ADA, steps: int, **options: Any) -> list[tuple[float, float]]:
    """p and r_t as logged after each step."""
    made = game(Sure(logits), view=View(augment=augment), **options)
    stats = [made.play(step) for step in range(steps)]
    return [(float(found["augment/p"]), float(found["augment/r_t"])) for found in stats]


@pytest.mark.parametrize(
    ("positive", "r_t", "rises"), [(16, 1.0, True), (14, 0.75, True), (12, 0.5, False), (8, 0.0, False), (0, -1, False)]
)
def test_p_rises_where_the_discriminator_is_surer_of_real_samples_than_its_target_and_falls_where_it_is_not(
    positive: int, r_t: float, rises: bool
) -> None:
    told = adapting(shares(positive), ADA(p=0.5, target=0.6, every=1, images=160), 7)
    # 16 of 160 images a step: by a tenth, and no further than 0 or 1.
    expected = [min(0.5 + 0.1 * step, 1) if rises else max(0.5 - 0.1 * step, 0) for step in range(1, 8)]
    assert [p for p, _ in told] == pytest.approx(expected, abs=1e-6)
    assert [measured for _, measured in told] == [r_t] * 7


def test_p_is_adjusted_after_so_many_updates_of_the_discriminator() -> None:
    told = adapting(shares(16), ADA(p=0.1, every=4, images=640), 6, d_steps=2)
    assert [p for p, _ in told] == pytest.approx([0.1, 0.2, 0.2, 0.3, 0.3, 0.4], abs=1e-6)  # two steps are four updates
    assert [r_t for _, r_t in told] == [0.0, 1.0, 1.0, 1.0, 1.0, 1.0]


@pytest.mark.parametrize(
    ("loss", "logit", "rises"),
    [
        (LSGAN(), 0.4, False),  # nearer to 0 than to 1
        (LSGAN(), 0.6, True),
        (LSGAN(1.0, -1.0, 0.0), 0.4, True),
        (LSGAN(0.0, 1.0, 0.0), 0.4, True),
        (LSGAN(0.0, 1.0, 0.0), 0.6, False),
        (BCE(0.0, 1.0, 0.0), -0.1, True),
        (BCE([0.0, 0.3], [0.7, 1.2], 0.0, flip=0.4), -0.1, True),
    ],
    ids=repr,
)
def test_what_counts_as_taken_for_real_is_the_losss_to_say(loss: AdversarialLoss, logit: float, rises: bool) -> None:
    ((p, _),) = adapting(torch.full((BATCH,), logit), ADA(p=0.5, every=1, images=160), 1, loss=loss)
    assert p == pytest.approx(0.6 if rises else 0.4, abs=1e-6)


def test_images_are_counted_and_not_packs() -> None:
    ((p, r_t),) = adapting(shares(4, BATCH // 4), ADA(p=0.5, every=1, images=160), 1, packing=4)
    assert (p, r_t) == pytest.approx((0.6, 1.0))


def test_a_sample_of_many_positions_is_one_image() -> None:
    # 16 samples of 4 positions, three of which are taken for real: r_t = ½.
    patches = torch.tensor([2.0, 2.0, 2.0, -2.0]).expand(BATCH, 4)
    assert adapting(patches, ADA(p=0.5, every=1, images=160), 1) == [pytest.approx((0.4, 0.5))]


def test_only_real_samples_of_the_discriminators_own_moves_are_observed() -> None:
    augment = ADA(p=0.5, every=100)
    made = game(view=View(augment=augment), unroll=2, d_steps=3)
    made.play(0)
    made.play(1)
    assert augment.adaptive is not None
    assert int(augment.adaptive.updates) == 6
    assert int(augment.adaptive.samples) == 6 * BATCH


@dataclass(frozen=True)
class Following(ADA):
    """ADA that notes with which p images are seen."""

    used: list[float] = field(default_factory=list, compare=False)

    def __call__(self, images: Tensor, draws: Draws) -> Tensor:
        assert self.adaptive is not None
        self.used.append(float(self.adaptive.p))
        return super().__call__(images, draws)


def test_what_p_becomes_is_what_the_next_images_are_augmented_with() -> None:
    augment = Following(p=0.0, every=1, images=64)
    made = game(Sure(shares(16)), view=View(augment=augment))
    for step in range(2):
        made.play(step)
    # Real samples and fakes of D's move, then the fakes of G's, by which time p has been adjusted.
    assert augment.used == [0.0, 0.0, 0.25, 0.25, 0.25, 0.5]


IMAGES = ("data.split=test", "data.limit=64", "model.resolution=8", "train.batch_size=16", "latent.dim=4")
NARROW = ("model.generator.widths=[8]", "model.discriminator.widths=[8]", "train.steps=8")


def test_p_is_saved_and_logged_and_no_other_augmentation_has_anything_to_save(compose: Compose, tmp_path: Path) -> None:
    ada = ("augment=ada", "augment.every=1", "augment.images=64", "augment.p=0.5")
    run = build(compose(*IMAGES, *NARROW, *ada), RunDirectory(tmp_path))
    for _ in range(3):
        run.advance()
    made = run.game
    assert isinstance(made, GAN)
    adaptive = made.view.augment.adaptive
    assert adaptive is not None
    saved = {key: value for key, value in run.state().tensors.items() if key.startswith("network/augment/")}
    assert saved.keys() == {f"network/augment/{key}" for key in ("p", "r_t", "signs", "samples", "updates")}
    assert torch.equal(saved["network/augment/p"], adaptive.p)  # type: ignore[arg-type]
    assert float(adaptive.p) != 0.5  # type: ignore[arg-type]
    assert {"augment/p", "augment/r_t"} <= run.meter.means().keys()
    assert "augment" not in run.parameters()
    for other in (("augment=diffaugment",), ("augment=ada", "augment.target=null", "augment.p=0.5")):
        still = build(compose(*IMAGES, *NARROW, *other), RunDirectory(tmp_path))
        still.advance()
        assert not any("augment" in key for key in still.state().tensors)
        assert not any("augment" in key for key in still.meter.means())


@pytest.mark.parametrize("augment", [DiffAugment(), ADA(p=0.8, target=None)], ids=["diffaugment", "ada"])
def test_an_augmentation_of_the_users_own_kind_stands_where_the_programs_do(augment: Augment) -> None:
    # The loss that is logged is of logits of augmented samples, real and fake.
    made = game(view=View(augment=augment))
    real = made.batches(0).samples
    fake = made.generator(made.latents("discriminator", 0, BATCH)).detach()
    draws = made.streams.draws("discriminator", 0)
    real_logits = made.discriminator(augment(real, draws.of("real")))
    fake_logits = made.discriminator(augment(fake, draws.of("fake")))
    expected = plain_bce(real_logits, 1.0) + plain_bce(fake_logits, 0.0)
    assert_close(made.play(0)["loss/D"], expected.detach())


# Clipping.


@pytest.mark.parametrize("clip_norm", [1e-3, 1e3])
def test_each_player_moves_by_its_own_gradient_clipped_and_its_length_is_logged(clip_norm: float) -> None:
    clipped, free = game(clip_norm=clip_norm, lr=1.0), game(lr=1.0)
    before = {name: parameters_to_vector(net.parameters()).clone() for name, net in clipped.networks.items()}
    stats = clipped.play(0)
    free_stats = free.play(0)
    assert {"gradient/D", "gradient/G"} <= stats.keys()
    assert not any(key.startswith("gradient") for key in free_stats)
    moved = {
        made: {name: (parameters_to_vector(net.parameters()) - before[name]).norm() for name, net in nets.items()}
        for made, nets in (("clipped", clipped.networks), ("free", free.networks))
    }
    # The discriminator's length is that of the free update, at a rate of 1.
    assert_close(stats["gradient/D"], moved["free"]["discriminator"].detach(), rtol=1e-4, atol=0)
    for name, key in (("discriminator", "gradient/D"), ("generator", "gradient/G")):
        expected = min(clip_norm, float(stats[key]))
        assert float(moved["clipped"][name].detach()) == pytest.approx(expected, rel=1e-3)
    if clip_norm == 1e3:
        assert_close(state(clipped), state(free), rtol=0, atol=0)


# Spectral normalization in training.

SPECTRAL: dict[str, tuple[Callable[..., nn.Module], tuple[int, ...]]] = {
    "mlp": (lambda shape, **o: MLPDiscriminator(shape, (24, 16), norm="spectral", **o), (1, 4, 4)),
    "dcgan": (lambda shape, **o: DCGANDiscriminator(shape, 16, (8, 8), norm="spectral", **o), (1, 16, 16)),
    "dcgan64": (lambda shape, **o: DCGAN64Discriminator(shape, (8, 16), norm="spectral", **o), (3, 16, 16)),
}


def spectral_game(name: str, conditional: str, lr: float) -> GAN:
    make, shape = SPECTRAL[name]
    classes = {"conditional": conditional, "num_classes": 3} if conditional != "none" else {}
    data, num_classes = pictures(shape, labelled=True), 3 if classes else 0
    adam = partial(torch.optim.Adam, betas=(0.5, 0.999))
    return game(make(shape, **classes), lr=lr, optimizer=adam, data=data, num_classes=num_classes)


def spectral_layers(network: nn.Module) -> list[nn.Module]:
    return [module for module in network.modules() if is_spectral(module)]


def largest(network: nn.Module) -> list[float]:
    """The largest singular value of every effective weight; in evaluation, because reading in training iterates."""
    network.eval()
    with torch.no_grad():
        values = [torch.linalg.matrix_norm(m.weight.flatten(1).double(), 2) for m in spectral_layers(network)]
    network.train()
    return [float(value) for value in values]


@pytest.mark.parametrize("conditional", ["none", "projection"])
@pytest.mark.parametrize("name", SPECTRAL)
def test_a_step_iterates_three_times_and_the_last_time_on_the_new_weight(name: str, conditional: str) -> None:
    made = spectral_game(name, conditional, lr=1e-3)
    made.play(0)
    expected = []
    for layer in spectral_layers(made.discriminator):
        part = layer.parametrizations.weight[0]
        expected.append((part._u.clone(), part._v.clone(), layer.parametrizations.weight.original.detach().clone()))
    made.play(1)
    for (u, v, old), layer in zip(expected, spectral_layers(made.discriminator), strict=True):
        part, new = layer.parametrizations.weight[0], layer.parametrizations.weight.original.detach()
        for weight in (old, old, new):  # real samples, fakes; then the generator's fakes
            matrix = weight.flatten(1)
            u = normalize(matrix @ v, dim=0)
            v = normalize(matrix.T @ u, dim=0)
        assert_close(part._u, u, rtol=1e-4, atol=1e-5)
        assert_close(part._v, v, rtol=1e-4, atol=1e-5)


@pytest.mark.exhaustive(2)
@pytest.mark.parametrize("conditional", ["none", "projection"])
@pytest.mark.parametrize("name", SPECTRAL)
def test_largest_singular_values_stay_near_one_in_training_and_come_to_it_at_rest(name: str, conditional: str) -> None:
    # What a weight is divided by, uᵀWv, is never more than its largest singular value, and lags behind it. After a step
    # at this rate, or a fifth of it, the quotient is at times a fifth above 1, and seldom within 0.001 of it.
    made = spectral_game(name, conditional, lr=1e-3)
    network = made.discriminator
    assert len(spectral_layers(network)) == sum(p.dim() > 1 for p in network.parameters())  # the embedding's too
    for step in range(50):
        made.play(step)
        assert all(1 - 1e-5 < value < 1.5 for value in largest(network))
    raw = [m.parametrizations.weight.original.detach().flatten(1) for m in spectral_layers(network)]
    batch: Batch = made.batches(0)
    with torch.no_grad():
        for passes in range(3000):
            if passes % 100 == 0 and max(largest(network)) < 1 + 5e-4:
                break
            network(batch.samples) if conditional == "none" else network(batch.samples, batch.labels)
    assert all(1 - 1e-5 < value < 1 + 1e-3 for value in largest(network))
    network.eval()
    for layer, weight in zip(spectral_layers(network), raw, strict=True):
        true = weight / torch.linalg.matrix_norm(weight, 2)
        assert_close(layer.weight.detach().flatten(1), true, rtol=2e-3, atol=1e-6)
