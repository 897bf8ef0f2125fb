"""The course presets are what their texts describe, key by key, and their first losses are the texts' formulas."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from torch import Tensor
from torch.nn.functional import softplus

from gan_cli.build import build
from gan_cli.conf_dir import CONF_DIR
from gan_cli.parse import to_plain
from gan_cli.resume import flattened
from gan_cli.run_directory import RunDirectory
from gan_cli.schema import Config

Compose = Callable[..., Config]

CS231N = {
    "data._target_": "gan_cli.data.mnist.load",
    "data.split": "train",
    "data.limit": 50_000,
    "data.shuffle": False,
    "data.drop_last": True,
    "latent.dim": 96,
    "latent.distribution": "uniform",
    "optim._target_": "torch.optim.Adam",
    "optim.generator.lr": 1e-3,
    "optim.discriminator.lr": 1e-3,
    "optim.betas": [0.5, 0.999],
    "train.batch_size": 128,
    "train.d_steps": 1,
    "train.reuse": "none",
    "train.epochs": 10,
    "train.sample_every": 250,
    "sampling.shown": 16,
    "loss._target_": "gan_cli.losses.bce.BCE",
    "loss.real_target": 1.0,
    "loss.fake_target": 0.0,
    "loss.generator_target": 1.0,
    "loss.d_scale": 1.0,
    "model.init": "default",
    "penalty._target_": "gan_cli.penalties.none.NoPenalty",
    "ema.half_life": None,
}
D2L = {
    "loss._target_": "gan_cli.losses.bce.BCE",
    "loss.d_scale": 0.5,
    "latent.distribution": "normal",
    "model.init": "normal",
    "model.init_std": 0.02,
    "optim._target_": "torch.optim.Adam",
    "data.shuffle": True,
    "train.reuse": "latents",
    "train.epochs": 20,
    "train.sample_every": "epoch",
    "train.log_every": "epoch",
}
UTRGV = {
    "data._target_": "gan_cli.data.mnist.load",
    "data.split": "train",
    "data.limit": None,
    "data.shuffle": True,
    "data.drop_last": False,
    "latent.dim": 128,
    "latent.distribution": "normal",
    "optim._target_": "torch.optim.Adam",
    "optim.generator.lr": 2e-4,
    "optim.discriminator.lr": 2e-4,
    "optim.betas": [0.9, 0.999],
    "train.batch_size": 512,
    "train.d_steps": 1,
    "train.sample_every": "epoch",
    "train.log_every": "epoch",
    "loss._target_": "gan_cli.losses.bce.BCE",
    "loss.real_target": 1.0,
    "loss.d_scale": 1.0,
}
FACTS: dict[str, dict[str, Any]] = {
    "cs231n_gan": CS231N,
    "cs231n_lsgan": CS231N | {"loss._target_": "gan_cli.losses.lsgan.LSGAN"},
    "cs231n_dcgan": CS231N | {"train.epochs": 5, "model.init": "xavier", "sampling.batch_norm": "batch"},
    "d2l_gaussian": D2L
    | {
        "data.num_samples": 1000,
        "data.transform": [[1.0, 2.0], [-0.1, 0.5]],
        "data.shift": [1.0, 2.0],
        "latent.dim": 2,
        "optim.generator.lr": 0.005,
        "optim.discriminator.lr": 0.05,
        "optim.betas": [0.9, 0.999],
        "train.batch_size": 8,
        "sampling.shown": 100,
    },
    "d2l_pokemon": D2L
    | {
        "data._target_": "gan_cli.data.pokemon.load",
        "data.fit": "stretch",
        "model.resolution": 64,
        "latent.dim": 100,
        "optim.generator.lr": 0.005,
        "optim.discriminator.lr": 0.005,
        "optim.betas": [0.5, 0.999],
        "train.batch_size": 256,
        "sampling.shown": 21,
        "sampling.columns": 7,
    },
    "ucla_dogs": {
        "data._target_": "gan_cli.data.stanford_dogs.load",
        "model.resolution": 64,
        "latent.dim": 128,
        "loss._target_": "gan_cli.losses.bce.BCE",
        "loss.real_target": 0.9,
        "loss.fake_target": 0.0,
        "loss.generator_target": 0.9,
        "train.reuse": "fakes",
    },
    "utrgv_gan": UTRGV | {"train.epochs": 200, "model.discriminator.dropout": 0.3, "model.generator.dropout": 0.0},
    "utrgv_dcgan": UTRGV | {"train.epochs": 25, "model.discriminator.norm": "none"},
}


@pytest.mark.parametrize("name", FACTS)
def test_preset_is_what_its_text_describes(name: str, compose: Compose) -> None:
    found = flattened(to_plain(compose(f"experiment={name}")))
    assert {key: found[key] for key in FACTS[name]} == FACTS[name]


@pytest.mark.parametrize("name", FACTS)
def test_preset_cites_its_text_and_what_one_would_do_otherwise_today(name: str) -> None:
    path = Path(CONF_DIR, "experiment", f"{name}.yaml")
    comment = " ".join(line for line in path.read_text().splitlines() if line.startswith("#"))
    assert any(text in comment for text in ("CS231n", "Dive into Deep Learning", "UCLA", "UTRGV"))
    assert "today" in comment or name in ("cs231n_lsgan", "utrgv_dcgan")  # they follow cs231n_gan and utrgv_gan


Formula = Callable[[Tensor], Tensor]


def real_bce(logits: Tensor) -> Tensor:
    return softplus(-logits)


def smoothed(logits: Tensor) -> Tensor:
    return 0.9 * softplus(-logits) + 0.1 * softplus(logits)


# Of a logit under D's real label, under its fake label and under G's, and the factor on D's sum of the two means.
FORMULAS: dict[str, tuple[Formula, Formula, Formula, float]] = {
    **dict.fromkeys(("cs231n_gan", "cs231n_dcgan", "utrgv_gan", "utrgv_dcgan"), (real_bce, softplus, real_bce, 1.0)),
    **dict.fromkeys(("d2l_gaussian", "d2l_pokemon"), (real_bce, softplus, real_bce, 0.5)),
    "cs231n_lsgan": (lambda c: (c - 1) ** 2 / 2, lambda c: c**2 / 2, lambda c: (c - 1) ** 2 / 2, 1.0),
    "ucla_dogs": (smoothed, softplus, smoothed, 1.0),
}


@pytest.mark.parametrize("name", FORMULAS)
def test_first_losses_are_the_texts_formulas_of_the_first_logits(
    name: str, compose: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = ["data.limit=16"] if "gaussian" not in name else []
    if name in ("d2l_pokemon", "ucla_dogs"):
        (tmp_path / "pictures").mkdir()
        for shade in range(16):
            Image.new("RGB", (8, 8), (16 * shade, 0, 99)).save(tmp_path / "pictures" / f"{shade}.png")
        data = ["data=folder", f"data.root={tmp_path / 'pictures'}"]
    config = compose(f"experiment={name}", *data, "train.batch_size=8", "train.evaluate_every=0")
    run = build(config, RunDirectory(tmp_path))
    kind, seen = type(run.game.loss), {}  # type: ignore[attr-defined]
    discriminator, generator = kind.discriminator, kind.generator

    def of_discriminator(self: Any, real: Tensor, fake: Tensor) -> Tensor:
        seen["real"], seen["fake"] = real.detach().double(), fake.detach().double()
        return discriminator(self, real, fake)

    def of_generator(self: Any, fake: Tensor, real: Tensor | None = None) -> Tensor:
        seen["taken for real"] = fake.detach().double()
        return generator(self, fake, real)

    monkeypatch.setattr(kind, "discriminator", of_discriminator)
    monkeypatch.setattr(kind, "generator", of_generator)
    run.advance()
    of_real, of_fake, of_generated, scale = FORMULAS[name]
    told = run.meter.means()
    assert len(seen["real"].unique()) > 1  # of a constant, a wrong mean could not be told from a right one
    expected = scale * (of_real(seen["real"]).mean() + of_fake(seen["fake"]).mean())
    assert told["loss/D"] == pytest.approx(float(expected), rel=1e-6)
    assert told["loss/G"] == pytest.approx(float(of_generated(seen["taken for real"]).mean()), rel=1e-6)
