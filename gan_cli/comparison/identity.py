"""What a run is besides its seed: runs of one identity are repetitions of each other."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from gan_cli.comparison.records import Record

UNESSENTIAL = (
    "seed",
    "device.type",
    "device.threads",
    "device.index",
    "train.log_every",
    "train.sample_every",
    "train.checkpoint_every",
    "train.keep",
    "evaluate.extractor",
    "evaluate.inception_weights",
    "evaluate.num_images",
    "evaluate.final_images",
    "sampling.shown",
    "sampling.columns",
    "data.strict",
    "data.suggested_epochs",
    "model.accepts",
)
"""Keys that do not tell runs apart.

Where a run computes and what it writes down leave its steps as they are, but for rounding. How it is measured is told
by what stands beside each number, and numbers of different measures never meet in a mean. The length of a run is
essential, and so is `train.evaluate_every`: the best of many readings is better than that of few, by chance alone.
"""

_OF_THE_COMMAND = ("resume", "allow_changes", "trust", "dry_run", "sweep", "search", "hydra")
_ROOT = "data.root"
_ORDER = ("data.shuffle", "data.drop_last", "data.flip")
"""How data are shown to the networks, which leaves the data as they are."""


def essential(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Of dotted keys, configured or typed, those that make a run what it is."""
    chosen = {
        key: value
        for key, value in settings.items()
        if key not in UNESSENTIAL and key.split(".")[0].split("/")[0] not in _OF_THE_COMMAND
    }
    if chosen.get("train.steps") is not None:  # they win over epochs
        chosen.pop("train.epochs", None)
    if chosen.get("optim.schedule.shape") == "constant":
        chosen.pop("optim.schedule.steps", None)
    return chosen


def configured(record: Record) -> dict[str, Any]:
    """The essential part of a run's configuration, with the checkpoint that it began from."""
    started = record.typed.get("init_from", "null")
    return essential(record.config) | ({} if started == "null" else {"init_from": started})


def identities(records: Sequence[Record]) -> list[Hashable]:
    """One for each record; equal ones are of runs that differ in their seeds at most.

    A run that has no configuration, because it failed before it started, is one of those for which the same was typed.
    """
    digests = _digests(records)
    typed = {_hashable(essential(record.typed)): _identity(record, digests) for record in records if record.config}
    found: list[Hashable] = []
    for record in records:
        wanted = _hashable(essential(record.typed))
        found.append(_identity(record, digests) if record.config else typed.get(wanted, ("typed", wanted)))
    return found


def data_of(records: Sequence[Record]) -> list[Hashable]:
    """For each record the data beside which its samples were measured; equal ones are of the same data."""
    digests = _digests(records)
    return [
        _hashable(
            {
                key: value
                for key, value in _with_digest(record, digests).items()
                if key == "model.resolution" or (key.startswith("data.") and key not in _ORDER)
            }
        )
        for record in records
    ]


def _identity(record: Record, digests: Mapping[str, str]) -> Hashable:
    return _hashable(_with_digest(record, digests))


def _with_digest(record: Record, digests: Mapping[str, str]) -> dict[str, Any]:
    """The essential settings; data from files are known by their digest: a folder may be moved, or filled anew.

    Data that are computed have none here, because it tells one processor's rounding from another's.
    """
    settings = {key: value for key, value in configured(record).items() if value is not None}
    if _ROOT in settings:
        settings[_ROOT] = record.data_digest or digests.get(_files(record), settings[_ROOT])
    return settings


def _digests(records: Sequence[Record]) -> dict[str, str]:
    """Those that checkpoints tell of, by what names the data: for runs that have no checkpoint."""
    return {_files(record): record.data_digest for record in records if record.data_digest is not None}


def _files(record: Record) -> str:
    return repr(sorted((key, str(value)) for key, value in record.config.items() if key.startswith("data.")))


def _hashable(settings: Mapping[str, Any]) -> Hashable:
    return tuple(sorted((key, repr(value)) for key, value in settings.items()))
