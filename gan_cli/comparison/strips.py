"""What each run draws from the same latents, as a picture; a run that cannot draw is shown by what it drew itself."""

import math
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from gan_cli import checkpoint, images, plots
from gan_cli.comparison.records import Record
from gan_cli.data.dataset import Dataset
from gan_cli.errors import GanCliError
from gan_cli.networks import restore_generator, sampler_of
from gan_cli.run_directory import RunDirectory
from gan_cli.schema import Config
from gan_cli.streams import Streams
from gan_cli.targets import create

SEED = 0
"""Of the latents."""
_WIDEST = 96  # pixels, of an image; larger ones are made smaller
_POINTS = 512
_LARGEST = 640  # pixels, of a run's own picture


@dataclass(frozen=True)
class Strip:
    """Samples of a run.

    Attributes:
        picture: uint8 (C, H, W); None where the run has nothing to show.
        source: where it comes from, or why there is none.
    """

    picture: Tensor | None
    source: str


def strip(record: Record, count: int, trusted: Collection[str] = ()) -> Strip:
    """A row of images, or a scatter plot of points, from the run's best checkpoint, or else its last one.

    Where none can be used: the newest picture that the run itself made. It does not raise.

    Args:
        count: how many images, those that `gan-sample seed=0 num_images=count` draws.
        trusted: packages, besides this project's, whose classes the checkpoint may name.
    """
    directory = RunDirectory(record.path)
    why = "no checkpoint"
    for path in (directory.best, directory.last):
        if path.is_file():
            try:
                picture, step = _drawn(path, count, trusted)
                return Strip(picture, f"{path.name}, step {step:,}")
            except GanCliError as error:
                why = str(error).splitlines()[0]
            except (Exception, SystemExit) as error:  # a network of somebody else's may raise anything
                why = f"{type(error).__name__}: {error}"
    for path in sorted(directory.samples.glob("step_*.png"), reverse=True)[:1]:
        own = images.read_png(path)
        if own is not None:
            return Strip(_small(own), f"{path.name}, drawn by the run itself ({why})")
    return Strip(None, why)


def _drawn(path: Path, count: int, trusted: Collection[str]) -> tuple[Tensor, int]:
    stored = checkpoint.load(path)
    config, generator = restore_generator(stored, trusted)
    sampler = sampler_of(stored, config, generator, Streams(SEED, torch.device("cpu")))
    if len(stored.facts["sample_shape"]) == 3:
        return images.grid_of_bytes(_shrunk(images.to_bytes(sampler(range(count)))), columns=count), stored.step
    points = {"generated": sampler(range(_POINTS))}
    real = _real(config)
    return plots.scatter(points if real is None else {"real": real} | points), stored.step


def _real(config: Config) -> Tensor | None:
    """Points of the data's distribution, of those that are made and not read; None of other data."""
    source = config.data.source
    if "num_samples" not in source:
        return None
    made = create(source | {"num_samples": min(source["num_samples"], _POINTS)}, "data", ())
    return made.samples if isinstance(made, Dataset) else None


def _shrunk(pictures: Tensor) -> Tensor:
    """uint8 (N, C, H, W), at most 96 pixels wide."""
    if pictures.shape[-1] <= _WIDEST:
        return pictures
    height = max(1, round(pictures.shape[-2] * _WIDEST / pictures.shape[-1]))
    return interpolate(pictures.float(), (height, _WIDEST), mode="area").round().byte()


def _small(picture: Tensor) -> Tensor:
    """A picture, of which only every n-th pixel is kept where it is large."""
    stride = math.ceil(max(picture.shape[-2:]) / _LARGEST)
    return picture[:, ::stride, ::stride].contiguous()
