"""From a checked configuration to the objects of a run; the only place where parts learn of each other."""

import platform
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from gan_cli import __version__, accelerate, legality, schedules
from gan_cli.checkpoint import Checkpoint
from gan_cli.constraints import WeightClip
from gan_cli.data.batches import Batches
from gan_cli.data.dataset import Dataset
from gan_cli.ema import EMA
from gan_cli.errors import Refused
from gan_cli.games.gan import GAN
from gan_cli.latents import Latents
from gan_cli.losses import AdversarialLoss
from gan_cli.models.initialize import initialize
from gan_cli.parse import parse_stored, to_plain
from gan_cli.penalties import Penalty
from gan_cli.preview import Preview
from gan_cli.run import Run
from gan_cli.run_directory import RunDirectory
from gan_cli.schedules import Schedule
from gan_cli.schema import Config, Kind, OptimConf, PlayerOptimConf, ScheduleConf, Shape, Weights
from gan_cli.streams import Streams
from gan_cli.target_options import SELF_DECLARING, Norm
from gan_cli.targets import create, locate
from gan_cli.traits import critic_traits

Trust = Collection[str] | None
"""Packages, besides ours, that a stored configuration may name; None for one that the user typed."""


def build(config: Config, directory: RunDirectory, stored: Checkpoint | None = None, trusted: Trust = None) -> Run:
    """A run at step 0, or where a checkpoint left it.

    Raises:
        Refused: the parts do not fit each other, the data, the device or the checkpoint.
    """
    if stored is not None:
        averaged = () if config.ema.half_life is None else ("ema",)
        check_fit(stored, config, trusted, ("generator", "discriminator", *averaged))
    device = accelerate.prepare(config.device)
    streams = Streams(config.seed, device)
    loaded = load_data(config, trusted)
    facts, dataset = _facts(loaded, device), loaded.to(device)  # the digest is taken where the data lie already
    data = config.data
    batches = Batches(dataset, config.train.batch_size, streams, data.shuffle, data.drop_last)
    total_steps = config.train.steps or -(-config.train.epochs * batches.per_epoch // config.train.d_steps)
    config = _with_horizon(config, total_steps)
    latents = Latents(config.latent.dim, config.latent.distribution.name, streams)
    generator = build_generator(config, dataset.sample_shape, streams, trusted).to(device)
    discriminator = build_discriminator(config, dataset.sample_shape, streams, trusted).to(device)
    ema = EMA(generator, config.ema.half_life, config.ema.ramp_up) if config.ema.half_life is not None else None
    loss, penalty = build_objective(config, discriminator, trusted)
    optim = config.optim
    clip = optim.discriminator.weight_clip
    generator_optimizer = _optimizer(optim, optim.generator, generator, trusted)
    discriminator_optimizer = _optimizer(optim, optim.discriminator, discriminator, trusted)
    game = GAN(
        generator=generator,
        discriminator=discriminator,
        generator_optimizer=generator_optimizer,
        discriminator_optimizer=discriminator_optimizer,
        loss=loss,
        penalty=penalty,
        latents=latents,
        batches=batches,
        streams=streams,
        autocast=accelerate.autocast(device, config.device.precision),
        constrain=WeightClip(list(discriminator.parameters()), clip) if clip else lambda: None,
        d_steps=config.train.d_steps,
        reuse=config.train.reuse.name,
    )
    run = Run(
        directory=directory,
        device=device,
        config=to_plain(config),
        facts=facts,
        train=config.train,
        game=game,
        preview=Preview(dataset, generator if ema is None else ema.network, latents, "raw" if ema is None else "ema"),
        total_steps=total_steps,
        rates=[(generator_optimizer, optim.generator.lr), (discriminator_optimizer, optim.discriminator.lr)],
        schedule=_schedule(config.optim.schedule),
        ema=ema,
    )
    if stored is not None:
        run.restore(stored)
    return run


def load_data(config: Config, trusted: Trust = None) -> Dataset:
    """The data, at the model's resolution where it has one."""
    node = dict(config.data.source)
    if config.model.resolution is not None and "resolution" in node:
        node["resolution"] = config.model.resolution  # one resampling of the original, not two
    dataset = create(node, "data", trusted)
    if not isinstance(dataset, Dataset):
        raise Refused(f"data._target_: {node['_target_']} must return a Dataset, not {type(dataset).__name__}")
    if dataset.is_images != (config.data.kind is Kind.image):
        raise Refused(f"data.kind={config.data.kind.name}, but its samples have shape {dataset.sample_shape}")
    _check_shape(dataset.sample_shape)
    return dataset.first(config.data.limit).resized(config.model.resolution)


def _check_shape(sample_shape: tuple[int, ...]) -> None:
    if not ((len(sample_shape) == 1 and sample_shape[0] > 1) or (len(sample_shape) == 3 and sample_shape[0] in (1, 3))):
        raise Refused(
            "samples must be grey or RGB images, (1 or 3, H, W), or vectors of two numbers or more: "
            f"their sample_shape is {str(sample_shape)[:80]}"
        )


def build_generator(
    config: Config, sample_shape: tuple[int, ...], streams: Streams, trusted: Trust = None
) -> nn.Module:
    """The generator with its initial weights, on torch's current device."""
    facts = {"latent_dim": config.latent.dim, "sample_shape": sample_shape}
    return _network(config, "generator", streams, trusted, facts)


def build_discriminator(
    config: Config, sample_shape: tuple[int, ...], streams: Streams, trusted: Trust = None
) -> nn.Module:
    """The discriminator with its initial weights, on torch's current device."""
    return _network(config, "discriminator", streams, trusted, {"sample_shape": sample_shape})


def build_objective(config: Config, discriminator: nn.Module, trusted: Trust = None) -> tuple[AdversarialLoss, Penalty]:
    """The loss and the penalty, once it is sure that they go together with the discriminator.

    Raises:
        Incompatible: they do not.
        Refused: one of them is none.
    """
    loss: AdversarialLoss = _derived(config.loss, "loss", AdversarialLoss, trusted)
    penalty: Penalty = _derived(config.penalty, "penalty", Penalty, trusted)
    has_maps = any(isinstance(module, nn.Conv2d) for module in discriminator.modules())
    keeping = [norm.name for norm in Norm if norm is not Norm.batch and (norm is not Norm.instance or has_maps)]
    clipped = config.optim.discriminator.weight_clip is not None
    asked = legality.Combination(loss, penalty, critic_traits(discriminator), clipped)
    legality.check(asked, keeping if "norm" in config.model.discriminator else ())
    return loss, penalty


def _derived(node: Mapping[str, Any], path: str, base: type, trusted: Trust) -> Any:
    """What the node names, which must be a whole class below `base`; looked at before it is called."""
    found = locate(node["_target_"], path, trusted)
    if not (isinstance(found, type) and issubclass(found, base)):
        raise Refused(
            f"{path}._target_: {getattr(found, '__name__', found)} must derive from {base.__module__}.{base.__name__}"
        )
    missing = sorted(getattr(found, "__abstractmethods__", ()))
    if missing:
        raise Refused(f"{path}._target_: {found.__name__} must define {' and '.join(missing)}")
    return create(node, path, trusted)


def restore_generator(
    stored: Checkpoint, trusted: Collection[str], weights: Weights | None = None
) -> tuple[Config, nn.Module]:
    """The trained generator of a checkpoint and its configuration, from that file alone.

    The file may be anyone's: its configuration is checked as if it were typed, may only name trusted classes, and is
    compared with the stored weights before memory is taken for it.

    Args:
        weights: the generator's own or its average; None takes the average where there is one.

    Raises:
        Refused: the configuration is not valid or not trusted, or does not fit the weights, or there is no average.
    """
    config = parse_stored(stored.config)
    for path, node, base in (("loss", config.loss, AdversarialLoss), ("penalty", config.penalty, Penalty)):
        if node["_target_"].startswith(SELF_DECLARING):
            _derived(node, path, base, trusted)  # not needed here, but its values are checked nowhere else
    averaged = config.ema.half_life is not None
    if weights is Weights.ema and not averaged:
        raise Refused("weights=ema: the run kept no average of its generator (ema.half_life was null): weights=raw")
    name = "ema" if averaged and weights is not Weights.raw else "generator"
    shape = check_fit(stored, config, trusted, networks=(name,))
    generator = build_generator(config, shape, Streams(config.seed, torch.device("cpu")), trusted)
    stored.load_network(name, generator)
    return config, generator


def check_fit(
    stored: Checkpoint,
    config: Config,
    trusted: Trust,
    networks: Collection[str] = ("generator", "discriminator"),
) -> tuple[int, ...]:
    """Compare the networks that a configuration makes with a checkpoint's, on the meta device, which takes no memory.

    Returns:
        The shape of the samples, which the checkpoint knows.

    Raises:
        Refused: they differ, or the configuration makes none.
    """
    shape = stored.facts.get("sample_shape")
    if not isinstance(shape, list) or not all(type(size) is int and size > 0 for size in shape):
        raise Refused(f"the checkpoint's sample_shape must be a list of sizes, got {str(shape)[:80]}")
    _check_shape(shape := tuple(shape))
    streams = Streams(config.seed, torch.device("cpu"))
    makers = {"generator": build_generator, "ema": build_generator, "discriminator": build_discriminator}
    for name in networks:
        try:
            with torch.device("meta"):
                network = makers[name](config, shape, streams, trusted)
        except (RuntimeError, OverflowError, TypeError) as error:  # sizes that no tensor can have
            raise Refused(f"the checkpoint's configuration makes no {name}: {str(error).splitlines()[0]}") from error
        stored.check_network(name, network)
    return shape


def _network(config: Config, name: str, streams: Streams, trusted: Trust, facts: dict[str, Any]) -> nn.Module:
    node = getattr(config.model, name)
    with streams.modules(f"init/{name}"):
        network = create(node, f"model.{name}", trusted, **facts)
        if not isinstance(network, nn.Module):
            raise Refused(f"model.{name}._target_: {node['_target_']} must be a torch.nn.Module")
        initialize(network, config.model.init.name, config.model.init_std)
    return network


def _optimizer(optim: OptimConf, player: PlayerOptimConf, network: nn.Module, trusted: Trust) -> Optimizer:
    optimizer: Optimizer = create(optim.optimizer, "optim", trusted, params=network.parameters(), lr=player.lr)
    return optimizer


def _with_horizon(config: Config, total_steps: int) -> Config:
    """The schedule's horizon made explicit: a run that is extended later keeps the one that it was started with."""
    if config.optim.schedule.steps is not None:
        return config
    schedule = replace(config.optim.schedule, steps=total_steps)
    return replace(config, optim=replace(config.optim, schedule=schedule))


def _schedule(conf: ScheduleConf) -> Schedule:
    assert conf.steps is not None
    match conf.shape:
        case Shape.linear:
            return schedules.linear(conf.final, conf.steps)
        case Shape.cosine:
            return schedules.cosine(conf.final, conf.steps)
        case Shape.constant:
            return schedules.constant


def _facts(dataset: Dataset, device: torch.device) -> dict[str, Any]:
    return {
        "sample_shape": list(dataset.sample_shape),
        "num_samples": len(dataset),
        "data_digest": dataset.digest(),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "gan_cli": __version__,
    }
