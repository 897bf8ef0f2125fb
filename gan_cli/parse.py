"""A composed configuration -> checked, typed objects, as `gan_cli.schema` declares them.

The same checks serve YAML files, experiments, the command line and the configuration stored in a checkpoint. A foreign
`_target_` is checked against its constructor's signature when it is built (`gan_cli.targets`).
"""

import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any, get_origin

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import ConfigKeyError, ConfigTypeError, OmegaConfBaseException, ValidationError

from gan_cli.bounds import check_bounds
from gan_cli.command_schema import CommandConf
from gan_cli.errors import Refused
from gan_cli.relations import check_relations
from gan_cli.schema import GAMES, Config, DataConf, GameConf, Kind, OptimConf, ScheduledConf
from gan_cli.suggest import did_you_mean
from gan_cli.target_options import RENAMED, SELF_DECLARING, TARGETS


def split(composed: DictConfig) -> tuple[CommandConf, dict[str, Any]]:
    """A composed training configuration as what `gan-train` should do, and with what: the part for `parse`."""
    plain = resolved(composed)
    command = {f.name: plain.pop(f.name) for f in fields(CommandConf) if f.name in plain}
    return typed_as(CommandConf, command), plain


def parse(config: DictConfig | Mapping[str, Any]) -> Config:
    """A composed training configuration, checked key by key.

    Raises:
        Refused: names the first unknown key, missing value, wrong type or number out of range.
    """
    plain = resolved(config)
    plain["data"] = _fold(plain.get("data"), DataConf, "source", "data")
    plain["optim"] = _fold(plain.get("optim"), OptimConf, "optimizer", "optim")
    game = _game(plain.pop("game", {}))
    typed: Config = typed_as(Config, plain)
    typed.game = game
    typed.model.generator = _target_options(typed.model.generator, "model.generator")
    typed.model.discriminator = _target_options(typed.model.discriminator, "model.discriminator")
    typed.loss = _target_options(typed.loss, "loss")
    typed.penalty = _target_options(typed.penalty, "penalty")
    typed.augment = _target_options(typed.augment, "augment")
    typed.data.source = _target_options(typed.data.source, "data")
    typed.optim.optimizer = _target_options(typed.optim.optimizer, "optim")
    if not all(isinstance(kind, Kind) for kind in typed.model.accepts):
        raise Refused(f"model.accepts must be a list of kinds, got {plain['model']['accepts']}")
    check_relations(typed)
    return typed


def _game(plain: Any) -> GameConf:
    """The game, with the keys that a game of its name has."""
    if not isinstance(plain, Mapping):
        raise Refused(f"game must be a group of keys, not {plain!r}: game=OPTION chooses one")
    named: GameConf = typed_as(GameConf, {key: value for key, value in plain.items() if key == "name"}, "game")
    game: GameConf = typed_as(GAMES[named.name], dict(plain), "game")
    return game


def parse_stored(config: Mapping[str, Any]) -> Config:
    """`parse` for a configuration from a file: it is resolved already, and an interpolation in it is not obeyed.

    Raises:
        Refused: as `parse`; or it holds an interpolation, which could read this machine's environment.
    """
    if "${" in json.dumps(config):
        raise Refused("the checkpoint's configuration holds an interpolation (${...}), which ours never do")
    try:
        return parse(config)
    except RecursionError as error:
        raise Refused("the checkpoint's configuration is nested too deeply") from error


def resolved(config: DictConfig | Mapping[str, Any]) -> dict[str, Any]:
    """The configuration as plain containers, with every interpolation replaced by its value."""
    if not isinstance(config, DictConfig):
        config = OmegaConf.create(dict(config))
    try:
        missing = sorted(OmegaConf.missing_keys(config))
        if missing:
            raise Refused(f"{missing[0]} must be given: {missing[0]}=...")
        plain = OmegaConf.to_container(config, resolve=True)
    except OmegaConfBaseException as error:
        raise Refused(str(error).splitlines()[0]) from error
    assert isinstance(plain, dict)
    return {str(key): value for key, value in plain.items()}


def typed_as(cls: type, plain: dict[str, Any], path: str = "") -> Any:
    """`plain` as the dataclass `cls`; `path` is where it stands, for the messages."""
    prefix = f"{path}." if path else ""
    _check_groups(cls, plain, prefix)
    try:
        merged = OmegaConf.merge(OmegaConf.structured(cls), plain)
        missing = sorted(OmegaConf.missing_keys(merged))
        if missing:
            raise Refused(f"{prefix}{missing[0]} is not set: {prefix}{missing[0]}=...")
        typed = OmegaConf.to_object(merged)
    except ConfigKeyError as error:
        known = [str(key) for key in error.parent_node] if isinstance(error.parent_node, DictConfig) else []
        raise Refused(f"unknown key {prefix}{error.full_key}{did_you_mean(str(error.key), known)}") from error
    except ConfigTypeError as error:
        raise Refused(f"{prefix}{_not_a_list(cls, plain)} must be a list, not a mapping") from error
    except ValidationError as error:
        if "is not a ListConfig" in str(error):
            raise Refused(f"{prefix}{error.full_key} must be a list: {prefix}{error.full_key}=[...]") from error
        raise Refused(f"{prefix}{error.full_key}: {str(error).splitlines()[0]}") from error
    except OmegaConfBaseException as error:
        raise Refused(f"{path or 'the configuration'}: {str(error).splitlines()[0]}") from error
    _settle(typed, prefix)
    check_bounds(typed, prefix)
    return typed


def _settle(typed: Any, prefix: str) -> None:
    """Check what stands in the fields that are typed Any, and in those of the dataclasses within."""
    for f in fields(typed):
        value = getattr(typed, f.name)
        if is_dataclass(value):
            _settle(value, f"{prefix}{f.name}.")
        elif f.metadata.get("cadence"):
            _check_cadence(value, f"{prefix}{f.name}")
        elif f.metadata.get("scheduled") and not (value is None and f.default is None):
            key = f"{prefix}{f.name}"
            if get_origin(f.type) is list:
                setattr(typed, f.name, [_scheduled(entry, f"{key}[{i}]") for i, entry in enumerate(value)])
            else:
                setattr(typed, f.name, _scheduled(value, key))


def _scheduled(value: Any, path: str) -> Any:
    """A number, or a complete description of how one changes."""
    if isinstance(value, Mapping):
        return to_plain(typed_as(ScheduledConf, {str(key): entry for key, entry in value.items()}, path))
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Refused(f"{path} must be a number, or {{start: NUMBER, end: NUMBER, shape: linear}}, got {value!r}")
    return float(value)


def _check_cadence(value: Any, path: str) -> None:
    if value != "epoch" and (isinstance(value, bool) or not isinstance(value, int)):
        raise Refused(f"{path} must be a number of steps, or epoch, got {value!r}")


def _completed(value: Any, path: str) -> Any:
    """A value of which nothing is declared, with every schedule in it made complete."""
    if isinstance(value, list):
        return [_completed(entry, f"{path}[{i}]") for i, entry in enumerate(value)]
    return _scheduled(value, path) if isinstance(value, Mapping) and "start" in value else value


def _check_groups(cls: Any, plain: Mapping[str, Any], prefix: str) -> None:
    """Refuse a value where a group of keys is declared; OmegaConf does not say where."""
    for f in fields(cls):
        if is_dataclass(f.type) and f.name in plain:
            inner = plain[f.name]
            if not isinstance(inner, Mapping):
                raise Refused(f"{prefix}{f.name} must be a group of keys, not {inner!r}")
            _check_groups(f.type, inner, f"{prefix}{f.name}.")


def _not_a_list(cls: Any, plain: Mapping[str, Any]) -> str | None:
    """The key at which a mapping stands where a list is declared; OmegaConf does not say."""
    for f in fields(cls):
        value = plain.get(f.name)
        if isinstance(value, Mapping):
            if get_origin(f.type) is list:
                return f.name
            inner = _not_a_list(f.type, value) if is_dataclass(f.type) else None
            if inner is not None:
                return f"{f.name}.{inner}"
    return None


def _fold(plain: Any, base: type, rest: str, path: str) -> dict[str, Any]:
    """Group what `base` does not declare under its field `rest`: it belongs to the `_target_`."""
    if not isinstance(plain, dict):
        raise Refused(f"{path} must be a group of keys, not {plain!r}: {path}=OPTION chooses one")
    own = {f.name for f in fields(base)} - {rest}
    return {key: value for key, value in plain.items() if key in own} | {
        rest: {key: value for key, value in plain.items() if key not in own}
    }


def _target_options(node: dict[str, Any], path: str) -> dict[str, Any]:
    target = node.get("_target_")
    if not isinstance(target, str):
        raise Refused(f"{path}._target_ must name a class, not {target!r}")
    target = RENAMED.get(target, target)
    options = {key: value for key, value in node.items() if key != "_target_"}
    if target in TARGETS:
        typed = typed_as(TARGETS[target], options, path)
        options = {f.name: _plain(getattr(typed, f.name)) for f in fields(TARGETS[target])}
    elif target.startswith("gan_cli.") and not target.startswith(SELF_DECLARING):
        raise Refused(f"{path}._target_: there is no {target}{did_you_mean(target, list(TARGETS))}")
    elif path in ("loss", "penalty", "augment", "optim"):
        options = {key: _completed(value, f"{path}.{key}") for key, value in options.items()}
    return {"_target_": target} | options


def _plain(value: Any) -> Any:
    return value.name if isinstance(value, Enum) else value


def to_plain(config: Any) -> Any:
    """A typed configuration as the nested dictionary that `parse` takes: what is stored in files."""
    if is_dataclass(config):
        plain = {f.name: to_plain(getattr(config, f.name)) for f in fields(config)}
        rest = plain.pop("source", {}) | plain.pop("optimizer", {})
        return plain | rest
    if isinstance(config, dict):
        return {key: to_plain(value) for key, value in config.items()}
    if isinstance(config, list):
        return [to_plain(value) for value in config]
    return _plain(config)
