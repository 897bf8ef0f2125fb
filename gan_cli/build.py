"""From a checked configuration to the objects of a run; the only place where parts learn of each other."""

import functools
from dataclasses import replace

import torch

from gan_cli import accelerate, build_cyclegan, schedules
from gan_cli.assembly import dials_of, facts_of, load, optimizer, placed, shaped
from gan_cli.checkpoint import Checkpoint
from gan_cli.constraints import WeightClip
from gan_cli.data.batches import Batches
from gan_cli.data.dataset import Dataset
from gan_cli.ema import EMA
from gan_cli.errors import Refused
from gan_cli.evaluation.choose import choose
from gan_cli.evaluation.evaluator import Evaluator
from gan_cli.extractors import open_extractor
from gan_cli.games.gan import GAN
from gan_cli.horizon import with_horizon
from gan_cli.networks import (
    DataFacts,
    build_discriminator,
    build_generator,
    build_sampler,
    check_fit,
    packing,
)
from gan_cli.objective import build_objective
from gan_cli.parse import to_plain
from gan_cli.preview import SamplePreview
from gan_cli.ranks import fits
from gan_cli.ranks.batch_norm import share_statistics
from gan_cli.ranks.draws import SharedStreams
from gan_cli.ranks.ranks import ALONE, Ranks
from gan_cli.replay.choose import choose as choose_play
from gan_cli.replay.tape import Tape, TapedBatches, TapedStreams
from gan_cli.resume import flattened
from gan_cli.run import Run
from gan_cli.run_directory import RunDirectory
from gan_cli.schema import Config, GameName, Kind
from gan_cli.streams import Streams
from gan_cli.targets import Trust
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
    make = build_cyclegan.build_cyclegan if config.game.name is GameName.cyclegan else _build_gan
    run = make(config, directory, trusted, ranks)
    if stored is not None:
        run.restore(stored)
    return run


def _build_gan(config: Config, directory: RunDirectory, trusted: Trust, ranks: Ranks) -> Run:
    """A run of a generator that draws samples and a discriminator, at step 0."""
    device = accelerate.prepare(config.device, ranks)
    streams, tape = Streams(config.seed, device), Tape()
    alone = ranks.size == 1
    shared = streams if alone else SharedStreams(config.seed, device, ranks)
    taped = TapedStreams(config.seed, device, tape) if alone else shared
    with ranks.first_on_host():
        loaded = load_data(config, trusted)
    data, known = config.data, DataFacts.of(loaded)
    # The digest is taken where the data lie already.
    facts = facts_of([loaded], loaded.digest(), known.classes, device) | {"ranks": ranks.size}
    dataset = placed(loaded, device)
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
    generator_optimizer = optimizer(config, optim.generator, generator, trusted)
    discriminator_optimizer = optimizer(config, optim.discriminator, discriminator, trusted)
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

    return Run(
        directory=directory,
        device=device,
        config=to_plain(config),
        hparams=flattened(to_plain(config)),
        facts=facts,
        train=config.train,
        game=game,
        preview=SamplePreview(dataset, sampler, config.sampling.shown, config.sampling.columns),
        samplers=samplers,
        total_steps=total_steps,
        selection=evaluator(config.evaluate.num_images, thorough=False),
        play=choose_play(config, game, tape, device, alone),
        final=evaluator(config.evaluate.final_images, thorough=True),
        dials=dials_of(config, game, game.generator_player, game.discriminator_player, game.view, objective, ema),
        ema=ema,
        ranks=ranks,
    )


def load_data(config: Config, trusted: Trust = None) -> Dataset:
    """The data, at the model's resolution where it has one."""
    dataset = load(config, Dataset, trusted)
    if dataset.is_images != (config.data.kind is Kind.image):
        raise Refused(f"data.kind={config.data.kind.name}, but its samples have shape {dataset.sample_shape}")
    return shaped(dataset, config)
