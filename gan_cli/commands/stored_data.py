"""The data of a stored run, read again."""

import logging
from collections.abc import Collection
from typing import TYPE_CHECKING

from gan_cli.errors import Refused
from gan_cli.schema import Config

if TYPE_CHECKING:
    from gan_cli.checkpoint import Checkpoint
    from gan_cli.data.dataset import Dataset

log = logging.getLogger("gan_cli.data")


def put_in(config: Config, **named: str | None) -> None:
    """Let a run's configuration name other data: `root` and `split`, where they are given.

    Raises:
        Refused: the data have no such key.
    """
    source = config.data.source
    for name, value in named.items():
        if value is not None and name not in source:
            raise Refused(f"data.{name}: the data of this run ({source['_target_']}) have no {name}: leave it out")
        if value is not None:
            source[name] = value


def load_stored(
    stored: "Checkpoint", config: Config, trusted: Collection[str], others_named: bool
) -> "tuple[Dataset, str]":
    """The data of a run and their digest.

    Args:
        config: the run's, with other data put in where some were named.
        others_named: whether they were; then a difference is a warning.

    Raises:
        Refused: they cannot be had, have another shape than the samples, or are not those of the run.
    """
    from gan_cli.build import load_data

    dataset = load_data(config, trusted)
    digest, known = dataset.digest(), dataset.mixture is not None or dataset.gaussian is not None
    if list(dataset.sample_shape) != stored.facts["sample_shape"]:
        raise Refused(f"the data have shape {dataset.sample_shape}, the samples {stored.facts['sample_shape']}")
    if digest != stored.facts["data_digest"] and not known:  # points are rounded differently on another processor
        if not others_named:
            raise Refused("the data are not those that the run was trained on; data.root=PATH names them, or others")
        log.warning("compared with other data than those that the run was trained on")
    return dataset, digest
