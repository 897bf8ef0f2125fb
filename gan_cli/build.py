"""From a checked configuration to the objects of a run; the only place where parts learn of each other."""

import functools
import platform
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from gan_cli import __version__, accelerate, schedules
from gan_cli.checkpoint import Checkpoint
from gan_cli.constraints import WeightClip
from gan_cli.data.batches import Batches
from gan_cli.data.dataset import Dataset
from gan_cli.dials import Dial, attribute_dial, optimizer_dial
from gan_cli.ema import EMA
from gan_cli.errors import Refused
from gan_cli.evaluation.choose import choose
from gan_cli.evaluation.evaluator import Evaluator
from gan_cli.extractors import open_extractor
from gan_cli.games.gan import GAN
from gan_cli.horizon import with_horizon
from gan_cli.memory import fits_beside_training
from gan_cli.networks import (
    DataFacts,
    build_discriminator,
    build_generator,
    build_sampler,
    check_fit,
    check_shape,
    packing,
)
from gan_cli.objective import Objective, build_objective
from gan_cli.parse import to_plain
from gan_cli.preview import Preview
from gan_cli.ranks import fits
from gan_cli.ranks.batch_norm import share_statistics
from gan_cli.ranks.draws import SharedStreams
from gan_cli.ranks.ranks import ALONE, Ranks
from gan_cli.replay.choose import choose as choose_play
from gan_cli.replay.tape import Tape, TapedBatches, TapedStreams
from gan_cli.resume import flattened
from gan_cli.run import Run
from gan_cli.run_directory import RunDirectory
from gan_cli.schema import Compile, Config, Kind, PlayerOptimConf, Shape
from gan_cli.streams import Streams
from gan_cli.targets import Trust, create
from gan_cli.unroll import can_unroll
from gan_cli.view import View


def build(
    config: Config,
    directory: RunDirectory,
    stored: Checkpoint | None = None,
    trusted: Trust = None,
    ranks: Ranks = ALONE,
) -> Run:
    """A run at step 0, or where a checkpoint left it.

    Args:
        ranks: of which this process is one. Nothing is asked of the others here, but to let one load the data first.

    Raises:
        Refused: the parts do not fit each other, the data, the device or the checkpoint.
    """
    if stored is not None:
        averaged = () if config.ema.half_life is None else ("ema",)
        check_fit(stored, config, trusted, ("generator", "discriminator", *averaged))
    device = accelerate.prepare(config.device, ranks)
    streams, tape = Streams(config.seed, device), Tape()
    alone = ranks.size == 1
    shared = streams if alone else SharedStreams(config.seed, device, ranks)
    taped = TapedStreams(config.seed, device, tape) if alone else shared
    with ranks.first_on_host():
        loaded = load_data(config, trusted)
    facts = _facts(loaded, device) | {"ranks": ranks.size}  # the digest is taken where the data lie already
    dataset = placed(loaded, device)
    data, known = config.data, DataFacts.of(loaded)
    known.check_labelled(config)
    batches = Batches(dataset, config.train.batch_size, shared, data.shuffle, data.drop_last, data.flip, ranks)
    fits.check_batches(ranks, config.train.batch_size, len(dataset), data.drop_last, packing(config))
    total_steps = config.train.steps or -(-config.train.epochs * batches.per_epoch // config.train.d_steps)
    epoch_steps = max(1, round(batches.per_epoch / config.train.d_steps))
    config = with_horizon(config, total_steps, epoch_steps)
    networks = (make(config, known, streams, trusted) for make in (build_generator, build_discriminator))
    generator, discriminator = (network.to(memory_format=torch.channels_last).to(device) for network in networks)
    half_life = schedules.follow(config.ema.half_life, 0)
    ema = EMA(generator, half_life, config.ema.ramp_up) if half_life is not None else None
    objective = build_objective(config, discriminator, trusted)
    sizes = (config.train.batch_size, len(dataset), data.drop_last, packing(config))
    fits.check_parts(ranks, discriminator, *sizes, config.train.unroll)
    for network in (generator, discriminator):
        share_statistics(network, ranks)
    augment = objective.augment.made
    if augment.adaptive is not None:
        augment.adaptive.to(device)
    optim = config.optim
    clip = optim.discriminator.weight_clip
    generator_optimizer = _optimizer(config, optim.generator, generator, trusted)
    discriminator_optimizer = _optimizer(config, optim.discriminator, discriminator, trusted)
    if config.train.unroll and not can_unroll(type(discriminator_optimizer)):
        raise Refused(f"train.unroll: {type(discriminator_optimizer).__name__} has no differentiable updates")
    by_weights = {"raw": generator} if ema is None else {"ema": ema.network, "raw": generator}
    samplers = {weights: build_sampler(config, network, known, streams) for weights, network in by_weights.items()}
    sampler = next(iter(samplers.values()))
    game = GAN(
        generator=generator,
        discriminator=discriminator,
        generator_optimizer=generator_optimizer,
        discriminator_optimizer=discriminator_optimizer,
        loss=objective.loss.made,
        penalty=objective.penalty.made,
        view=View(config.critic.flip, augment, schedules.follow(config.critic.noise, 0)),
        packing=packing(config),
        num_classes=sampler.num_classes,
        latents=replace(sampler.latents, streams=taped),
        batches=TapedBatches(batches, tape),
        streams=taped,
        autocast=accelerate.autocast(device, config.device.precision),
        constrain=WeightClip(list(discriminator.parameters()), clip) if clip else lambda: None,
        d_steps=config.train.d_steps,
        reuse=config.train.reuse.name,
        unroll=config.train.unroll,
        clip_norm=optim.clip_norm,
        compiled=accelerate.compiled(config.device),
        gather=ranks.gathered,
        reduce=ranks.sum_gradients,
    )
    opened = functools.cache(open_extractor)

    def evaluator(count: int, thorough: bool) -> Evaluator | None:
        if not config.train.evaluate_every or not count:
            return None
        return choose(dataset, facts["data_digest"], config.evaluate, device, count, thorough, opened, ranks)

    run = Run(
        directory=directory,
        device=device,
        config=to_plain(config),
        hparams=flattened(to_plain(config)),
        facts=facts,
        train=config.train,
        game=game,
        preview=Preview(dataset, sampler, config.sampling.shown, config.sampling.columns),
        samplers=samplers,
        total_steps=total_steps,
        selection=evaluator(config.evaluate.num_images, thorough=False),
        play=choose_play(config, game, tape, device, alone),
        final=evaluator(config.evaluate.final_images, thorough=True),
        dials=_dials(config, game, objective, ema),
        ema=ema,
        ranks=ranks,
    )
    if stored is not None:
        run.restore(stored)
    return run


def placed(dataset: Dataset, device: torch.device) -> Dataset:
    """The data on the device, unless they would crowd out what is done there: then each batch is brought to it."""
    if device.type != "cuda":
        return dataset.to(device)
    free, _ = torch.cuda.mem_get_info(device)
    return dataset.to(device) if fits_beside_training(dataset.samples.nbytes, free) else dataset


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
    check_shape(dataset.sample_shape)
    return dataset.first(config.data.limit).resized(config.model.resolution)


def _optimizer(config: Config, player: PlayerOptimConf, network: nn.Module, trusted: Trust) -> Optimizer:
    optim = config.optim
    lr: float | Tensor = player.lr
    options = {key: schedules.follow(value, 0) for key, value in optim.optimizer.items()}
    if optim.schedule.shape is not Shape.constant and options.get("fused") and "betas" in options:
        # A recorded step reads the rate from a tensor; Adam's CPU kernel in full precision, its CUDA kernel as float32.
        device = next(network.parameters()).device
        lr = torch.tensor(lr, device=device, dtype=torch.float32 if device.type == "cuda" else torch.float64)
    optimizer: Optimizer = create(options, "optim", trusted, params=network.parameters(), lr=lr)
    for group in optimizer.param_groups:
        if "capturable" in group and config.device.type.name == "cuda" and config.device.compile is Compile.graph:
            group["capturable"] = True  # its count of steps lies on the device, where a CUDA graph can advance it
    return optimizer


def _dials(config: Config, game: GAN, objective: Objective, ema: EMA | None) -> list[Dial]:
    optim, course = config.optim, config.optim.schedule
    factor = schedules.scheduled({"start": 1.0, "end": course.final, "shape": course.shape.name, "steps": course.steps})
    players = ((game.generator_player, optim.generator), (game.discriminator_player, optim.discriminator))
    dials = [optimizer_dial(player.optimizer, conf.lr, factor, optim.optimizer) for player, conf in players]
    dials.append(attribute_dial(game.view, "noise", config.critic.noise))
    if ema is not None:
        dials.append(attribute_dial(ema, "half_life", config.ema.half_life))
    for part, owner, name in (
        (objective.loss, game, "loss"),
        (objective.penalty, game, "penalty"),
        (objective.augment, game.view, "augment"),
    ):
        if part.numbers:
            dials.append(part.dial(owner, name))
    return dials


def _facts(dataset: Dataset, device: torch.device) -> dict[str, Any]:
    return {
        "sample_shape": list(dataset.sample_shape),
        "classes": list(DataFacts.of(dataset).classes),
        "num_samples": len(dataset),
        "data_digest": dataset.digest(),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "gan_cli": __version__,
    }
