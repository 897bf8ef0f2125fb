"""gan-sample: draw samples from a checkpoint."""

import csv
import io
import logging
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import hydra
from omegaconf import DictConfig

from gan_cli.command_schema import SampleConf
from gan_cli.commands import entry, views
from gan_cli.commands.indices import wanted
from gan_cli.commands.views import Opened, View
from gan_cli.conf_dir import CONF_DIR
from gan_cli.console import tracked
from gan_cli.errors import Refused
from gan_cli.files import replacing
from gan_cli.parse import resolved, typed_as
from gan_cli.schema import Distribution
from gan_cli.suggest import did_you_mean

if TYPE_CHECKING:
    import torch
    from torch import Tensor

log = logging.getLogger("gan_cli.sample")

_IN_GRID = 256  # samples shown in grid.png; the rest are among the numbered images


def sample() -> None:
    """The console command."""
    sys.exit(entry.run(main, "gan-sample", entry.alone("gan-sample draws from one checkpoint at a time")))


@hydra.main(version_base="1.3", config_path=CONF_DIR, config_name="sample")
def main(composed: DictConfig) -> None:
    """One job."""
    with entry.job():
        _sample(composed)


def _sample(composed: DictConfig) -> None:
    """Rebuild the generator from the checkpoint alone, and write what it draws."""
    conf: SampleConf = typed_as(SampleConf, resolved(composed))
    view = views.asked(conf)
    indices = wanted(conf.indices, conf.num_images)

    from gan_cli import accelerate, checkpoint
    from gan_cli.sampling import CHUNK

    path = checkpoint.resolve(Path(conf.checkpoint).expanduser())
    device = accelerate.prepare(conf.device)
    opened = open_checkpoint(path, conf, device)
    out = Path(conf.out).expanduser()
    with accelerate.autocast(device, conf.device.precision)():
        if view is not None:
            _write_view(out, view, view.draw(conf, opened))
            return
        _prepare(out)
        chunks = tracked(opened.sampler.chunks(indices), "sampling", -(-len(indices) // CHUNK))
        if opened.draws_images:
            _write_images(out, indices, chunks, 0 if conf.label is not None else len(opened.classes))
        else:
            _write_points(out, indices, chunks)
    log.info("%d samples of seed %d, step %d, in %s", len(indices), conf.seed, opened.stored.step, out)


def open_checkpoint(path: Path, conf: SampleConf, device: "torch.device") -> Opened:
    """What draws from a checkpoint as it was asked to.

    Raises:
        Refused: the checkpoint cannot be used, or not in this way.
    """
    import torch

    from gan_cli import checkpoint
    from gan_cli.latent_space.truncation import TruncatedLatents
    from gan_cli.networks import DataFacts, restore_generator, sampler_of
    from gan_cli.streams import Streams

    stored = checkpoint.load(path)
    trained, generator = restore_generator(stored, conf.trust, conf.weights)
    assert trained.latent is not None
    if conf.truncation is not None and trained.latent.distribution is not Distribution.normal:
        raise Refused(
            "truncation is for normal latents, whose values have no bound: those of this run are uniform on [-1, 1): "
            "leave it out"
        )
    generator.to(device)
    classes = DataFacts.stored(stored).classes_for(trained)
    label = labelled(conf.label, classes)
    if conf.batch_norm is not None:
        trained.sampling.batch_norm = conf.batch_norm
    labels = None if label is None else torch.tensor([label])
    sampler = replace(sampler_of(stored, trained, generator, Streams(conf.seed, device)), labels=labels)
    if conf.truncation is not None:
        drawn = sampler.latents
        latents = TruncatedLatents(drawn.dim, drawn.distribution, drawn.streams, conf.truncation)
        sampler = replace(sampler, latents=latents)
    return Opened(stored, trained, sampler, classes, lambda other: open_checkpoint(other, conf, device))


def _write_view(out: Path, view: View, contents: Sequence[bytes]) -> None:
    """The files of a view, in place of those of an earlier call."""
    with entry.writing_to(out):
        for name in view.files:
            (out / name).unlink(missing_ok=True)
    for name, content in zip(view.files, contents, strict=True):
        with replacing(out / name, durable=False) as file:
            file.write(content)
        log.info("wrote %s", out / name)


def labelled(label: str | int | None, classes: Sequence[str]) -> int | None:
    """The number of the class that is asked for, by its name or else its number.

    Raises:
        Refused: there is no such class, or the generator knows none.
    """
    if label is None:
        return None
    if not classes:
        raise Refused("label: this generator takes no labels (model.conditional was none): leave it out")
    if str(label) in classes:
        return list(classes).index(str(label))
    if str(label).isdecimal() and int(label) < len(classes):
        return int(label)
    some = ", ".join(classes[:20]) + (", ..." if len(classes) > 20 else "")
    raise Refused(f"label={label}: there is no such class{did_you_mean(str(label), classes)}; there are {some}")


def _prepare(out: Path) -> None:
    """Make the directory, without what an earlier call drew: samples of two checkpoints must not mix.

    Raises:
        Refused: it cannot be made or written.
    """
    with entry.writing_to(out):
        for drawn in [out / "samples.csv", *(out / "images").glob("[0-9]" * 8 + "*.png")]:
            drawn.unlink(missing_ok=True)


def _write_images(out: Path, indices: Sequence[int], chunks: "Iterable[Tensor]", num_classes: int) -> None:
    """Pictures one by one, and a grid: of several classes, each in a row where those are not too many."""
    import torch

    from gan_cli import images

    shown: list[Tensor] = []
    position = 0
    for chunk in chunks:
        for picture in images.to_bytes(chunk):
            images.save_png(out / "images" / f"{indices[position]:08d}.png", picture)
            position += 1
        if sum(map(len, shown)) < _IN_GRID:
            shown.append(chunk)
    pictures = torch.cat(shown)[:_IN_GRID]
    if not 1 < num_classes <= len(pictures) // 2:
        images.save_png(out / "grid.png", images.grid(pictures))
        return
    labels = torch.tensor(indices[: len(pictures)]) % num_classes
    rows = [pictures[labels == label] for label in range(num_classes)]
    columns = max(map(len, rows))
    padded = [torch.cat([row, row.new_full((columns - len(row), *row.shape[1:]), -1.0)]) for row in rows]
    images.save_png(out / "grid.png", images.grid(torch.cat(padded), columns))


def _write_points(out: Path, indices: Sequence[int], chunks: "Iterable[Tensor]") -> None:
    import torch

    from gan_cli import images, plots

    points = torch.cat(list(chunks)).cpu()
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["index", *(f"x{axis}" for axis in range(points.shape[1]))])
    writer.writerows([index, *point] for index, point in zip(indices, points.tolist(), strict=True))
    with replacing(out / "samples.csv") as file:
        file.write(text.getvalue().encode())
    images.save_png(out / "grid.png", plots.scatter({"generated": points}))
