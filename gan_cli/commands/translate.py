"""gan-translate: translate a folder of pictures with the generators of a CycleGAN."""

import logging
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import hydra
from omegaconf import DictConfig

from gan_cli.command_schema import TranslateConf
from gan_cli.commands import entry
from gan_cli.conf_dir import CONF_DIR
from gan_cli.console import tracked
from gan_cli.errors import Refused, RunFailed
from gan_cli.files import shortest
from gan_cli.parse import resolved, typed_as

if TYPE_CHECKING:
    from torch import Tensor

    from gan_cli.data.decoded import Failure
    from gan_cli.data.pictures import Picture
    from gan_cli.data.source import Entry, Look, Skipped, Source
    from gan_cli.schema import Config
    from gan_cli.translation import Translator

log = logging.getLogger("gan_cli.translate")

_SUFFIX = ".png"


def translate() -> None:
    """The console command."""
    sys.exit(entry.run(main, "gan-translate", entry.alone("gan-translate uses one checkpoint at a time")))


@hydra.main(version_base="1.3", config_path=CONF_DIR, config_name="translate")
def main(composed: DictConfig) -> None:
    """One job."""
    with entry.job():
        _translate(typed_as(TranslateConf, resolved(composed)))


def _translate(conf: TranslateConf) -> None:
    """Everything that can be refused is, before the first picture is written."""
    folder, out = Path(conf.input).expanduser(), Path(conf.out).expanduser()
    check_places(folder, out)

    from gan_cli import accelerate, checkpoint, images, memory
    from gan_cli.data.decoded import each, unremarked
    from gan_cli.data.source import printable
    from gan_cli.data.tree import Tree
    from gan_cli.networks import DataFacts, restore_translators
    from gan_cli.translation import Translator

    device = accelerate.prepare(conf.device)
    stored = checkpoint.load(checkpoint.resolve(Path(conf.checkpoint).expanduser()))
    config, generators = restore_translators(stored, conf.trust, conf.weights)
    look = looked_at(conf, config, DataFacts.stored(stored).sample_shape)
    source = Tree(folder)
    if not source.entries:
        raise Refused(
            f"input={conf.input} holds no picture that can be read ({source.others} files are named otherwise)"
        )
    names = dict(zip(source.entries, written_as([one.name for one in source.entries]), strict=True))
    translator = Translator(generators.to(device), device)
    skipped, made = list(source.skipped), 0
    with entry.writing_to(out):
        pass
    less = "batch_size=1 needs less memory" if conf.batch_size > 1 else "device.precision=bf16 needs less memory"
    with unremarked(), memory.enough(RunFailed, less), accelerate.autocast(device, conf.device.precision)():
        told = tracked(each(source, look), "translating", len(source.entries))
        for batch in _batches(source, told, conf.batch_size, skipped):
            for (one, _), picture in zip(batch, _translated(translator, batch, conf.direction.name), strict=True):
                images.save_png(out / names[one], picture)
                made += 1
    for bad in sorted(skipped, key=lambda bad: bad.name):
        log.warning("skipped %s", bad)
    if not made:
        raise Refused(f"no picture could be read from {printable(str(folder))}")
    log.info(
        "%d pictures translated %s by step %d, %d×%d pixels, in %s%s",
        made,
        conf.direction.name,
        stored.step,
        look.resolution,
        look.resolution,
        shortest(out),
        f"; {len(skipped)} skipped" if skipped else "",
    )


def check_places(folder: Path, out: Path) -> None:
    """Raise `Refused` unless the input is a folder that the output does not lie in: a later call would translate that
    too."""
    if not folder.is_dir():
        kind = "is not a folder" if folder.exists() else "does not exist"
        raise Refused(f"input={folder} {kind}: input=DIR, with pictures at any depth")
    if out.exists() and not out.is_dir():
        raise Refused(f"out={out} is a file: out=DIR")
    if out.resolve().is_relative_to(folder.resolve()):
        raise Refused(f"out={out} lies in input={folder}, where it would be taken for more pictures: name another")


def looked_at(conf: TranslateConf, config: "Config", sample_shape: tuple[int, ...]) -> "Look":
    """What is made of each picture before it is translated: what the run made of its own.

    Raises:
        Refused: the run's pictures are no squares.
    """
    from gan_cli.data.source import Look

    channels, height, width = sample_shape
    if height != width:
        raise Refused(f"the pictures of this run are {height}×{width}, and gan-translate makes squares")
    source = config.data.source
    fit = conf.fit.name if conf.fit is not None else str(source.get("fit", "crop"))
    return Look(channels, height, fit, tuple(source.get("background", (255, 255, 255))))


def written_as(names: Sequence[PurePosixPath]) -> list[PurePosixPath]:
    """The file that each picture becomes: its own name as a PNG, or, where another's is the same, behind its suffix."""
    taken = {name for name in names if name.suffix == _SUFFIX}
    found = []
    for name in names:
        new = name.with_suffix(_SUFFIX)
        if new != name and new in taken:
            new = name.with_name(f"{name.name}{_SUFFIX}")
        while new != name and new in taken:
            new = new.with_name(f"{new.name}{_SUFFIX}")
        taken.add(new)
        found.append(new)
    return found


def _batches(
    source: "Source", told: "Iterable[Picture | Failure]", size: int, skipped: "list[Skipped]"
) -> "Iterator[list[tuple[Entry, Tensor]]]":
    """The pictures, so many at a time; what cannot be read is added to what was skipped."""
    from gan_cli.data.decoded import Failure
    from gan_cli.data.source import Skipped

    batch: list[tuple[Entry, Tensor]] = []
    for one, result in zip(source.entries, told, strict=True):
        if isinstance(result, Failure):
            skipped.append(Skipped(one.name, result.reason))
            continue
        batch.append((one, result.pixels))
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def _translated(translator: "Translator", batch: "Sequence[tuple[Entry, Tensor]]", direction: str) -> "Tensor":
    """uint8 (N, C, H, W)."""
    import torch

    from gan_cli import images
    from gan_cli.data.dataset import as_network_input

    return images.to_bytes(translator(as_network_input(torch.stack([pixels for _, pixels in batch])), direction))
