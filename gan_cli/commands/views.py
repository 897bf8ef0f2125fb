"""What `gan-sample` draws instead of the samples themselves: one view at a time, each asked for by a key of its own."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gan_cli.command_schema import SampleConf
from gan_cli.commands.indices import wanted
from gan_cli.commands.stored_data import load_stored, measured_by
from gan_cli.errors import Refused
from gan_cli.schema import Config

if TYPE_CHECKING:
    from gan_cli.checkpoint import Checkpoint
    from gan_cli.sampling import Sampler

_MOST = 256  # samples in a view
_MOST_STATES = 200
_WALKS, _STOPS = 16, 8
_ROWS, _COLUMNS = 8, 10


@dataclass(frozen=True)
class Opened:
    """A checkpoint that is drawn from.

    Attributes:
        config: the run's.
        classes: the names of those that the generator takes labels of.
        again: opens another checkpoint in the same way.
    """

    stored: "Checkpoint"
    config: Config
    sampler: "Sampler"
    classes: Sequence[str]
    again: "Callable[[Path], Opened]"

    @property
    def draws_images(self) -> bool:
        """Whether the samples are images rather than points."""
        return len(self.stored.facts["sample_shape"]) == 3


@dataclass(frozen=True)
class View:
    """One thing to draw.

    Attributes:
        key: that asks for it.
        files: what it is written as.
        make: their contents; raises `Refused` where it cannot be made of this generator.
        of_points: whether there is such a view of samples that are points.
    """

    key: str
    files: Sequence[str]
    make: Callable[[SampleConf, Opened], Sequence[bytes]]
    of_points: bool = True

    def draw(self, conf: SampleConf, opened: Opened) -> Sequence[bytes]:
        """The contents of the files.

        Raises:
            Refused: it cannot be made of this generator.
        """
        if not (self.of_points or opened.draws_images):
            raise Refused(f"{self.key} shows images, and the samples of this run are points: leave it out")
        return self.make(conf, opened)


def asked(conf: SampleConf) -> View | None:
    """The view that is asked for.

    Raises:
        Refused: several are, or something is set that the view has no use for.
    """
    found = [view for view in VIEWS if getattr(conf, view.key) not in (None, False)]
    keys = [view.key for view in found]
    if len(found) > 1:
        raise Refused(f"{' and '.join(keys)}: choose one at a time")
    of_neighbors = {"data.root": conf.data.root, "extractor": conf.extractor}
    of_neighbors["inception_weights"] = conf.inception_weights
    for key, value in of_neighbors.items() if keys != ["neighbors"] else ():
        if value is not None:
            raise Refused(f"{key} is for neighbors=K, which is not asked for: leave it out")
    if keys == ["rows"] and conf.label is not None:
        raise Refused(f"rows=classes shows every class: leave out label={conf.label}")
    if keys == ["history"] and not Path(conf.checkpoint).expanduser().is_dir():
        raise Refused(f"history=true goes through a run's checkpoints: checkpoint=RUN, not {conf.checkpoint}")
    return found[0] if found else None


def _chosen(conf: SampleConf, default: int, least: int = 1) -> list[int]:
    """The samples of a view: those of `indices`, or else the first few.

    Raises:
        Refused: too few or too many.
    """
    indices = list(wanted(conf.indices, default))
    if not least <= len(indices) <= _MOST:
        raise Refused(f"indices={conf.indices} names {len(indices):,} samples: this shows from {least} to {_MOST}")
    return indices


def _interpolation(conf: SampleConf, opened: Opened) -> Sequence[bytes]:
    from gan_cli.sheets import interpolation, plane

    assert conf.interpolate is not None
    draw = interpolation.draw if opened.draws_images else plane.interpolation
    return [draw(opened.sampler, _chosen(conf, _ROWS + 1, least=2), conf.interpolate)]


def _walk(conf: SampleConf, opened: Opened) -> Sequence[bytes]:
    """One walk through the samples that are named, or else sixteen through eight samples each."""
    from gan_cli.sheets import plane, walk

    assert conf.walk is not None
    draw = walk.draw if opened.draws_images else plane.walk
    if conf.indices is not None:
        loops = [_chosen(conf, _STOPS, least=2)]
    else:
        loops = [list(range(first, _WALKS * _STOPS, _WALKS)) for first in range(_WALKS)]
    return [draw(opened.sampler, loops, conf.walk)]


def _sheet(conf: SampleConf, opened: Opened) -> Sequence[bytes]:
    from gan_cli.sheets import plane, surface

    assert conf.sheet is not None
    draw = surface.draw if opened.draws_images else plane.surface
    if opened.sampler.latents.dim == 2:
        if conf.indices is not None:
            raise Refused("sheet shows all of a latent space of two dimensions: leave out indices")
        return [draw(opened.sampler, [0], conf.sheet)]
    corners = _chosen(conf, 4)
    if len(corners) != 4:
        raise Refused(f"sheet lies between four samples: indices=0-3 for instance, not {conf.indices}")
    return [draw(opened.sampler, corners, conf.sheet)]


def _classes(conf: SampleConf, opened: Opened) -> Sequence[bytes]:
    from gan_cli.sheets import classes

    if not opened.classes:
        raise Refused("rows=classes: this generator takes no labels (model.conditional was none): leave it out")
    return [classes.draw(opened.sampler, _chosen(conf, _COLUMNS), opened.classes)]


def _history(conf: SampleConf, opened: Opened) -> Sequence[bytes]:
    from gan_cli.sheets import history, plane

    draw = history.draw if opened.draws_images else plane.history
    directory = Path(conf.checkpoint).expanduser() / "checkpoints"
    numbered = sorted(directory.glob("step_*.safetensors"))
    stride = -(-len(numbered) // _MOST_STATES) or 1

    def states() -> "Iterator[tuple[int, Sampler]]":
        for path in numbered[::stride]:
            state = opened.again(path)
            if state.stored.facts["sample_shape"] != opened.stored.facts["sample_shape"]:
                raise Refused(f"{path} draws samples of another shape than the run's last checkpoint: move it away")
            if state.stored.step < opened.stored.step:
                yield state.stored.step, state.sampler
        yield opened.stored.step, opened.sampler

    return draw(states(), _chosen(conf, _ROWS))


def _neighbors(conf: SampleConf, opened: Opened) -> Sequence[bytes]:
    """Beside the nearest training images, which are read as the run's configuration names them."""
    from gan_cli import images
    from gan_cli.data.download import cache_directory
    from gan_cli.evaluation.choose import chosen_extractor
    from gan_cli.evaluation.look_alikes import look_alikes
    from gan_cli.sheets import neighbors

    assert conf.neighbors is not None
    indices, config = _chosen(conf, _ROWS), opened.config
    config = measured_by(config, conf.extractor, conf.inception_weights, root=conf.data.root)
    dataset, digest = load_stored(opened.stored, config, conf.trust, conf.data.root is not None)
    if conf.neighbors > len(dataset):
        raise Refused(f"neighbors={conf.neighbors}: there are {len(dataset):,} training images")
    extractor = chosen_extractor(dataset, config.evaluate, thorough=False)
    drawn = images.to_bytes(opened.sampler(indices))
    extractor = extractor.to(opened.sampler.latents.streams.device)
    found = look_alikes(drawn, conf.neighbors, dataset, digest, extractor, cache_directory() / "references")
    return neighbors.draw(drawn, indices, found, dataset)


VIEWS = (
    View("interpolate", ("interpolation.png",), _interpolation),
    View("walk", ("walk.webp",), _walk),
    View("sheet", ("sheet.png",), _sheet),
    View("rows", ("classes.png",), _classes, of_points=False),
    View("history", ("history.png", "history.webp"), _history),
    View("neighbors", ("neighbors.png", "neighbors.csv"), _neighbors, of_points=False),
)
"""All there are."""
