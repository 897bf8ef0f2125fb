"""Whether a run's steps are recorded and replayed, or compiled."""

import logging
import time
from collections.abc import Callable

import torch

from gan_cli.replay.replayed import Replayed, Steps
from gan_cli.replay.tape import Tape
from gan_cli.schema import Compile, Config
from gan_cli.step import Stats
from gan_cli.targets import OWN

log = logging.getLogger("gan_cli.train")

_SMALL = 64 * 2**20
_MOST = 4 * 2**30


def choose(config: Config, game: Steps, tape: Tape, device: torch.device, alone: bool) -> Callable[[int], Stats]:
    """How a run plays its game: as it is, or from a recording.

    Unasked, steps are recorded where that was measured to help and cannot surprise: on the CPU, for networks so small
    that a step is mostly what stands between its operations, and for parts of this project, which are known to have no
    state in Python that a recording would freeze.

    Args:
        alone: whether one process trains: what several say to each other is not recorded.
    """
    match config.device.compile:
        case Compile.graph if not alone:
            log.info("device.compile=graph records the steps of one process; these are taken as they are")
        case Compile.graph:
            return Replayed(game, tape, device, _MOST).play
        case Compile.auto if alone and device.type == "cpu" and _is_own(config):
            size = sum(tensor.nbytes for tensor in game.state())
            if size <= _SMALL // 4:  # without the optimizers' states, which come with the first step
                return Replayed(game, tape, device, _SMALL).play
        case Compile.inductor:
            return _telling_of_the_first(game.play)
    return game.play


def _telling_of_the_first(play: Callable[[int], Stats]) -> Callable[[int], Stats]:
    """The same, with the time of the first step in the log: compiling is most of it."""
    told = False

    def timed(step: int) -> Stats:
        nonlocal told
        if told:
            return play(step)
        started, told = time.perf_counter(), True
        stats = play(step)
        log.info("compiled; the first step took %.1f s", time.perf_counter() - started)
        return stats

    return timed


def _is_own(config: Config) -> bool:
    model = config.model
    nodes = (model.generator, model.discriminator, config.loss, config.penalty, config.augment, config.optim.optimizer)
    return all(str(node["_target_"]).startswith(tuple(f"{package}." for package in OWN)) for node in nodes)
