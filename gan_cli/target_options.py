"""What stands under a `_target_`: the options of this project's own parts, with their types and ranges.

Written down a second time beside the constructors, so that mistakes are told before torch is imported; a test holds the
two equal.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Any

from omegaconf import MISSING

from gan_cli.bounds import bounded


class Activation(Enum):
    relu = "relu"
    leaky_relu = "leaky_relu"
    tanh = "tanh"
    elu = "elu"
    gelu = "gelu"
    silu = "silu"


class Norm(Enum):
    none = "none"
    batch = "batch"
    layer = "layer"
    instance = "instance"
    group = "group"
    spectral = "spectral"


class Fit(Enum):
    stretch = "stretch"
    crop = "crop"
    pad = "pad"


class Split(Enum):
    train = "train"
    test = "test"


@dataclass
class LayersConf:
    widths: list[int] = bounded(ge=1, le=2**16, longest=32)
    activation: Activation = MISSING
    slope: float = bounded(ge=0)
    dropout: float = bounded(ge=0, lt=1)


@dataclass
class DCGANConf(LayersConf):
    hidden: int = bounded(ge=1, le=2**16)


@dataclass
class BatchConf:
    """What a discriminator may make of several samples at once."""

    minibatch_std: int = bounded(0, ge=0)
    packing: int = bounded(1, ge=1, le=64)


@dataclass
class DiscriminatorConf(BatchConf, LayersConf):
    norm: Norm = Norm.none


@dataclass
class DCGANDiscriminatorConf(BatchConf, DCGANConf):
    norm: Norm = Norm.none


@dataclass
class DCGAN64GeneratorConf(LayersConf):
    last_stride: int = bounded(2, ge=1, le=2)


@dataclass
class DCGAN64DiscriminatorConf(BatchConf, LayersConf):
    norm: Norm = Norm.batch
    norm_from: int = bounded(0, ge=0)


@dataclass
class R3GANConf:
    widths: list[int] = bounded(ge=1, le=2**16, longest=32)
    blocks: int = bounded(ge=1, le=64)
    expansion: int = bounded(ge=1, le=64)
    group_size: int = bounded(ge=1, le=2**16)


@dataclass
class R3GANDiscriminatorConf(BatchConf, R3GANConf):
    pass


@dataclass
class ResNetTranslatorConf:
    width: int = bounded(ge=1, le=2**12)
    blocks: int = bounded(ge=1, le=64)
    norm: Norm = Norm.instance
    dropout: float = bounded(ge=0, lt=1)


@dataclass
class PatchGANConf(BatchConf):
    width: int = bounded(ge=1, le=2**12)
    layers: int = bounded(ge=1, le=8)
    norm: Norm = Norm.instance


@dataclass
class MNISTConf:
    split: Split = MISSING


@dataclass
class StackedMNISTConf(MNISTConf):
    num_samples: int = bounded(ge=1, le=10**6)
    data_seed: int = bounded(ge=0)


@dataclass
class DigitsRecolouredConf(MNISTConf):
    data_seed: int = bounded(ge=0)


@dataclass
class FetchedConf(MNISTConf):
    """Files that are fetched where none are named."""

    root: str | None = MISSING


@dataclass
class PicturesConf:
    channels: int = bounded(ge=1)
    resolution: int = bounded(ge=1, le=4096)
    fit: Fit = MISSING
    background: list[int] = bounded(ge=0, le=255, length=3)
    strict: bool = False


@dataclass
class FolderConf(PicturesConf):
    root: str = MISSING


@dataclass
class UnpairedFoldersConf(PicturesConf):
    a: str = MISSING
    b: str = MISSING


@dataclass
class FetchedPicturesConf(PicturesConf):
    root: str | None = MISSING


@dataclass
class GaussianConf:
    num_samples: int = bounded(ge=1, le=10**7)
    transform: list[list[float]] = MISSING
    shift: list[float] = MISSING
    data_seed: int = bounded(ge=0)


@dataclass
class MixtureConf:
    std: float = bounded(gt=0)
    num_samples: int = bounded(ge=1, le=10**7)
    data_seed: int = bounded(ge=0)


@dataclass
class RingConf(MixtureConf):
    modes: int = bounded(ge=1, le=10**4)
    radius: float = bounded(gt=0)


@dataclass
class GridConf(MixtureConf):
    side: int = bounded(ge=1, le=100)
    spacing: float = bounded(gt=0)


@dataclass
class AdamConf:
    betas: list[Any] = bounded(ge=0, lt=1, length=2, scheduled=True)
    eps: float = bounded(ge=0)
    weight_decay: float = bounded(ge=0)
    fused: bool = MISSING


@dataclass
class RMSpropConf:
    alpha: float = bounded(ge=0, lt=1)
    eps: float = bounded(ge=0)
    momentum: float = bounded(ge=0, lt=1)
    weight_decay: float = bounded(ge=0)


@dataclass
class SGDConf:
    momentum: float = bounded(ge=0, lt=1)
    weight_decay: float = bounded(ge=0)
    fused: bool = MISSING


TARGETS: dict[str, type] = {
    "gan_cli.models.mlp.MLPGenerator": LayersConf,
    "gan_cli.models.mlp.MLPDiscriminator": DiscriminatorConf,
    "gan_cli.models.dcgan.DCGANGenerator": DCGANConf,
    "gan_cli.models.dcgan.DCGANDiscriminator": DCGANDiscriminatorConf,
    "gan_cli.models.dcgan3x3.DCGAN3x3Generator": LayersConf,
    "gan_cli.models.dcgan3x3.DCGAN3x3Discriminator": DiscriminatorConf,
    "gan_cli.models.dcgan64.DCGAN64Generator": DCGAN64GeneratorConf,
    "gan_cli.models.dcgan64.DCGAN64Discriminator": DCGAN64DiscriminatorConf,
    "gan_cli.models.subpixel.SubpixelGenerator": LayersConf,
    "gan_cli.models.subpixel.SubpixelDiscriminator": DCGANDiscriminatorConf,
    "gan_cli.models.r3gan.R3GANGenerator": R3GANConf,
    "gan_cli.models.r3gan.R3GANDiscriminator": R3GANDiscriminatorConf,
    "gan_cli.models.resnet_translator.ResNetTranslator": ResNetTranslatorConf,
    "gan_cli.models.patchgan.PatchGAN": PatchGANConf,
    "gan_cli.data.mnist.load": MNISTConf,
    "gan_cli.data.digits_recoloured.load": DigitsRecolouredConf,
    "gan_cli.data.stacked_mnist.load": StackedMNISTConf,
    "gan_cli.data.fashion_mnist.load": FetchedConf,
    "gan_cli.data.cifar10.load": FetchedConf,
    "gan_cli.data.folder.load": FolderConf,
    "gan_cli.data.unpaired_folders.load": UnpairedFoldersConf,
    "gan_cli.data.pokemon.load": FetchedPicturesConf,
    "gan_cli.data.stanford_dogs.load": FetchedPicturesConf,
    "gan_cli.data.gaussian2d.load": GaussianConf,
    "gan_cli.data.mixtures.ring": RingConf,
    "gan_cli.data.mixtures.grid": GridConf,
    "torch.optim.Adam": AdamConf,
    "torch.optim.AdamW": AdamConf,
    "torch.optim.RMSprop": RMSpropConf,
    "torch.optim.SGD": SGDConf,
}

SELF_DECLARING = ("gan_cli.losses.", "gan_cli.penalties.", "gan_cli.augment.")
"""Where the targets lie whose options are their own dataclass fields, checked when they are built: adding one touches
no file but its own and its YAML, and a mistake in their values is told after torch's import, not before."""

RENAMED = {
    "gan_cli.losses.BCE": "gan_cli.losses.bce.BCE",
    "gan_cli.losses.LSGAN": "gan_cli.losses.lsgan.LSGAN",
}
"""Targets of earlier checkpoints by their names of today."""
