"""Every key of a run's configuration with its type and range. The values are in `conf/`, what they mean beside them.

Torch is not imported here: a mistake is reported before the seconds that this import costs.
"""

from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from omegaconf import MISSING

from gan_cli.bounds import bounded


class Kind(Enum):
    image = "image"
    vector = "vector"
    unpaired = "unpaired"  # images of two domains, a and b


class GameName(Enum):
    gan = "gan"
    cyclegan = "cyclegan"


class Distribution(Enum):
    uniform = "uniform"
    normal = "normal"


class Reuse(Enum):
    none = "none"
    latents = "latents"
    fakes = "fakes"


class Precision(Enum):
    fp32 = "fp32"
    bf16 = "bf16"


class Compile(Enum):
    auto = "auto"
    none = "none"
    graph = "graph"
    inductor = "inductor"


class Weights(Enum):
    ema = "ema"
    raw = "raw"


class BatchNormMode(Enum):
    eval = "eval"
    batch = "batch"


class DeviceType(Enum):
    cpu = "cpu"
    cuda = "cuda"


class Shape(Enum):
    constant = "constant"
    linear = "linear"
    cosine = "cosine"


class Extractors(Enum):
    auto = "auto"
    mnist_v1 = "mnist_v1"
    mnist_report_v1 = "mnist_report_v1"
    random_v1 = "random_v1"
    efficientnet_lite0 = "efficientnet_lite0"
    inception = "inception"


class Conditional(Enum):
    none = "none"
    concat = "concat"
    projection = "projection"


class Init(Enum):
    default = "default"
    xavier = "xavier"
    orthogonal = "orthogonal"
    normal = "normal"


@dataclass
class ScheduledConf:
    """What may stand in place of a number that is declared as `scheduled`: the number changes over the run."""

    start: float = MISSING
    end: float = MISSING
    shape: Shape = Shape.linear
    steps: int | None = bounded(None, ge=1)


@dataclass
class GameConf:
    """Who plays. What a game has besides its name is declared below it, in `GAMES`."""

    name: GameName = GameName.gan


@dataclass
class CycleGANConf(GameConf):
    name: GameName = GameName.cyclegan
    adversarial_weight: float = bounded(1.0, ge=0)
    cycle_weight: float = bounded(10.0, ge=0)
    identity_weight: float = bounded(5.0, ge=0)
    pool: int = bounded(50, ge=0, le=10**5)


GAMES: dict[GameName, type[GameConf]] = {GameName.gan: GameConf, GameName.cyclegan: CycleGANConf}


@dataclass
class ModelConf:
    accepts: list[Kind] = MISSING
    generator: dict[str, Any] = MISSING
    discriminator: dict[str, Any] = MISSING
    resolution: int | None = bounded(None, ge=1, le=4096)
    init: Init = Init.default
    init_std: float = bounded(0.02, gt=0)
    conditional: Conditional = Conditional.none


@dataclass
class DataConf:
    kind: Kind = MISSING
    limit: int | None = bounded(None, ge=1)
    shuffle: bool = True
    flip: bool = False
    drop_last: bool = True
    suggested_epochs: int = bounded(10, ge=1)
    source: dict[str, Any] = field(default_factory=dict)  # _target_ and what is left for it


@dataclass
class LatentConf:
    dim: int = bounded(ge=1, le=2**20)
    distribution: Distribution = MISSING


@dataclass
class PlayerOptimConf:
    lr: float = bounded(gt=0)


@dataclass
class DiscriminatorOptimConf(PlayerOptimConf):
    weight_clip: float | None = bounded(None, gt=0)


@dataclass
class ScheduleConf:
    shape: Shape = Shape.constant
    final: float = bounded(0.0, ge=0)
    steps: int | None = bounded(None, ge=1)
    hold: float = bounded(0.0, ge=0, lt=1)


@dataclass
class OptimConf:
    lr: float = bounded(gt=0)
    clip_norm: float | None = bounded(None, gt=0)
    generator: PlayerOptimConf = field(default_factory=PlayerOptimConf)
    discriminator: DiscriminatorOptimConf = field(default_factory=DiscriminatorOptimConf)
    schedule: ScheduleConf = field(default_factory=ScheduleConf)
    optimizer: dict[str, Any] = field(default_factory=dict)  # _target_ and what is left for it


@dataclass
class EMAConf:
    half_life: Any = bounded(None, gt=0, scheduled=True)  # a number or None
    ramp_up: float = bounded(0.05, gt=0)


@dataclass
class CriticConf:
    flip: bool = False
    noise: Any = bounded(0.0, ge=0, scheduled=True)


@dataclass
class SamplingConf:
    batch_norm: BatchNormMode = BatchNormMode.eval
    shown: int | None = bounded(None, ge=1, le=10_000)
    columns: int | None = bounded(None, ge=1, le=10_000)


@dataclass
class EvaluateConf:
    extractor: Extractors = Extractors.auto
    inception_weights: str | None = None
    num_images: int = bounded(2000, ge=2)
    final_images: int = bounded(10000, ge=0)


@dataclass
class TrainConf:
    epochs: int = bounded(ge=1)
    steps: int | None = bounded(ge=1)
    batch_size: int = bounded(ge=1)
    d_steps: int = bounded(ge=1)
    unroll: int = bounded(0, ge=0, le=100)
    reuse: Reuse = MISSING
    minutes: float | None = bounded(gt=0)
    log_every: Any = bounded(ge=0, cadence=True)
    sample_every: Any = bounded(ge=0, cadence=True)
    evaluate_every: Any = bounded(1000, ge=0, cadence=True)
    checkpoint_every: Any = bounded(ge=0, cadence=True)
    keep: int = bounded(ge=0)


@dataclass
class DeviceConf:
    type: DeviceType = MISSING
    precision: Precision = MISSING
    compile: Compile = Compile.auto
    threads: int | None = bounded(ge=1, le=1024)
    index: int | None = bounded(None, ge=0, le=1023)


@dataclass
class Config:
    """The whole of what `gan-train` was asked to do."""

    game: GameConf = field(default_factory=GameConf)
    model: ModelConf = MISSING
    loss: dict[str, Any] = MISSING
    penalty: dict[str, Any] = field(default_factory=lambda: {"_target_": "gan_cli.penalties.none.NoPenalty"})
    augment: dict[str, Any] = field(default_factory=lambda: {"_target_": "gan_cli.augment.none.NoAugment"})
    critic: CriticConf = field(default_factory=CriticConf)
    data: DataConf = MISSING
    latent: LatentConf | None = MISSING  # None: a game without latents
    optim: OptimConf = MISSING
    ema: EMAConf = field(default_factory=EMAConf)
    sampling: SamplingConf = field(default_factory=SamplingConf)
    evaluate: EvaluateConf = field(default_factory=EvaluateConf)
    train: TrainConf = MISSING
    device: DeviceConf = MISSING
    seed: int = bounded(ge=0, lt=2**63)


@dataclass
class Facts:
    """What a checkpoint says of its run besides the configuration."""

    sample_shape: list[int] = bounded(ge=1)
    classes: list[str] = field(default_factory=list)
    num_samples: int = bounded(ge=1)
    data_digest: str = MISSING
    device: str = MISSING
    threads: int = bounded(ge=1)
    torch: str = MISSING
    gan_cli: str = MISSING
    wall_s: float = bounded(0.0, ge=0)
    training_s: float = bounded(0.0, ge=0)
    ranks: int = bounded(1, ge=1)
