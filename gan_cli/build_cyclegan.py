"""From a checked configuration to a run of CycleGAN."""

import torch
from torch import nn

from gan_cli import accelerate, schedules
from gan_cli.assembly import dials_of, facts_of, load, optimizer, placed, shaped
from gan_cli.constraints import WeightClip
from gan_cli.data.batches import Batches
from gan_cli.data.dataset import Dataset
from gan_cli.data.unpaired import Unpaired
from gan_cli.ema import EMA
from gan_cli.errors import Refused
from gan_cli.games.cyclegan import CycleGAN, Weights
from gan_cli.games.pool import ImagePool
from gan_cli.horizon import with_horizon
from gan_cli.networks import DataFacts, build_discriminator, build_generator, packing
from gan_cli.objective import build_objective
from gan_cli.parse import to_plain
from gan_cli.ranks.ranks import Ranks
from gan_cli.replay.choose import choose as choose_play
from gan_cli.replay.tape import Tape, TapedBatches, TapedStreams
from gan_cli.resume import flattened
from gan_cli.run import Run
from gan_cli.run_directory import RunDirectory
from gan_cli.schema import Config, CycleGANConf
from gan_cli.streams import Streams
from gan_cli.targets import Trust
from gan_cli.translation import TranslationPreview, Translator
from gan_cli.view import View


def build_cyclegan(config: Config, directory: RunDirectory, trusted: Trust, ranks: Ranks) -> Run:
    """A run at step 0.

    Raises:
        Refused: the parts do not fit each other, the data or the device; or there are several ranks.
    """
    if ranks.size > 1:
        raise Refused(f"game=cyclegan is trained by one process, and these are {ranks.size}: run it without torchrun")
    conf = config.game
    assert isinstance(conf, CycleGANConf)
    device = accelerate.prepare(config.device)
    streams, tape = Streams(config.seed, device), Tape()
    loaded = load_domains(config, trusted)
    domains = {"a": loaded.a, "b": loaded.b}
    facts = facts_of([loaded.a, loaded.b], loaded.digest(), (), device) | {"ranks": 1}
    known = DataFacts(loaded.sample_shape)
    domains = {domain: placed(dataset, device) for domain, dataset in domains.items()}
    batches = {domain: _batches(config, domain, dataset, streams) for domain, dataset in domains.items()}
    epoch_steps = max(each.per_epoch for each in batches.values())
    total_steps = config.train.steps or config.train.epochs * epoch_steps
    config = with_horizon(config, total_steps, epoch_steps)
    generators, discriminators = (
        _pair(make(config, known, streams, trusted), device) for make in (build_generator, build_discriminator)
    )
    half_life = schedules.follow(config.ema.half_life, 0)
    ema = EMA(generators, half_life, config.ema.ramp_up) if half_life is not None else None
    objective = build_objective(config, discriminators, trusted)
    augment = objective.augment.made
    if augment.adaptive is not None:
        augment.adaptive.to(device)
    optim = config.optim
    clip = optim.discriminator.weight_clip
    game = CycleGAN(
        generators=generators,
        discriminators=discriminators,
        pools={domain: ImagePool(conf.pool, known.sample_shape).to(device) for domain in domains},
        generator_optimizer=optimizer(config, optim.generator, generators, trusted),
        discriminator_optimizer=optimizer(config, optim.discriminator, discriminators, trusted),
        loss=objective.loss.made,
        penalty=objective.penalty.made,
        weights=Weights(conf.adversarial_weight, conf.cycle_weight, conf.identity_weight),
        batches={domain: TapedBatches(each, tape) for domain, each in batches.items()},
        streams=TapedStreams(config.seed, device, tape),
        autocast=accelerate.autocast(device, config.device.precision),
        constrain=WeightClip(list(discriminators.parameters()), clip) if clip else lambda: None,
        view=View(config.critic.flip, augment, schedules.follow(config.critic.noise, 0)),
        packing=packing(config),
        clip_norm=optim.clip_norm,
        compiled=accelerate.compiled(config.device),
    )
    shown = generators if ema is None else _as_pair(ema.network)
    return Run(
        directory=directory,
        device=device,
        config=to_plain(config),
        hparams=flattened(to_plain(config)),
        facts=facts,
        train=config.train,
        game=game,
        preview=TranslationPreview(domains, Translator(shown, device), config.sampling.columns),
        samplers={},
        total_steps=total_steps,
        play=choose_play(config, game, tape, device, alone=True),
        dials=dials_of(config, game, game.generator_player, game.discriminator_player, game.view, objective, ema),
        ema=ema,
        ranks=ranks,
    )


def load_domains(config: Config, trusted: Trust = None) -> Unpaired:
    """The data of both domains, at the model's resolution where it has one."""
    loaded = load(config, Unpaired, trusted)
    return Unpaired(shaped(loaded.a, config), shaped(loaded.b, config))


def _batches(config: Config, domain: str, dataset: Dataset, streams: Streams) -> Batches:
    """Each domain has an order of its own: two of one size would otherwise meet in the same pairs in every epoch."""
    data = config.data
    try:
        return Batches(dataset, config.train.batch_size, streams.of(f"domain/{domain}"), data.shuffle, True, data.flip)
    except Refused as error:
        raise Refused(f"domain {domain} of the data: {error}") from error


def _pair(networks: nn.Module, device: torch.device) -> nn.ModuleDict:
    return _as_pair(networks.to(memory_format=torch.channels_last).to(device))


def _as_pair(networks: nn.Module) -> nn.ModuleDict:
    assert isinstance(networks, nn.ModuleDict)
    return networks
