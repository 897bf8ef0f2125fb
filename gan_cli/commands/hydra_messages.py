"""What Hydra says about a wrong command line, in fewer words, with the nearest names that exist."""

import re
from collections.abc import Iterator
from typing import Any

from hydra.errors import MissingConfigException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from gan_cli.suggest import nearest


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """An exception, and what led to it."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def configuration_message(error: Exception) -> str:
    """Hydra's message without its internals, and the nearest names that exist."""
    known = [cause for cause in causes(error) if isinstance(cause, OmegaConfBaseException)]
    noise = re.compile(r"provider=|Config search path|_type=|full_key:|^See https|^To append|is not in struct")
    lines = _without(noise, str(error))
    options = getattr(error, "options", None) or []  # Hydra gives each a line of its own
    if options and lines[-len(options) :] == list(options):
        lines[-len(options) - 1 :] = [f"{lines[-len(options) - 1]} {', '.join(options)}"]
    if known and known[0] is not error:
        lines += _without(noise, str(known[0]).splitlines()[0])
    cause = known[0] if known else None
    near = _near(error, cause)
    if near:
        lines.append(f"Did you mean: {', '.join(near)}?")
    elif cause is not None and isinstance(cause.parent_node, DictConfig) and cause.parent_node._key() is not None:
        group = cause.parent_node._get_full_key(None)
        lines.append(f"{group} has: {', '.join(_names(cause.parent_node)) or 'no keys'}")
    return "\n".join(dict.fromkeys(lines))


def _without(noise: re.Pattern[str], text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip() and not noise.search(line)]


def _near(error: Exception, cause: OmegaConfBaseException | None) -> list[str]:
    if isinstance(error, MissingConfigException) and error.options:
        return nearest((error.missing_cfg_file or "").rsplit("/", 1)[-1], error.options)
    if cause is None or cause.key is None or not isinstance(cause.parent_node, DictConfig):
        return []
    wanted, parent = str(cause.key), cause.parent_node
    before = str(cause.full_key or wanted).removesuffix(wanted)
    near = [before + name for name in nearest(wanted, _names(parent))]
    return near or [key for key in _leaves(parent._get_root()) if key.rsplit(".", 1)[-1] == wanted][:3]


def _names(node: DictConfig) -> list[str]:
    """The keys that a person would type."""
    return [str(key) for key in node if key != "_target_"]


def _leaves(node: Any, prefix: str = "") -> Iterator[str]:
    for key in node:
        if prefix or key != "hydra":
            yield f"{prefix}{key}"
            child = node._get_node(key)
            if isinstance(child, DictConfig) and not (child._is_none() or child._is_missing()):
                yield from _leaves(child, f"{prefix}{key}.")
