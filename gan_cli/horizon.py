"""A run's length made explicit where the configuration leaves it open: in schedules, and in cadences of an epoch.

A run that is extended later keeps the horizon that it was started with.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from gan_cli.schedules import is_schedule
from gan_cli.schema import Config


def with_horizon(config: Config, total_steps: int, epoch_steps: int) -> Config:
    """The configuration with `total_steps` in each schedule that has no `steps` of its own, and `epoch_steps` for each
    cadence of an "epoch"."""
    optim, schedule, train = config.optim, config.optim.schedule, config.train
    cadences = ("log_every", "sample_every", "evaluate_every", "checkpoint_every")
    by_epoch: dict[str, Any] = {name: epoch_steps for name in cadences if getattr(train, name) == "epoch"}
    return replace(
        config,
        train=replace(train, **by_epoch),
        loss=_filled(config.loss, total_steps),
        penalty=_filled(config.penalty, total_steps),
        augment=_filled(config.augment, total_steps),
        critic=replace(config.critic, noise=_filled(config.critic.noise, total_steps)),
        ema=replace(config.ema, half_life=_filled(config.ema.half_life, total_steps)),
        optim=replace(
            optim,
            optimizer=_filled(optim.optimizer, total_steps),
            schedule=replace(schedule, steps=schedule.steps or total_steps),
        ),
    )


def _filled(value: Any, total_steps: int) -> Any:
    if isinstance(value, list):
        return [_filled(entry, total_steps) for entry in value]
    if is_schedule(value):
        return {**value, "steps": value["steps"] or total_steps}
    if isinstance(value, Mapping):
        return {key: _filled(entry, total_steps) for key, entry in value.items()}
    return value
