"""gan-export: write a trained generator for others, with a model card."""

import inspect
import logging
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hydra
from omegaconf import DictConfig

from gan_cli import __version__
from gan_cli.command_schema import ExportConf, ExportFormat
from gan_cli.commands import entry
from gan_cli.conf_dir import CONF_DIR
from gan_cli.errors import Refused
from gan_cli.parse import resolved, to_plain, typed_as
from gan_cli.schema import BatchNormMode, Weights

if TYPE_CHECKING:
    from torch import Tensor

    from gan_cli.checkpoint import Checkpoint
    from gan_cli.data.origin import Origin
    from gan_cli.export.exported import Exported
    from gan_cli.sampling import Sampler
    from gan_cli.schema import Config

_ROWS, _COLUMNS, _IMAGES, _POINTS = 10, 8, 64, 512  # classes in the grid, images of each, or images, or vectors

log = logging.getLogger("gan_cli.export")


def export() -> None:
    """The console command."""
    sys.exit(entry.run(main, "gan-export", entry.alone("gan-export writes one generator at a time")))


@hydra.main(version_base="1.3", config_path=CONF_DIR, config_name="export")
def main(composed: DictConfig) -> None:
    """One job."""
    with entry.job():
        _export(typed_as(ExportConf, resolved(composed)))


def _export(conf: ExportConf) -> None:
    """Everything that can be refused is, before the first file is written."""
    out = Path(conf.out).expanduser()
    kind = chosen(conf.format, out)

    from gan_cli import checkpoint, images
    from gan_cli.digests import file_digest
    from gan_cli.export import measured, onnx_file, weights
    from gan_cli.export.card import Card
    from gan_cli.files import replacing
    from gan_cli.networks import restore_generator

    if kind is ExportFormat.onnx:
        onnx_file.check_installed()
    path = checkpoint.resolve(Path(conf.checkpoint).expanduser())
    stored = checkpoint.load(path)
    if weights.is_checkpoint(out):
        raise Refused(f"out={out} is a checkpoint, from which a run goes on: name another file")
    trained, generator = restore_generator(stored, conf.trust, conf.weights)
    config = to_plain(trained)
    if conf.batch_norm is not None:
        trained.sampling.batch_norm = conf.batch_norm
    cautions = _cautions(conf, trained, config)
    exported, sampler = _settled(conf, stored, trained, generator, file_digest(path))
    evaluation = None if conf.evaluation is None else Path(conf.evaluation).expanduser()
    known = measured.read(path, stored.step, exported.weights, exported.source, evaluation)
    picture, shown = _samples(sampler, exported)
    beside = {suffix: out.with_suffix(suffix) for suffix in (".md", ".png")}
    _check_writable(out, *beside.values())
    checked = (onnx_file.save if kind is ExportFormat.onnx else weights.save)(exported, out)
    images.save_png(beside[".png"], picture)
    card = Card(
        title=out.stem,
        file=out.name,
        picture=beside[".png"].name,
        shown=f"{shown} of seed {conf.seed}, not chosen",
        exported=exported,
        config=config,
        facts=stored.facts,
        origin=_origin(trained, conf.trust),
        measured=known,
        checked=checked,
        cautions=cautions,
    )
    with replacing(beside[".md"]) as file:
        file.write(card.text().encode())
    log.info("%s: %s", out, checked)
    for caution in cautions:
        log.warning("%s", caution)
    log.info("the card is %s, its samples %s; what remains is yours: to name a licence", *beside.values())


def chosen(kind: ExportFormat | None, out: Path) -> ExportFormat:
    """The format, which the name of the file tells where it is not given.

    Raises:
        Refused: neither tells it, or they differ.
    """
    suffixes = {f".{one.name}": one for one in ExportFormat}
    of_name = suffixes.get(out.suffix)
    if of_name is None or of_name is not (kind or of_name):
        named = out.name if of_name is None else out.stem
        wanted = " or ".join(f"{named}.{one.name}" for one in ([kind] if kind else ExportFormat))
        raise Refused(f"out={out} must end as its format does: {wanted}")
    return of_name


def _settled(
    conf: ExportConf, stored: "Checkpoint", trained: "Config", generator: Any, digest: str
) -> "tuple[Exported, Sampler]":
    """The generator as it leaves, and what draws from it."""
    import torch

    from gan_cli.export.exported import Exported
    from gan_cli.networks import DataFacts, generator_arguments, sampler_of
    from gan_cli.streams import Streams

    sampler = sampler_of(stored, trained, generator, Streams(conf.seed, torch.device("cpu")))
    sampler.settle()
    data = DataFacts.stored(stored)
    averaged = trained.ema.half_life is not None and conf.weights is not Weights.raw
    exported = Exported(
        generator=generator,
        architecture=generator_arguments(trained, data, conf.trust),
        latents=sampler.latents,
        sample_shape=data.sample_shape,
        classes=data.classes_for(trained),
        step=stored.step,
        seed=trained.seed,
        weights=(Weights.ema if averaged else Weights.raw).name,
        batch_norm=trained.sampling.batch_norm.name,
        source=digest,
        version=__version__,
    )
    return exported, replace(sampler, batch_statistics=False)  # they have taken the running averages' place


def _samples(sampler: "Sampler", exported: "Exported") -> "tuple[Tensor, str]":
    """A picture, and what it shows: those that gan-sample draws first, or of each class those."""
    from gan_cli import images, plots
    from gan_cli.sampling import by_class

    if not exported.is_images:
        return plots.scatter({"generated": sampler(range(_POINTS))}), f"The first {_POINTS} samples"
    if not exported.classes:
        return images.grid(sampler(range(_IMAGES))), f"The first {_IMAGES} samples"
    grid = images.grid(sampler(by_class(len(exported.classes), _ROWS, _COLUMNS)), _COLUMNS)
    return grid, f"The first {_COLUMNS} samples of each of {min(_ROWS, len(exported.classes))} classes, in rows,"


def _cautions(conf: ExportConf, trained: "Config", config: dict[str, Any]) -> list[str]:
    """What sets the file apart from the generator that was trained and measured."""
    said = []
    dropout = trained.model.generator.get("dropout")
    if dropout:
        said.append(
            f"The generator was trained, and measured, with dropout ({dropout:g}) as a source of noise while samples "
            "are drawn; in this file dropout is off, so its samples vary less than those that were measured."
        )
    before = config["sampling"]["batch_norm"]
    if trained.sampling.batch_norm.name != before:
        said.append(
            f"BatchNorm uses what batch_norm={trained.sampling.batch_norm.name} stands for in this file; what was "
            f"measured while the run went on was drawn with {before}."
        )
    if trained.sampling.batch_norm is BatchNormMode.batch:
        said.append(
            "The running averages of BatchNorm were replaced by the statistics of one fixed batch of samples, that of "
            f"seed {conf.seed}, as gan-cli does when it draws from this generator."
        )
    if Path(conf.checkpoint).name == "best.safetensors":
        said.append(
            "These weights were kept because they measured best of all while the run went on, so numbers of that time "
            "flatter them."
        )
    return said


def _origin(trained: "Config", trusted: list[str]) -> "Origin":
    """What the module of the data's `load` says of them; a module that is not trusted is not asked."""
    from gan_cli.data.origin import UNKNOWN, Origin
    from gan_cli.targets import locate

    try:
        load = locate(trained.data.source["_target_"], "data", trusted)
    except Refused:
        return UNKNOWN
    found = getattr(inspect.getmodule(load), "ORIGIN", UNKNOWN)
    return found if isinstance(found, Origin) else UNKNOWN


def _check_writable(*paths: Path) -> None:
    """Raise `Refused` where a file cannot take one of these places, or would take it from somebody's own text."""
    from gan_cli.export.card import MARK

    with entry.writing_to(paths[0].parent), tempfile.TemporaryFile(dir=paths[0].parent):
        pass
    for path in paths:
        if path.is_dir():
            raise Refused(f"cannot write {path}: it is a directory")
        if path.suffix == ".md" and path.exists() and MARK not in path.read_text(encoding="utf-8", errors="replace"):
            raise Refused(f"{path} is in the place of the model card, and is none of gan-export: name another out=FILE")
