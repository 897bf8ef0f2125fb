"""From `_target_` to object: this project's own classes, and those of packages that the user named."""

import importlib
import inspect
import os
import sys
from collections.abc import Collection, Mapping
from dataclasses import is_dataclass
from typing import Any, get_type_hints

from gan_cli.bounds import check_bounds
from gan_cli.errors import Refused
from gan_cli.suggest import did_you_mean

Trust = Collection[str] | None
"""Packages, besides ours, that a stored configuration may name; None for one that the user typed."""

OWN = ("gan_cli", "torch.optim")
"""Where the targets of this project's own configuration lie."""


def create(node: Mapping[str, Any], path: str, trusted: Collection[str] | None, **facts: Any) -> Any:
    """Call the node's `_target_` with its other keys and with `facts`, which the configuration cannot know.

    Args:
        path: where the node stands in the configuration, for the messages.
        trusted: packages, besides this project's, that may be named; None when the user typed the configuration.

    Raises:
        Refused: the target may not be used, does not exist, does not take these arguments, or refuses their values.
    """
    target = locate(str(node["_target_"]), path, trusted)
    options = {key: value for key, value in node.items() if key != "_target_"}
    _check_arguments(target, options, facts, path)
    _check_types(target, options, path)
    try:
        made = target(**options, **facts)
    except ValueError as error:
        about_one = is_dataclass(target) and str(error).partition(" ")[0] in options
        raise Refused(f"{path}.{error}" if about_one else f"{path}: {error}") from error
    if is_dataclass(target):
        check_bounds(made, f"{path}.")
    return made


def locate(target: str, path: str, trusted: Collection[str] | None) -> Any:
    """The class or function behind a dotted path.

    A configuration from a checkpoint is somebody else's: its packages are checked by name before anything is imported,
    and the object that was found is checked again, because `torch.optim.optimizer.torch.load` starts harmlessly.
    """
    allowed = None if trusted is None else (*OWN, *trusted)
    if allowed is not None and not _within(target, allowed):
        raise Refused(
            f"{path}._target_ names {target}, which is not part of gan-cli and is not trusted.\n"
            f"If you know where the file comes from: trust=[{target.split('.')[0]}]"
        )
    if not _within(target, OWN) and os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())  # a file beside the user, as with `python -m`
    module, _, name = target.rpartition(".")
    try:
        place = importlib.import_module(module)
        if name not in vars(place) and _within(target, OWN[:1]):
            own = [f"{module}.{n}" for n, v in vars(place).items() if getattr(v, "__module__", "") == module]
            raise Refused(f"{path}._target_: there is no {target}{did_you_mean(target, own)}")
        found = getattr(place, name)
    except (ImportError, AttributeError, ValueError, TypeError) as error:
        raise Refused(f"{path}._target_: cannot import {target} ({error})") from error
    if allowed is not None:
        origin = f"{getattr(found, '__module__', '')}.{getattr(found, '__qualname__', '')}"
        if _within(origin, ("torch.optim",)) and not inspect.isclass(found):
            raise Refused(f"{path}._target_: {target} is not an optimizer")
        if not _within(origin, allowed):
            raise Refused(f"{path}._target_: {target} is really {origin}, which is not trusted")
    if not callable(found):
        raise Refused(f"{path}._target_: {target} is not a class or function")
    return found


def accepts(target: str, argument: str, path: str, trusted: Trust) -> bool:
    """Whether a target takes an argument by this name."""
    try:
        return argument in inspect.signature(locate(target, path, trusted)).parameters
    except ValueError:  # it has no signature; `create` says so
        return False


def _within(target: str, packages: Collection[str]) -> bool:
    return any(target.startswith(f"{package}.") for package in packages)


def _check_arguments(target: Any, options: Mapping[str, Any], facts: Mapping[str, Any], path: str) -> None:
    try:
        signature = inspect.signature(target)
    except ValueError as error:
        raise Refused(f"{path}._target_: {error}") from error
    parameters, called = signature.parameters, str(target.__qualname__)
    if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        for name in facts:
            if name not in parameters:
                raise Refused(f"{path}._target_: {called} must take {' and '.join(facts)}; it has no {name}")
        for key in options:
            if key not in parameters:
                near = did_you_mean(key, [name for name in parameters if name not in facts])
                if is_dataclass(target):  # its fields are the keys
                    raise Refused(f"unknown key {path}.{key}{near or f'; {called} has no such key'}")
                raise Refused(f"{path}.{key}: {called} takes no {key}{near}")
    try:
        signature.bind(**options, **facts)
    except TypeError as error:
        raise Refused(f"{path}: {called}: {error}; add one with +{path}.NAME=VALUE") from error


_WORDS = {float: "a number", int: "a whole number", bool: "true or false", str: "a text"}


def _check_types(target: Any, options: Mapping[str, Any], path: str) -> None:
    """Refuse a value that is not of the plain type with which a dataclass declares the field."""
    if not is_dataclass(target):
        return
    try:
        hints = get_type_hints(target)
    except NameError:  # annotations that exist for type checkers alone
        return
    for key, value in options.items():
        wanted = hints.get(key)
        if wanted in _WORDS and not (type(value) is wanted or (wanted is float and type(value) is int)):
            raise Refused(f"{path}.{key} must be {_WORDS[wanted]}, got {value!r}")
