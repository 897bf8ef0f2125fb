"""The data of a stored run, read again."""

import logging
from collections.abc import Collection
from typing import TYPE_CHECKING

from gan_cli.errors import Refused
from gan_cli.parse import parse_stored, to_plain
from gan_cli.schema import Config, Extractors

if TYPE_CHECKING:
    from gan_cli.checkpoint import Checkpoint
    from gan_cli.data.dataset import Dataset

log = logging.getLogger("gan_cli.data")


def measured_by(
    config: Config, extractor: Extractors | None, inception_weights: str | None, **named: str | None
) -> Config:
    """A run's configuration with what a command asks for put in: other data, another extractor.

    Args:
        named: `root` and `split` of the data; None leaves what there is, as for the others.

    Raises:
        Refused: the data have no such key, or the values do not fit each other.
    """
    source = config.data.source
    for name, value in named.items():
        if value is not None and name not in source:
            raise Refused(f"data.{name}: the data of this run ({source['_target_']}) have no {name}: leave it out")
        if value is not None:
            source[name] = value
    if extractor is not None:
        config.evaluate.extractor = extractor
    if inception_weights is not None:
        config.evaluate.inception_weights = inception_weights
    return parse_stored(to_plain(config))  # what was put in is checked as if it had been there


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
