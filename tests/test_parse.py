"""A configuration is taken exactly as it was written, or refused with the key that is wrong."""

import json
import re
from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from gan_cli import schema
from gan_cli.command_schema import CommandConf, EvaluateCommandConf, SampleConf, VerifyConf
from gan_cli.conf_dir import CONF_DIR
from gan_cli.errors import Refused
from gan_cli.horizon import with_horizon
from gan_cli.objective import check_part
from gan_cli.parse import parse, parse_stored, split, to_plain, typed_as
from gan_cli.schema import Config, Facts
from gan_cli.target_options import TARGETS
from gan_cli.targets import locate

Plain = dict[str, Any]
Groups = tuple[str, ...]

FOLDER = ("data=folder", "data.root=/pictures")
CUSTOM = ("model=custom", "model.generator._target_=mine.G", "model.discriminator._target_=mine.D")
SELECTIONS: list[Groups] = [
    (),
    ("model=dcgan", "loss=lsgan", "device=cuda"),
    ("model=dcgan64", *FOLDER),
    ("model=mlp", "data=pokemon", "loss=lsgan", "optim.schedule.shape=linear", "device.precision=bf16"),
    (*CUSTOM, "data=gaussian2d", "+model.generator.depth=3", "+model.generator.nested={a: [1, x]}"),
    ("experiment=d2l_gaussian", "train.minutes=1.5", "train.steps=10"),
    ("model=r3gan", "model.conditional=projection", "augment=ada", "data=stacked_mnist", "optim.clip_norm=1.5"),
    (
        *("augment=diffaugment", "augment.cutout={start: 0.0, end: 0.5, shape: linear, steps: 3}", "penalty=r1r2"),
        *("penalty.gamma={start: 2.0, end: 0.2, shape: cosine, steps: null}", "ema.half_life=1000.0"),
        "optim.betas=[0.0, {start: 0.9, end: 0.99, shape: linear, steps: 10}]",
        "critic.noise={start: 0.1, end: 0.0, shape: constant, steps: 7}",
        "loss.real_target={start: 0.5, end: 1.0, shape: linear, steps: 1}",
    ),
]


@cache
def composed(groups: Groups) -> Plain:
    OmegaConf.register_new_resolver("new_run_dir", lambda parent: parent, replace=True)
    with initialize_config_dir(config_dir=CONF_DIR, version_base="1.3"):
        return split(compose("train", overrides=list(groups)))[1]


def read(plain: Plain) -> Config:
    """A configuration, checked as a run checks it: losses and the like declare their keys where they are built."""
    config = parse(plain)
    for path in ("loss", "penalty", "augment"):
        check_part(config, path, None)
    return config


def changed(groups: Groups, key: str, value: Any) -> Plain:
    """A composed configuration with one value put in."""
    plain = deepcopy(composed(groups))
    node = plain
    *parents, last = key.split(".")
    for part in parents:
        node = node[part]
    node[last] = value
    return plain


def removed(groups: Groups, key: str) -> Plain:
    plain = changed(groups, key, None)
    node = plain
    *parents, last = key.split(".")
    for part in parents:
        node = node[part]
    del node[last]
    return plain


@pytest.mark.parametrize("groups", SELECTIONS, ids=" ".join)
def test_parsing_changes_nothing_that_was_written(groups: Groups) -> None:
    assert to_plain(parse(composed(groups))) == composed(groups)


@pytest.mark.parametrize("groups", SELECTIONS, ids=" ".join)
def test_a_stored_configuration_parses_to_itself(groups: Groups) -> None:
    config = parse(composed(groups))
    stored = json.loads(json.dumps(to_plain(config)))
    assert parse_stored(stored) == config
    assert json.dumps(to_plain(parse_stored(stored)), sort_keys=True) == json.dumps(stored, sort_keys=True)


def test_parsing_leaves_its_input() -> None:
    before = deepcopy(composed(()))
    parse(composed(()))
    assert composed(()) == before


def test_values_get_their_declared_types() -> None:
    plain = changed((), "train.minutes", 3)
    plain["optim"]["betas"] = [0, 0]
    config = parse(plain)
    assert type(config.train.minutes) is float
    assert [type(beta) for beta in config.optim.optimizer["betas"]] == [float, float]
    assert config.train.reuse is schema.Reuse.none


# Unknown and missing keys.


def nodes(plain: Plain, prefix: str = "") -> Iterator[str]:
    yield prefix
    for key, value in plain.items():
        if isinstance(value, dict):
            yield from nodes(value, f"{prefix}{key}.")


@pytest.mark.parametrize(
    ("groups", "node"), [(groups, node) for groups in ((), SELECTIONS[2]) for node in nodes(composed(groups))]
)
def test_a_key_that_nothing_declares_is_refused_by_its_full_name(groups: Groups, node: str) -> None:
    with pytest.raises(Refused, match=rf"^unknown key {node}no_such_key[;\s]"):
        read(changed(groups, f"{node}no_such_key", 1))


def test_what_an_augmentation_adapts_is_no_key_of_it() -> None:
    with pytest.raises(Refused, match=r"^unknown key augment\.adaptive; known: p, target, every, images$"):
        read(changed(ADA, "augment.adaptive", 1))


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("train.batchsize", "batch_size"),
        ("train.stepps", "steps"),
        ("model.generator.width", "widths"),
        ("loss.real_targt", "real_target"),
        ("optim.beta", "betas"),
        ("data.splt", "split"),
        ("laten", "latent"),
    ],
)
def test_a_misspelt_key_is_refused_with_the_right_one(key: str, meant: str) -> None:
    with pytest.raises(Refused, match=rf"^unknown key {key}; did you mean .*{meant}"):
        read(changed((), key, 1))


@pytest.mark.parametrize(
    "key",
    [
        *("seed", "model", "loss", "data", "latent", "optim", "train", "device"),
        *("latent.dim", "latent.distribution", "train.batch_size", "train.steps", "train.reuse", "device.type"),
        *("model.accepts", "model.generator", "model.generator.widths", "model.discriminator.dropout"),
        *("model.generator._target_", "loss._target_", "data._target_", "optim._target_"),
        *("data.kind", "data.split", "optim.lr", "optim.betas"),
        *("optim.generator.lr", "optim.discriminator.lr"),
    ],
)
def test_a_key_without_a_default_must_be_there(key: str) -> None:
    with pytest.raises(Refused) as refusal:
        parse(removed((), key))
    assert str(refusal.value).startswith(key)


def test_what_only_the_user_can_know_is_asked_for() -> None:
    with pytest.raises(Refused, match=r"^data\.root must be given: data\.root=\.\.\.$"):
        composed(("data=folder",))
    with pytest.raises(Refused, match=r"^model\.generator\._target_ must be given"):
        composed(("model=custom", "model.discriminator._target_=mine.D"))


# Values: (groups, key, value, what the message says).

LSGAN, DCGAN = ("loss=lsgan",), ("model=dcgan",)
GP, R1, DRAGAN = ("penalty=gp",), ("penalty=r1",), ("penalty=dragan",)
RING, GRID = ("data=ring8",), ("data=grid25",)
DECLARING = [
    locate(yaml.safe_load(path.read_text())["_target_"], "", [])
    for group in ("loss", "penalty", "augment")
    for path in Path(CONF_DIR, group).glob("*.yaml")
]
GAUSSIAN, POKEMON = ("data=gaussian2d",), ("data=pokemon",)
R3GAN, ADA, DIFF, STACKED = ("model=r3gan",), ("augment=ada",), ("augment=diffaugment",), ("data=stacked_mnist",)
CYCLE = ("experiment=cyclegan_digits",)
LONG = [8] * 33

OUT_OF_RANGE: list[tuple[Groups, str, Any, str]] = [
    ((), "seed", -1, "must be at least 0, got -1"),
    ((), "seed", 2**63, f"must be less than {2**63}"),
    ((), "model.resolution", 0, "must be at least 1"),
    ((), "model.init_std", 0.0, "must be greater than 0"),
    ((), "model.generator.widths", [8, 0], "must be at least 1, got 0"),
    ((), "model.generator.widths", [2**16 + 1], "must be at most 65536"),
    ((), "model.discriminator.widths", LONG, "must have at most 32 entries, got 33"),
    ((), "model.generator.slope", -0.1, "must be at least 0"),
    ((), "model.generator.dropout", -0.1, "must be at least 0"),
    ((), "model.discriminator.dropout", 1.0, "must be less than 1, got 1.0"),
    (DCGAN, "model.generator.hidden", 0, "must be at least 1"),
    ((), "loss.real_target", 1.1, "must be at most 1"),
    ((), "loss.real_target", -0.1, "must be at least 0"),
    ((), "loss.fake_target", 1.1, "must be at most 1"),
    ((), "loss.fake_target", -0.1, "must be at least 0"),
    ((), "loss.generator_target", 1.1, "must be at most 1"),
    ((), "loss.generator_target", -0.1, "must be at least 0"),
    ((), "loss.d_scale", 0.0, "must be greater than 0"),
    (LSGAN, "loss.d_scale", -1.0, "must be greater than 0"),
    ((), "loss.flip", -0.1, "must be at least 0"),
    ((), "loss.flip", 1.0, "must be less than 1"),
    (("loss=hinge",), "loss.d_scale", 0.0, "must be greater than 0"),
    (GP, "penalty.weight", 0.0, "must be greater than 0"),
    (GP, "penalty.every", 0, "must be at least 1"),
    (R1, "penalty.gamma", 0.0, "must be greater than 0"),
    (DRAGAN, "penalty.slope", 0.0, "must be greater than 0"),
    (DRAGAN, "penalty.noise", 0.0, "must be greater than 0"),
    ((), "optim.discriminator.weight_clip", 0.0, "must be greater than 0"),
    (RING, "data.std", 0.0, "must be greater than 0"),
    (RING, "data.radius", 0.0, "must be greater than 0"),
    (RING, "data.modes", 0, "must be at least 1"),
    (RING, "data.modes", 10_001, "must be at most 10000"),
    (GRID, "data.side", 0, "must be at least 1"),
    (GRID, "data.side", 101, "must be at most 100"),
    (GRID, "data.spacing", 0.0, "must be greater than 0"),
    ((), "data.limit", 0, "must be at least 1"),
    ((), "data.suggested_epochs", 0, "must be at least 1"),
    (POKEMON, "data.channels", 0, "must be at least 1"),
    (FOLDER, "data.resolution", 0, "must be at least 1"),
    (("data=stanford_dogs",), "data.resolution", 4097, "must be at most 4096"),
    (FOLDER, "data.background", [0, 0, 256], "must be at most 255, got 256"),
    (FOLDER, "data.background", [0, -1, 0], "must be at least 0, got -1"),
    (FOLDER, "data.background", [0, 0], "must have 3 entries, got 2"),
    (GAUSSIAN, "data.num_samples", 0, "must be at least 1"),
    (GAUSSIAN, "data.data_seed", -1, "must be at least 0"),
    (("optim=rmsprop",), "optim.alpha", -0.1, "must be at least 0"),
    (("optim=rmsprop",), "optim.alpha", 1.0, "must be less than 1"),
    (("optim=sgd",), "optim.momentum", -0.1, "must be at least 0"),
    (("optim=sgd",), "optim.momentum", 1.0, "must be less than 1"),
    ((), "ema.half_life", 0.0, "must be greater than 0"),
    ((), "ema.ramp_up", 0.0, "must be greater than 0"),
    ((), "latent.dim", 0, "must be at least 1"),
    ((), "optim.lr", 0.0, "must be greater than 0"),
    ((), "optim.generator.lr", 0.0, "must be greater than 0"),
    ((), "optim.discriminator.lr", -1.0, "must be greater than 0"),
    ((), "optim.betas", [0.5, 1.0], "must be less than 1, got 1.0"),
    ((), "optim.betas", [-0.1, 0.9], "must be at least 0"),
    ((), "optim.betas", [0.5], "must have 2 entries, got 1"),
    ((), "optim.eps", -1e-8, "must be at least 0"),
    ((), "optim.weight_decay", -0.1, "must be at least 0"),
    ((), "optim.schedule.final", -0.1, "must be at least 0"),
    ((), "optim.schedule.steps", 0, "must be at least 1"),
    ((), "train.epochs", 0, "must be at least 1"),
    ((), "train.steps", 0, "must be at least 1"),
    ((), "train.batch_size", 0, "must be at least 1"),
    ((), "train.d_steps", 0, "must be at least 1"),
    ((), "train.minutes", 0.0, "must be greater than 0"),
    ((), "sampling.shown", 0, "must be at least 1"),
    ((), "sampling.shown", 10**4 + 1, "must be at most 10000"),
    ((), "sampling.columns", 0, "must be at least 1"),
    ((), "sampling.columns", 10**4 + 1, "must be at most 10000"),
    (("model=dcgan64",), "model.generator.last_stride", 0, "must be at least 1"),
    (("model=dcgan64",), "model.generator.last_stride", 3, "must be at most 2"),
    (("model=dcgan64",), "model.discriminator.norm_from", -1, "must be at least 0"),
    ((), "train.log_every", -1, "must be at least 0"),
    ((), "train.sample_every", -1, "must be at least 0"),
    ((), "train.evaluate_every", -1, "must be at least 0"),
    ((), "train.checkpoint_every", -1, "must be at least 0"),
    ((), "evaluate.num_images", 1, "must be at least 2"),
    ((), "evaluate.final_images", -1, "must be at least 0"),
    ((), "train.keep", -1, "must be at least 0"),
    ((), "device.threads", 0, "must be at least 1"),
    ((), "device.threads", 1025, "must be at most 1024"),
    ((), "device.index", -1, "must be at least 0"),
    ((), "device.index", 1024, "must be at most 1023"),
    ((), "latent.dim", 2**20 + 1, "must be at most 1048576"),
    ((), "model.resolution", 4097, "must be at most 4096"),
    ((), "model.generator.widths", [2**16 + 1], "must be at most 65536"),
    (("model=dcgan",), "model.generator.hidden", 2**16 + 1, "must be at most 65536"),
    (("data=gaussian2d",), "data.num_samples", 10**7 + 1, "must be at most 10000000"),
    ((), "train.unroll", -1, "must be at least 0"),
    ((), "train.unroll", 101, "must be at most 100"),
    ((), "optim.clip_norm", 0.0, "must be greater than 0"),
    ((), "critic.noise", -0.1, "must be at least 0"),
    ((), "model.discriminator.minibatch_std", -1, "must be at least 0"),
    (R3GAN, "model.discriminator.minibatch_std", -1, "must be at least 0"),
    ((), "model.discriminator.packing", 0, "must be at least 1"),
    (R3GAN, "model.discriminator.packing", 65, "must be at most 64"),
    *((R3GAN, f"model.generator.{key}", 0, "must be at least 1") for key in ("blocks", "expansion", "group_size")),
    *((R3GAN, f"model.discriminator.{key}", 65, "must be at most 64") for key in ("blocks", "expansion")),
    (R3GAN, "model.generator.group_size", 2**16 + 1, "must be at most 65536"),
    (R3GAN, "model.generator.widths", LONG, "must have at most 32 entries, got 33"),
    (ADA, "augment.p", -0.1, "must be at least 0"),
    (ADA, "augment.p", 1.1, "must be at most 1"),
    (ADA, "augment.target", 0.0, "must be greater than 0"),
    (ADA, "augment.target", 1.0, "must be less than 1"),
    (ADA, "augment.every", 0, "must be at least 1"),
    (ADA, "augment.images", 0, "must be at least 1"),
    *((DIFF, f"augment.{key}", -0.1, "must be at least 0") for key in ("translation", "cutout")),
    *((DIFF, f"augment.{key}", 1.1, "must be at most 1") for key in ("translation", "cutout")),
    *((CYCLE, f"game.{part}_weight", -1.0, "must be at least 0") for part in ("adversarial", "cycle", "identity")),
    (CYCLE, "game.pool", -1, "must be at least 0"),
    (CYCLE, "game.pool", 10**5 + 1, "must be at most 100000"),
    (CYCLE, "model.generator.width", 0, "must be at least 1"),
    (CYCLE, "model.discriminator.width", 2**12 + 1, "must be at most 4096"),
    (CYCLE, "model.discriminator.layers", 0, "must be at least 1"),
    (CYCLE, "model.discriminator.layers", 9, "must be at most 8"),
    (CYCLE, "optim.schedule.hold", -0.1, "must be at least 0"),
    (CYCLE, "optim.schedule.hold", 1.0, "must be less than 1"),
    (STACKED, "data.num_samples", 0, "must be at least 1"),
    (STACKED, "data.num_samples", 10**6 + 1, "must be at most 1000000"),
    (STACKED, "data.data_seed", -1, "must be at least 0"),
]


@pytest.mark.parametrize(("groups", "key", "value", "words"), OUT_OF_RANGE)
def test_a_number_out_of_range_is_refused_with_its_bound(groups: Groups, key: str, value: Any, words: str) -> None:
    with pytest.raises(Refused) as refusal:
        read(changed(groups, key, value))
    assert str(refusal.value).startswith(f"{key} {words}")


def test_the_list_above_covers_every_bound_of_a_training_configuration() -> None:
    declared = {
        (f.name, bound)
        for cls in (*vars(schema).values(), *TARGETS.values(), *DECLARING)
        if is_dataclass(cls) and cls not in (SampleConf, EvaluateCommandConf, VerifyConf, CommandConf, Facts)
        for f in fields(cls)
        for bound in f.metadata
        if bound not in ("scheduled", "cadence")  # which say what may stand there, not how large it may be
    }
    # The targets of cross-entropies are probabilities, at least on average: no bound of their numbers.
    declared |= {(f"{name}_target", bound) for name in ("real", "fake", "generator") for bound in ("ge", "le")}
    words = {
        "at least": "ge",
        "greater than": "gt",
        "at most": "le",
        "less than": "lt",
        "have at most": "longest",
        "have": "length",
    }
    tried = set()
    for _, key, _, message in OUT_OF_RANGE:
        begins = message.removeprefix("must ").removeprefix("be ")
        bound = next(name for start, name in sorted(words.items(), reverse=True) if begins.startswith(start))
        tried.add((key.rsplit(".", 1)[-1], bound))
    assert tried == declared


@pytest.mark.parametrize(
    ("groups", "key", "value"),
    [
        *(((), "seed", seed) for seed in (0, 2**63 - 1)),
        ((), "model.generator.widths", []),
        ((), "model.generator.widths", [1, 2**16]),
        ((), "model.generator.widths", LONG[1:]),
        *(((), "model.generator.dropout", p) for p in (0.0, 0.999)),
        *(((), f"loss.{name}_target", t) for name in ("real", "fake", "generator") for t in (0.0, 1.0)),
        *((LSGAN, "loss.real_target", t) for t in (-3.0, 5.0)),
        ((), "optim.betas", [0.0, 0.0]),
        ((), "optim.eps", 0.0),
        ((), "optim.schedule.final", 2.0),
        *(((), f"train.{cadence}_every", 0) for cadence in ("log", "sample", "checkpoint")),
        ((), "train.keep", 0),
        ((), "train.batch_size", 1),
        (FOLDER, "data.background", [0, 255, 0]),
        *(((), "train.unroll", updates) for updates in (0, 100)),
        *(((), "model.discriminator.packing", packed) for packed in (1, 64)),
        ((), "critic.noise", 0.0),
        (STACKED, "data.num_samples", 10**6),
        *((ADA, "augment.p", p) for p in (0.0, 1.0)),
        (ADA, "augment.target", None),
        *((DIFF, f"augment.{key}", share) for key in ("translation", "cutout") for share in (0.0, 1.0)),
        *(((), key, None) for key in ("train.steps", "train.minutes", "data.limit", "device.threads")),
    ],
)
def test_the_bounds_themselves_are_allowed(groups: Groups, key: str, value: Any) -> None:
    wanted = changed(groups, key, value)
    assert to_plain(read(wanted)) == wanted


@pytest.mark.parametrize(
    ("groups", "key"),
    [
        *(((), key) for key in ("optim.lr", "optim.generator.lr", "optim.eps", "model.init_std", "loss.d_scale")),
        *(((), key) for key in ("train.minutes", "model.generator.slope", "optim.schedule.final", "loss.real_target")),
        *(((), key) for key in ("critic.noise", "ema.half_life", "optim.clip_norm")),
        *((LSGAN, f"loss.{name}_target") for name in ("real", "fake", "generator")),
        *((ADA, key) for key in ("augment.p", "augment.target")),
        (DIFF, "augment.cutout"),
    ],
)
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_number_that_is_not_finite_is_refused(groups: Groups, key: str, value: float) -> None:
    with pytest.raises(Refused, match=f"^{key}"):
        read(changed(groups, key, value))


@pytest.mark.parametrize("key", ["data.shift", "data.transform"])
def test_a_list_with_a_number_that_is_not_finite_is_refused(key: str) -> None:
    value: Any = [1.0, float("nan")] if key == "data.shift" else [[1.0, 2.0], [float("inf"), 0.5]]
    with pytest.raises(Refused, match=f"^{key}"):
        parse(changed(GAUSSIAN, key, value))


@pytest.mark.parametrize(
    ("groups", "key", "value", "words"),
    [
        ((), "train.batch_size", "many", "could not be converted to Integer"),
        ((), "train.batch_size", 1.5, "could not be converted to Integer"),
        ((), "train.batch_size", True, "could not be converted to Integer"),
        ((), "train.batch_size", None, ""),
        ((), "latent.dim", [4], ""),
        ((), "optim.lr", "fast", "could not be converted to Float"),
        ((), "model.generator.widths", [1.5], "could not be converted to Integer"),
        ((), "model.generator.widths", 8, ""),
        ((), "model.generator.widths", None, ""),
        ((), "model.generator", None, ""),
        ((), "model.generator", 3, ""),
        ((), "loss", "bce", ""),
        ((), "data", "mnist", "data=OPTION"),
        ((), "optim", None, "optim=OPTION"),
        ((), "train", 5, ""),
        ((), "train.reuse", "Latents", r"none, latents, fakes"),
        ((), "latent.distribution", "cauchy", "uniform, normal"),
        ((), "model.init", "kaiming", "default, xavier, orthogonal, normal"),
        ((), "model.generator.activation", "swish", "relu, leaky_relu"),
        ((), "model.accepts", ["sound"], "image, vector"),
        ((), "data.split", "validation", "train, test"),
        (FOLDER, "data.fit", "fill", "stretch, crop, pad"),
        ((), "data.kind", "sound", "image, vector"),
        ((), "device.type", "tpu", "cpu, cuda"),
        ((), "device.precision", "fp16", "fp32, bf16"),
        ((), "device.compile", "fast", "auto, none, graph, inductor"),
        ((), "optim.schedule.shape", "step", "constant, linear, cosine"),
        ((), "data.shuffle", "maybe", ""),
        ((), "data.flip", 0.5, ""),
        ((), "critic.flip", "maybe", ""),
        *(((), key, 0.1, "") for key in ("critic", "ema", "optim.generator", "optim.schedule")),
        ((), "model.conditional", "concatenate", "none, concat, projection"),
        ((), "train.unroll", 1.5, "could not be converted to Integer"),
        ((), "augment", "ada", ""),
        (ADA, "augment.every", 1.5, "must be a whole number, got 1.5"),
        (ADA, "augment.target", "much", "must be a number, or null for a p that stays, got 'much'"),
        (DIFF, "augment.color", 1, "must be true or false, got 1"),
    ],
)
def test_a_value_of_the_wrong_kind_is_refused_with_what_is_allowed(
    groups: Groups, key: str, value: Any, words: str
) -> None:
    with pytest.raises(Refused, match=rf"^{key}\b.*{words}"):
        read(changed(groups, key, value))


# Numbers that follow a schedule.

SCHEDULED: list[tuple[Groups, str, float, float, str]] = [
    ((), "critic.noise", 0.1, -0.1, "must be at least 0, got -0.1"),
    ((), "ema.half_life", 10.0, 0.0, "must be greater than 0, got 0.0"),
    ((), "loss.d_scale", 0.5, 0.0, "must be greater than 0, got 0.0"),
    ((), "loss.flip", 0.5, 1.0, "must be less than 1, got 1.0"),
    ((), "loss.real_target", 0.5, 1.5, "must be at most 1, got 1.5"),
    (("loss=hinge",), "loss.d_scale", 0.5, -1.0, "must be greater than 0, got -1.0"),
    (GP, "penalty.weight", 10.0, 0.0, "must be greater than 0, got 0.0"),
    (R1, "penalty.gamma", 2.0, -2.0, "must be greater than 0, got -2.0"),
    (DRAGAN, "penalty.noise", 0.5, 0.0, "must be greater than 0, got 0.0"),
    (DIFF, "augment.cutout", 0.5, 1.5, "must be at most 1, got 1.5"),
    (("augment=ada", "augment.target=null"), "augment.p", 0.5, 1.5, "must be at most 1, got 1.5"),
]
NUMBERS = [pytest.param(groups, key, good, id=f"{key}{''.join(groups)}") for groups, key, good, *_ in SCHEDULED]


@pytest.mark.parametrize("shape", ["constant", "linear", "cosine"])
@pytest.mark.parametrize(("groups", "key", "good"), NUMBERS)
def test_a_schedule_may_stand_for_a_number_and_is_stored_as_it_was_written(
    groups: Groups, key: str, good: float, shape: str
) -> None:
    for steps in (None, 1, 1000):
        written = changed(groups, key, {"start": good, "end": good / 2, "shape": shape, "steps": steps})
        config = read(written)
        assert to_plain(config) == written
        assert parse_stored(json.loads(json.dumps(written))) == config


@pytest.mark.parametrize(("groups", "key", "good"), NUMBERS)
def test_a_schedule_is_linear_over_the_run_unless_it_says_otherwise(groups: Groups, key: str, good: float) -> None:
    whole = {"start": 1.0, "end": good, "shape": "linear", "steps": None}
    if key == "loss.flip":
        whole["start"] = 0.0
    short = {"start": int(whole["start"]), "end": good}  # a whole number is a number too
    assert to_plain(read(changed(groups, key, short))) == changed(groups, key, whole)


@pytest.mark.parametrize(("groups", "key", "good", "bad", "words"), SCHEDULED)
@pytest.mark.parametrize("end", ["start", "end"])
def test_both_ends_of_a_schedule_keep_to_the_bounds_of_the_number(
    groups: Groups, key: str, good: float, bad: float, words: str, end: str
) -> None:
    for value in (bad, str(bad)):  # a text that is a number is taken for one, here as everywhere
        with pytest.raises(Refused) as refusal:
            read(changed(groups, key, {"start": good, "end": good} | {end: value}))
        assert str(refusal.value) == f"{key} {words}"


@pytest.mark.parametrize("entry", [0, 1])
def test_either_beta_may_follow_a_schedule_within_the_bounds(entry: int) -> None:
    whole = {"start": 0.5, "end": 0.25, "shape": "linear", "steps": None}
    betas: list[Any] = [0.5, 0.5]
    betas[entry] = whole
    assert to_plain(read(changed((), "optim.betas", betas))) == changed((), "optim.betas", betas)
    for end, value, words in (("start", 1.0, "be less than 1"), ("end", -0.5, "be at least 0")):
        betas[entry] = whole | {end: value}
        with pytest.raises(Refused, match=rf"^optim\.betas must {words}"):
            read(changed((), "optim.betas", betas))


SOUND = {"start": 0.5, "end": 0.25}


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("fast", "{key} must be a number, or .*start: NUMBER, end: NUMBER.* got 'fast'"),
        ("0.5", "{key} must be a number, .* got '0.5'"),
        (True, "{key} must be a number, .* got True"),
        ([0.5], "{key} must be a number, .* got "),
        ([SOUND], "{key} must be a number, .* got "),
        ([], "{key} must be a number, .* got "),
        ({}, "{key}.(start|end) is not set"),
        ({"start": 0.5}, "{key}.end is not set"),
        (SOUND | {"end": None}, "{key}.end: "),
        (SOUND | {"end": True}, "{key}.end: Value 'True'"),
        (SOUND | {"start": "soon"}, "{key}.start: Value 'soon'"),
        (SOUND | {"start": [0.5]}, "{key}.start: Value"),
        (SOUND | {"end": SOUND}, "{key}.end: Value"),
        (SOUND | {"end": float("nan")}, "{key}.* must be finite"),
        (SOUND | {"start": float("inf")}, "{key}.* must be finite"),
        (SOUND | {"shape": "step"}, "{key}.shape: .*constant, linear, cosine"),
        (SOUND | {"shape": None}, "{key}.shape: "),
        (SOUND | {"steps": 0}, "{key}.steps must be at least 1, got 0"),
        (SOUND | {"steps": 1.5}, "{key}.steps: "),
        (SOUND | {"step": 10}, "unknown key {key}.step; did you mean steps"),
        (SOUND | {"x": 10}, "unknown key {key}.x; known: start, end, shape, steps"),
    ],
    ids=str,
)
@pytest.mark.parametrize("key", ["critic.noise", "ema.half_life", "optim.betas"])
def test_what_is_neither_a_number_nor_a_schedule_is_refused_by_its_key(key: str, value: Any, words: str) -> None:
    place = "optim.betas[1]" if key == "optim.betas" else key
    named = words.replace("{key}", re.escape(place))
    with pytest.raises(Refused, match=f"^({named}|{re.escape(key)} must be finite)"):
        read(changed((), key, [0.5, value] if key == "optim.betas" else value))


@pytest.mark.parametrize("key", ["critic.noise", "optim.betas"])
def test_only_what_may_be_left_out_may_be_null(key: str) -> None:
    with pytest.raises(Refused, match=rf"^{key}"):
        read(changed((), key, [0.5, None] if key == "optim.betas" else None))
    assert read(changed((), "ema.half_life", None)).ema.half_life is None


@pytest.mark.parametrize(
    ("groups", "key", "value", "words"),
    [
        (R1, "penalty.every", SOUND, "must be a whole number"),
        (GP, "penalty.one_sided", SOUND, "must be true or false"),
        (DIFF, "augment.color", SOUND, "must be true or false"),
        (R1, "penalty.gamma", {"end": 1.0}, "must be a number, got"),
        ((), "loss.real_target", {"end": 1.0}, "must be a number, or .low, high. to draw from"),
        ((), "loss.real_target", {"start": [0.7, 1.0], "end": 1.0}, "start: Value"),
        (("optim=sgd",), "optim.momentum", SOUND, "Value"),
        ((), "optim.lr", SOUND, "Value"),
        ((), "optim.eps", SOUND, "Value"),
        ((), "optim.clip_norm", SOUND, "Value"),
        ((), "train.batch_size", SOUND, "Value"),
        (ADA, "augment.p", SOUND, "a number that adapts follows no schedule; augment.target=null"),
        (ADA, "augment.target", SOUND, "a number that adapts follows no schedule; augment.target=null"),
    ],
)
def test_what_cannot_follow_a_schedule_is_refused_one(groups: Groups, key: str, value: Any, words: str) -> None:
    with pytest.raises(Refused, match=rf"^{key}\b.*{words}"):
        read(changed(groups, key, value))


def test_options_of_a_foreign_optimizer_may_follow_schedules_wherever_they_stand() -> None:
    plain = changed((), "optim._target_", "torch.optim.Adamax")
    plain["optim"] |= {"betas": [0.5, SOUND], "eps": SOUND, "groups": {"a": [1, "x"]}}
    whole = SOUND | {"shape": "linear", "steps": None}
    config = parse(plain)
    assert config.optim.optimizer["betas"] == [0.5, whole]
    assert config.optim.optimizer["eps"] == whole
    assert config.optim.optimizer["groups"] == {"a": [1, "x"]}
    assert parse_stored(json.loads(json.dumps(to_plain(config)))) == config


@pytest.mark.parametrize("groups", [SELECTIONS[-1], SELECTIONS[0]], ids=" ".join)
def test_the_horizon_is_filled_in_where_there_is_none_and_stored(groups: Groups) -> None:
    written = composed(groups)
    config = with_horizon(parse(written), 500, 7)
    expected = deepcopy(written)
    expected["optim"]["schedule"]["steps"] = 500
    if groups:
        expected["penalty"]["gamma"]["steps"] = 500
    assert to_plain(config) == expected  # those that say their own keep it
    assert with_horizon(config, 9, 9) == config
    assert parse_stored(json.loads(json.dumps(expected))) == config
    assert parse(written) == parse(composed(groups))  # and what it was made from stays as it is


CADENCES = ("log_every", "sample_every", "evaluate_every", "checkpoint_every")


@pytest.mark.parametrize("name", CADENCES)
def test_a_cadence_of_an_epoch_becomes_its_number_of_steps_and_those_in_steps_stay(name: str) -> None:
    written = changed((), f"train.{name}", "epoch")
    config = parse(written)
    assert to_plain(config) == written
    filled = with_horizon(config, 500, 117).train
    assert {other: getattr(filled, other) for other in CADENCES} == {
        other: 117 if other == name else written["train"][other] for other in CADENCES
    }


@pytest.mark.parametrize("value", ["epochs", "", "7", 2.5, True, None, ["epoch"], {"start": 1, "end": 2}])
@pytest.mark.parametrize("name", CADENCES)
def test_a_cadence_is_a_number_of_steps_or_an_epoch_and_nothing_else(name: str, value: Any) -> None:
    with pytest.raises(Refused, match=rf"^train\.{name} must be a number of steps, or epoch, got "):
        read(changed((), f"train.{name}", value))


@pytest.mark.parametrize("key", ["model.generator", "model.discriminator", "loss", "data", "optim"])
def test_a_target_of_ours_that_does_not_exist_is_refused_with_the_nearest_one(key: str) -> None:
    right = deepcopy(composed(()))
    for part in key.split("."):
        right = right[part]
    target = right["_target_"]
    if target.startswith("gan_cli."):
        with pytest.raises(Refused, match=rf"^{key}\._target_: there is no {target}x; did you mean .*{target}\b"):
            read(changed((), f"{key}._target_", f"{target}x"))
    with pytest.raises(Refused, match=rf"^{key}\._target_ must name a class, not 3"):
        parse(changed((), f"{key}._target_", 3))


@pytest.mark.parametrize("target", ["gan_cli.files.write_json", "gan_cli.targets.create", "gan_cli.checkpoint.load"])
def test_a_function_of_ours_that_is_no_part_of_a_configuration_is_refused(target: str) -> None:
    for key in ("model.generator", "loss", "data", "optim"):
        with pytest.raises(Refused, match=rf"^{key}\._target_: there is no {target}"):
            parse(changed((), f"{key}._target_", target))


def test_options_of_a_foreign_target_are_handed_on_as_they_are() -> None:
    config = parse(composed(SELECTIONS[4]))
    assert config.model.generator == {"_target_": "mine.G", "depth": 3, "nested": {"a": [1, "x"]}}


@pytest.mark.parametrize("groups", [("model=dcgan", *GAUSSIAN), ("model=dcgan64", *GAUSSIAN)])
def test_a_model_and_data_that_do_not_fit_are_refused_with_ones_that_do(groups: Groups) -> None:
    with pytest.raises(Refused, match=r"takes image data, and the data are vectors.\n.*model=mlp.*data=mnist"):
        parse(composed(groups))


# What comes from a file.


def test_an_interpolation_in_a_stored_configuration_is_not_evaluated() -> None:
    evaluated: list[str] = []
    OmegaConf.register_new_resolver("spy", lambda name: evaluated.append(name) or 1, replace=True)
    try:
        for key in ("seed", "train.batch_size", "model.generator.slope", "loss.real_target", "data.root"):
            with pytest.raises(Refused, match="interpolation"):
                parse_stored(changed(FOLDER, key, f"${{spy:{key}}}"))
        with pytest.raises(Refused, match="interpolation"):
            parse_stored(changed((), "${spy:key}", 1))
    finally:
        OmegaConf.clear_resolver("spy")
    assert evaluated == []


@pytest.mark.parametrize("stored", [{}, {"model": 3}, {"data": [], "optim": {}}, {"data": {}, "optim": {}}, {"": {}}])
def test_a_stored_configuration_of_the_wrong_shape_is_refused(stored: Plain) -> None:
    with pytest.raises(Refused):
        parse_stored(stored)


def test_what_the_command_should_do_is_split_from_what_the_run_is() -> None:
    OmegaConf.register_new_resolver("new_run_dir", lambda parent: parent, replace=True)
    with initialize_config_dir(config_dir=CONF_DIR, version_base="1.3"):
        command, plain = split(compose("train", overrides=["resume=here", "allow_changes=[seed]", "dry_run=true"]))
    assert (command.resume, command.allow_changes, command.dry_run) == ("here", ["seed"], True)
    assert plain == composed(())
    assert plain.keys() == {f.name for f in fields(Config)}


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("num_images", 0, "num_images must be at least 1, got 0"),
        ("truncation", 0, "truncation must be greater than 0"),
        ("interpolate", 1, "interpolate must be at least 2"),
        ("interpolate", 1001, "interpolate must be at most 1000"),
        ("walk", 0, "walk must be greater than 0"),
        ("walk", 61, "walk must be at most 60"),
        ("sheet", 1, "sheet must be at least 2"),
        ("sheet", 101, "sheet must be at most 100"),
        ("rows", "latents", "rows"),
        ("neighbors", 0, "neighbors must be at least 1"),
        ("neighbors", 101, "neighbors must be at most 100"),
        ("seed", -1, "seed must be at least 0, got -1"),
        ("seed", 2**63, f"seed must be less than {2**63}"),
        ("device", {"type": "cpu", "precision": "fp32", "threads": 0}, r"device\.threads must be at least 1"),
        ("checkpoint", None, "checkpoint"),
        ("num_image", 3, "unknown key num_image; did you mean num_images"),
        ("lable", 3, "unknown key lable; did you mean label"),
    ],
)
def test_a_sampling_configuration_is_checked_by_the_same_rules(key: str, value: Any, words: str) -> None:
    plain = {
        "checkpoint": "here",
        "num_images": 4,
        "indices": None,
        "seed": 0,
        "out": "there",
        "weights": "raw",
        "label": None,
        "batch_norm": None,
        "truncation": 0.5,
        "interpolate": None,
        "walk": 6.0,
        "sheet": None,
        "rows": "classes",
        "history": False,
        "neighbors": None,
        "extractor": None,
        "inception_weights": None,
        "data": {"root": None},
        "trust": [],
        "device": {"type": "cpu", "precision": "fp32", "compile": "auto", "threads": None, "index": None},
    }
    for label in (None, 7, "cats", "1.5", "true"):
        assert to_plain(typed_as(SampleConf, plain | {"label": label})) == plain | {"label": label}
    with pytest.raises(Refused, match=f"^{words}"):
        typed_as(SampleConf, plain | {key: value})


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("num_images", 1, "num_images must be at least 2, got 1"),
        ("num_seeds", 0, "num_seeds must be at least 1, got 0"),
        ("num_seeds", 32, "num_seeds must be at most 31, got 32"),
        ("seed", -1, "seed must be at least 0, got -1"),
        ("seed", 2**62, f"seed must be less than {2**62}"),
        ("extractor", "resnet", "extractor: "),
        ("batch_norm", "train", "batch_norm: "),
        ("data", {"root": None, "split": None, "roots": 1}, r"unknown key data\.roots; did you mean root"),
        ("num_image", 3, "unknown key num_image; did you mean num_images"),
    ],
)
def test_an_evaluation_is_checked_by_the_same_rules(key: str, value: Any, words: str) -> None:
    plain = {
        "checkpoint": "here",
        "num_images": 4,
        "num_seeds": 31,
        "seed": 0,
        "extractor": None,
        "inception_weights": None,
        "weights": "raw",
        "batch_norm": "batch",
        "data": {"root": None, "split": "test"},
        "out": "there",
        "trust": [],
        "device": {"type": "cpu", "precision": "fp32", "compile": "auto", "threads": None, "index": None},
    }
    assert to_plain(typed_as(EvaluateCommandConf, plain)) == plain
    with pytest.raises(Refused, match=f"^{words}"):
        typed_as(EvaluateCommandConf, plain | {key: value})


def names(config: Plain, prefix: str = "") -> Sequence[str]:
    return [
        name
        for key, value in config.items()
        for name in (names(value, f"{prefix}{key}.") if isinstance(value, dict) else [prefix + key])
    ]


@pytest.mark.parametrize("key", names(composed(())))
def test_no_value_is_taken_as_it_comes(key: str) -> None:
    # A mapping in the place of a value is wrong everywhere; of some numbers it could tell how they change.
    asked = key in ("critic.noise", "ema.half_life")
    words = f"unknown key {key}.no; known: start, end, shape, steps" if asked else key
    with pytest.raises(Refused, match=f"^{words}"):
        read(changed((), key, {"no": "such thing"}))
