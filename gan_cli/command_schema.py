"""Every key of the commands, beside what a run is, with its type and range. The values are in `conf/`.

Torch is not imported here: a mistake is reported before the seconds that this import costs.
"""

from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from omegaconf import MISSING

from gan_cli.bounds import bounded
from gan_cli.schema import BatchNormMode, DeviceConf, Extractors, Weights
from gan_cli.target_options import Fit


class SearchMethod(Enum):
    grid = "grid"
    random = "random"
    tpe = "tpe"
    cmaes = "cmaes"


class ExportFormat(Enum):
    onnx = "onnx"
    safetensors = "safetensors"


class Direction(Enum):
    a2b = "a2b"
    b2a = "b2a"


@dataclass
class SweepConf:
    """Where the jobs of a sweep lie and how they are run."""

    name: str | None = None
    resume: str | None = None
    jobs: int | None = bounded(None, ge=1, le=1024)
    together: bool = False


@dataclass
class SearchConf:
    """Which jobs a sweep has. `num_trials` and what follows it are of no grid."""

    method: SearchMethod = SearchMethod.grid
    space: dict[str, Any] = field(default_factory=dict)
    num_trials: int = bounded(20, ge=1)
    metric: str = "auto"
    prune: bool = True
    seed: int = bounded(0, ge=0, lt=2**31)
    trial: int | None = bounded(None, ge=0)


@dataclass
class CommandConf:
    """What `gan-train` should do with a configuration; not part of what a run is."""

    resume: str | None = None
    allow_changes: list[str] = field(default_factory=list)
    init_from: str | None = None
    trust: list[str] = field(default_factory=list)
    dry_run: bool = False
    live: bool = True
    sweep: SweepConf = field(default_factory=SweepConf)
    search: SearchConf = field(default_factory=SearchConf)


@dataclass
class EvaluatedDataConf:
    root: str | None = None
    split: str | None = None


@dataclass
class EvaluateCommandConf:
    """The whole of what `gan-evaluate` was asked to do."""

    checkpoint: str = MISSING
    num_images: int = bounded(ge=2)
    num_seeds: int = bounded(ge=1, le=31)
    seed: int = bounded(ge=0, lt=2**62)
    extractor: Extractors | None = MISSING
    inception_weights: str | None = MISSING
    weights: Weights | None = MISSING
    batch_norm: BatchNormMode | None = MISSING
    data: EvaluatedDataConf = field(default_factory=EvaluatedDataConf)
    out: str = MISSING
    trust: list[str] = MISSING
    device: DeviceConf = MISSING


class Rows(Enum):
    classes = "classes"


@dataclass
class SampledDataConf:
    """Where the training data of a run are now."""

    root: str | None = None


@dataclass
class SampleConf:
    """The whole of what `gan-sample` was asked to do."""

    checkpoint: str = MISSING
    num_images: int = bounded(ge=1)
    indices: str | int | None = MISSING
    seed: int = bounded(ge=0, lt=2**63)
    out: str = MISSING
    weights: Weights | None = MISSING
    label: str | int | None = MISSING
    batch_norm: BatchNormMode | None = None
    truncation: float | None = bounded(None, gt=0)
    interpolate: int | None = bounded(None, ge=2, le=1000)
    walk: float | None = bounded(None, gt=0, le=60)
    sheet: int | None = bounded(None, ge=2, le=100)
    rows: Rows | None = None
    history: bool = False
    neighbors: int | None = bounded(None, ge=1, le=100)
    extractor: Extractors | None = None
    inception_weights: str | None = None
    data: SampledDataConf = field(default_factory=SampledDataConf)
    trust: list[str] = MISSING
    device: DeviceConf = MISSING


@dataclass
class ExportConf:
    """The whole of what `gan-export` was asked to do."""

    checkpoint: str = MISSING
    format: ExportFormat | None = MISSING
    out: str = MISSING
    weights: Weights | None = MISSING
    batch_norm: BatchNormMode | None = MISSING
    seed: int = bounded(ge=0, lt=2**63)
    evaluation: str | None = MISSING
    trust: list[str] = MISSING


@dataclass
class TranslateConf:
    """The whole of what `gan-translate` was asked to do."""

    checkpoint: str = MISSING
    input: str = MISSING
    out: str = MISSING
    direction: Direction = MISSING
    fit: Fit | None = None
    batch_size: int = bounded(1, ge=1, le=1024)
    weights: Weights | None = None
    trust: list[str] = MISSING
    device: DeviceConf = MISSING


@dataclass
class VerifyConf:
    """What `gan-verify` was asked to do, besides the preset."""

    quick: bool = False
    seeds: list[int] | None = bounded(None, ge=0, lt=2**63)
    out: str | None = None


@dataclass
class DoctorConf:
    """The whole of what `gan-doctor` was asked to do."""

    run: str = MISSING


@dataclass
class CompareConf:
    """The whole of what `gan-compare` was asked to do."""

    runs: str = MISSING
    metric: str = "auto"
    out: str | None = None
    samples: int = bounded(10, ge=0, le=64)
    trust: list[str] = field(default_factory=list)
