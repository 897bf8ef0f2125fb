"""The horizon of schedules made explicit: a run that is extended later keeps the one that it was started with."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from gan_cli.schedules import is_schedule
from gan_cli.schema import Config


def with_horizon(config: Config, total_steps: int) -> Config:
    """The configuration with `total_steps` in each schedule that has no `steps` of its own."""
    optim, schedule = config.optim, config.optim.schedule
    return replace(
        config,
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
