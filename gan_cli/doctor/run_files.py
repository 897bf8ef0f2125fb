"""The files of a run that the doctor reads. None of them is written."""

import dataclasses
import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from gan_cli.doctor.diagnosis import examine
from gan_cli.doctor.log import Log, parse
from gan_cli.doctor.verdict import Finding
from gan_cli.errors import Refused


def read(directory: Path) -> Log:
    """The log of a run, with what its status and configuration say where these can be read.

    Raises:
        Refused: there is no metrics.jsonl, or it cannot be read.
    """
    path = directory / "metrics.jsonl"
    if not path.is_file():
        raise Refused(f"run={directory}: {_missing(directory)}")
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise Refused(f"cannot read {path}: {error.strerror}") from error
    status = _mapping(directory / "status.json", json.loads)
    state, reason = (status.get(key) if isinstance(status.get(key), str) else None for key in ("state", "reason"))
    return dataclasses.replace(
        parse(text),
        state=state,
        reason=reason,
        config=_mapping(directory / "config.yaml", yaml.safe_load),
        directory=shlex.quote(str(directory)),
    )


def findings_of(directory: Path) -> list[Finding] | None:
    """What each rule answers of a run; None where there is no log to read. It does not raise."""
    try:
        return examine(read(directory))
    except Refused:
        return None


def _missing(directory: Path) -> str:
    return "it holds no metrics.jsonl: not a run directory" if directory.is_dir() else "there is no such directory"


def _mapping(path: Path, load: Callable[[str], Any]) -> dict[str, Any]:
    """The file's content; an empty one where it is missing or damaged: the rules do with less."""
    try:
        content = load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}
