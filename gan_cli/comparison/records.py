"""What run directories tell of their runs, whatever state they are in. None of their files is written."""

import dataclasses
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from gan_cli.comparison.ways import Way, by_way
from gan_cli.doctor.log import Log, parse
from gan_cli.errors import Refused
from gan_cli.resume import flattened
from gan_cli.run_directory import RunDirectory

_MAX_YAML = 1_000_000  # bytes; ours have some two thousand
_MAX_HEADER = 10_000_000  # bytes
_LONGEST = 1e10  # seconds, three centuries: what is more, or no number, is damage
_WALL, _STATUS = "wall_s", "status.json"


@dataclass(frozen=True)
class Record:
    """What a run directory tells of its run.

    Attributes:
        path: as it was found.
        state: of status.json; "killed" where that says running and no process holds the directory; "absent" where there
            is no status, "unreadable" where it is damaged.
        reason: why it ended so.
        step: where it stands.
        config: config.yaml with dotted keys; empty where there is none, as of a job that failed before it started.
        overrides: what was typed.
        log: its curves; an empty one where there are none.
        measured: the metrics in it apart, by how they were measured.
        seconds: that it took over all its starts, as far as it was written down; None where it was not.
        data_digest: of the samples it was trained with, where a checkpoint tells.
    """

    path: Path
    state: str
    reason: str | None = None
    step: int = 0
    config: Mapping[str, Any] = field(default_factory=dict)
    overrides: Sequence[str] = ()
    log: Log = field(default_factory=Log)
    measured: Mapping[Way, Log] = field(default_factory=dict)
    seconds: float | None = None
    data_digest: str | None = None

    @property
    def seed(self) -> int | None:
        """That it was trained with."""
        seed = self.config.get("seed", self.typed.get("seed"))
        return int(seed) if re.fullmatch(r"\d{1,20}", str(seed)) else None

    @property
    def typed(self) -> dict[str, str]:
        """What was typed, by key; what takes a key away has no value."""
        pairs = (text.lstrip("+~").partition("=") for text in self.overrides)
        return {key: value for key, _, value in pairs}


def read(directory: Path) -> Record:
    """The record of a run. It does not raise: what is missing or damaged is left out."""
    status = _status(directory)
    state, reason, step = (status.get(key) for key in ("state", "reason", "step"))
    if not isinstance(state, str):
        damaged = (directory / _STATUS).exists()
        state, reason = ("unreadable", f"{_STATUS} is damaged") if damaged else ("absent", None)
    config, overrides = _yaml(directory / "config.yaml"), _yaml(directory / ".hydra" / "overrides.yaml")
    config = config if isinstance(config, dict) else {}
    text = _text(directory / "metrics.jsonl")
    facts = _facts(directory / "checkpoints" / "last.safetensors")
    log = dataclasses.replace(parse(text), state=state, config=config, directory=str(directory))
    digest = facts.get("data_digest")
    return Record(
        directory,
        state,
        reason if isinstance(reason, str) else None,
        step if isinstance(step, int) else 0,
        flattened(config),
        tuple(entry for entry in overrides if isinstance(entry, str)) if isinstance(overrides, list) else (),
        log,
        by_way(text),
        _seconds(_json(directory / "summary.json"), facts),
        digest if isinstance(digest, str) else None,
    )


def find(paths: Sequence[Path]) -> list[Path]:
    """The run directories at or below some paths, each once, in the order of the paths; below one, job 10 after 9.

    Raises:
        Refused: a path is missing, or holds no run.
    """
    found: dict[Path, Path] = {}
    for path in paths:
        if not path.is_dir():
            raise Refused(f"runs={path}: {'no directory' if path.exists() else 'there is no such directory'}")
        runs = sorted({status.parent for status in path.rglob(_STATUS)}, key=_natural)
        if not runs:
            raise Refused(
                f"runs={path}: no run lies at or below it (a run directory holds {_STATUS}); gan-train makes one"
            )
        for run in runs:
            found.setdefault(run.resolve(), run)
    return list(found.values())


def _natural(path: Path) -> list[tuple[int, int, str]]:
    """A key by which numbers in names are ordered as numbers."""
    parts = re.split(r"([0-9]+)", str(path))
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts]


def _status(directory: Path) -> dict[str, Any]:
    """status.json, with what became of a run that says it is running."""
    status = _json(directory / _STATUS)
    if status.get("state") != "running" or RunDirectory(directory).holder is not None:
        return status
    status = _json(directory / _STATUS)  # it may have ended meanwhile
    gone = {"state": "killed", "reason": "its process is gone"}
    return status | gone if status.get("state") == "running" else status


def _seconds(*sources: Mapping[str, Any]) -> float | None:
    """The longest time told of: a summary may be older than the last checkpoint, or the other way round."""
    told = [source.get(_WALL) for source in sources]
    return max((float(time) for time in told if isinstance(time, int | float) and 0 <= time < _LONGEST), default=None)


def _facts(checkpoint: Path) -> dict[str, Any]:
    """What the header of a checkpoint knows beside the configuration; read without torch, and without the weights."""
    try:
        with open(checkpoint, "rb") as file:
            length = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(length)) if length <= _MAX_HEADER else {}
        facts = json.loads(header["__metadata__"]["facts"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return {}
    return facts if isinstance(facts, dict) else {}


def _json(path: Path) -> dict[str, Any]:
    content = _loaded(path, json.loads)
    return content if isinstance(content, dict) else {}


def _yaml(path: Path) -> Any:
    """A file as YAML. One with aliases is not ours, and a few of them can stand for more than fits into memory."""

    def load(text: str) -> Any:
        if "*" in text and any(isinstance(token, yaml.AliasToken) for token in yaml.scan(text)):
            return None
        return yaml.safe_load(text)

    return _loaded(path, load)


def _loaded(path: Path, load: Callable[[str], Any]) -> Any:
    try:
        return load(path.read_text(encoding="utf-8")) if path.stat().st_size <= _MAX_YAML else None
    except (OSError, ValueError, yaml.YAMLError, RecursionError):
        return None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
