"""What building a run has in common, whatever game it plays: data placed, optimizers, schedules, facts."""

import platform
from collections.abc import Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from gan_cli import __version__, schedules
from gan_cli.data.dataset import Dataset
from gan_cli.dials import Dial, attribute_dial, optimizer_dial
from gan_cli.ema import EMA
from gan_cli.errors import Refused
from gan_cli.memory import fits_beside_training
from gan_cli.networks import check_shape
from gan_cli.objective import Objective
from gan_cli.schema import Compile, Config, PlayerOptimConf, Shape
from gan_cli.step import Player
from gan_cli.targets import Trust, create
from gan_cli.view import View

T = TypeVar("T")


def load(config: Config, kind: type[T], trusted: Trust) -> T:
    """What the configuration's data are, which must be of a kind.

    Raises:
        Refused: they are not.
    """
    node = dict(config.data.source)
    if config.model.resolution is not None and "resolution" in node:
        node["resolution"] = config.model.resolution  # one resampling of the original, not two
    found = create(node, "data", trusted)
    if not isinstance(found, kind):
        raise Refused(f"data._target_: {node['_target_']} must return a {kind.__name__}, not {type(found).__name__}")
    return found


def shaped(dataset: Dataset, config: Config) -> Dataset:
    """As much of the data as is asked for, at the model's resolution where it has one.

    Raises:
        Refused: they are neither pictures nor vectors.
    """
    check_shape(dataset.sample_shape)
    return dataset.first(config.data.limit).resized(config.model.resolution)


def placed(dataset: Dataset, device: torch.device) -> Dataset:
    """The data on the device, unless they would crowd out what is done there: then each batch is brought to it."""
    if device.type != "cuda":
        return dataset.to(device)
    free, _ = torch.cuda.mem_get_info(device)
    return dataset.to(device) if fits_beside_training(dataset.samples.nbytes, free) else dataset


def optimizer(config: Config, player: PlayerOptimConf, network: nn.Module, trusted: Trust) -> Optimizer:
    """Over the network's parameters, at the player's learning rate."""
    optim = config.optim
    lr: float | Tensor = player.lr
    options = {key: schedules.follow(value, 0) for key, value in optim.optimizer.items()}
    if optim.schedule.shape is not Shape.constant and options.get("fused") and "betas" in options:
        # A recorded step reads the rate from a tensor; Adam's CPU kernel in full precision, its CUDA kernel as float32.
        device = next(network.parameters()).device
        lr = torch.tensor(lr, device=device, dtype=torch.float32 if device.type == "cuda" else torch.float64)
    made: Optimizer = create(options, "optim", trusted, params=network.parameters(), lr=lr)
    for group in made.param_groups:
        if "capturable" in group and config.device.type.name == "cuda" and config.device.compile is Compile.graph:
            group["capturable"] = True  # its count of steps lies on the device, where a CUDA graph can advance it
    return made


def dials_of(
    config: Config,
    game: object,
    generator: Player[Any],
    discriminator: Player[Any],
    view: View,
    objective: Objective,
    ema: EMA | None,
) -> list[Dial]:
    """Everything that follows a schedule: rates and options of both players' optimizers, numbers of the parts.

    Args:
        game: whose attributes `loss` and `penalty` are set.
    """
    optim, course = config.optim, config.optim.schedule
    assert course.steps is not None
    held = int(course.hold * course.steps)
    shape = {"start": 1.0, "end": course.final, "shape": course.shape.name, "steps": course.steps - held}
    factor = schedules.held(schedules.scheduled(shape), held)
    players = ((generator, optim.generator), (discriminator, optim.discriminator))
    dials = [optimizer_dial(player.optimizer, conf.lr, factor, optim.optimizer) for player, conf in players]
    dials.append(attribute_dial(view, "noise", config.critic.noise))
    if ema is not None:
        dials.append(attribute_dial(ema, "half_life", config.ema.half_life))
    for part, owner, name in (
        (objective.loss, game, "loss"),
        (objective.penalty, game, "penalty"),
        (objective.augment, view, "augment"),
    ):
        if part.numbers:
            dials.append(part.dial(owner, name))
    return dials


def facts_of(datasets: Sequence[Dataset], digest: str, classes: Sequence[str], device: torch.device) -> dict[str, Any]:
    """What a checkpoint says of its run besides the configuration.

    Args:
        datasets: that the run plays with, of one sample shape.
    """
    return {
        "sample_shape": list(datasets[0].sample_shape),
        "classes": list(classes),
        "num_samples": sum(map(len, datasets)),
        "data_digest": digest,
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "gan_cli": __version__,
    }
