"""gan-evaluate: measure how good the samples of checkpoints are."""

import json
import logging
import platform
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hydra
from omegaconf import DictConfig

from gan_cli import __version__
from gan_cli.command_schema import EvaluateCommandConf
from gan_cli.commands import entry
from gan_cli.commands.stored_data import load_stored, measured_by
from gan_cli.conf_dir import CONF_DIR
from gan_cli.errors import Refused
from gan_cli.files import write_json
from gan_cli.parse import resolved, to_plain, typed_as
from gan_cli.schema import Config, Weights

if TYPE_CHECKING:
    import torch

    from gan_cli.checkpoint import Checkpoint
    from gan_cli.evaluation.evaluator import Evaluation, Evaluator

_WIDTH = 140  # of the table, wherever it goes

log = logging.getLogger("gan_cli.evaluate")


def evaluate() -> None:
    """The console command."""
    sys.exit(
        entry.run(main, "gan-evaluate", entry.alone("gan-evaluate takes several checkpoints at once, checkpoint=A,B"))
    )


@hydra.main(version_base="1.3", config_path=CONF_DIR, config_name="evaluate")
def main(composed: DictConfig) -> None:
    """One job."""
    with entry.job():
        _evaluate(typed_as(EvaluateCommandConf, resolved(composed)))


def _evaluate(conf: EvaluateCommandConf) -> None:
    import torch
    from rich.console import Console

    from gan_cli import accelerate, images
    from gan_cli.digests import file_digest
    from gan_cli.evaluation.curves import curves
    from gan_cli.evaluation.results import Row, cautions, rows, table

    paths = checkpoints(conf.checkpoint)
    device = accelerate.prepare(conf.device)
    out = Path(conf.out).expanduser()
    with entry.writing_to(out):
        pass  # told before the minutes that the rest takes
    judges = _Judges(conf, device)
    shown: list[Row] = []
    references: list[dict[str, Any]] = []
    for path in paths:
        for step, weights, seeds in _evaluated(path, conf, judges, device):
            measures = [evaluation.measures for evaluation in seeds]
            shown += rows(str(path), step, measures)
            if dict(seeds[0].reference) not in references:
                references.append(dict(seeds[0].reference))
            for name, picture in seeds[0].pictures.items() if len(paths) == 1 else ():
                images.save_png(out / f"{weights}_{name}.png", picture)
    if not shown:
        raise Refused("nothing can be measured: the data are vectors of an unknown distribution, or under 100 images")
    Console(width=_WIDTH).print(table(shown))
    for line in cautions(shown, conf.num_images):
        log.warning("%s", line)
    provenance = {
        "gan_cli": __version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "device": conf.device.type.name,
        "seeds": list(range(conf.seed, conf.seed + conf.num_seeds)),
        "checkpoints": {str(path): file_digest(path) for path in paths},
        "references": [reference for reference in references if reference],
        "asked": to_plain(conf),
    }
    write_json(out / "evaluation.json", {"results": [row.plain() for row in shown], "provenance": provenance})
    if len(paths) > 1:
        images.save_png(out / "evaluation.png", curves(shown))
    log.info("evaluation.json and pictures are in %s", out)


def checkpoints(text: str) -> list[Path]:
    """The checkpoints that a value of `checkpoint` means.

    Raises:
        Refused: there are none.
    """
    from gan_cli import checkpoint

    whole = Path(text).expanduser()
    found: list[Path] = []
    for path in [whole] if whole.exists() else [Path(part.strip()).expanduser() for part in text.split(",")]:
        numbered = sorted(path.glob(f"step_*{checkpoint.SUFFIX}")) if path.is_dir() else []
        found += numbered or [checkpoint.resolve(path)]
    return found


class _Judges:
    """The evaluators of the runs, one for all that were trained on the same data."""

    def __init__(self, conf: EvaluateCommandConf, device: "torch.device") -> None:
        self._conf, self._device = conf, device
        self._made: dict[str, Evaluator | None] = {}

    def of(self, stored: "Checkpoint", config: Config) -> "Evaluator | None":
        """What measures the samples of a checkpoint.

        Raises:
            Refused: the data are not those of the run, and none were named.
        """
        conf = self._conf
        named = {"root": conf.data.root, "split": conf.data.split}
        config = measured_by(config, conf.extractor, conf.inception_weights, **named)
        asked = [to_plain(config.data), config.model.resolution, to_plain(config.evaluate), stored.facts["data_digest"]]
        key = json.dumps(asked, sort_keys=True)
        if key not in self._made:
            self._made[key] = self._make(stored, config)
        return self._made[key]

    def _make(self, stored: "Checkpoint", config: Config) -> "Evaluator | None":
        from gan_cli.assembly import placed
        from gan_cli.evaluation.choose import choose

        conf = self._conf
        named = conf.data.root is not None or conf.data.split is not None
        dataset, digest = load_stored(stored, config, conf.trust, named)
        return choose(
            placed(dataset, self._device), digest, config.evaluate, self._device, conf.num_images, thorough=True
        )


def _evaluated(
    path: Path, conf: EvaluateCommandConf, judges: _Judges, device: "torch.device"
) -> "Iterator[tuple[int, str, list[Evaluation]]]":
    """A checkpoint's step, weights, and evaluations seed by seed; of its average and of its last weights."""
    from gan_cli import accelerate, checkpoint
    from gan_cli.networks import restore_generator, sampler_of
    from gan_cli.streams import Streams

    stored = checkpoint.load(path)
    has_average = bool(stored.part("network/ema"))
    wanted = [conf.weights] if conf.weights else [Weights.ema, Weights.raw] if has_average else [Weights.raw]
    for weights in wanted:
        config, generator = restore_generator(stored, conf.trust, weights)
        if conf.batch_norm is not None:
            config.sampling.batch_norm = conf.batch_norm
        evaluator = judges.of(stored, config)
        if evaluator is None:
            return
        generator.to(device)
        found = []
        for seed in range(conf.seed, conf.seed + conf.num_seeds):
            log.info("%s, %s weights, seed %d", path, weights.name, seed)
            sampler = sampler_of(stored, config, generator, Streams(seed, device))
            with accelerate.autocast(device, conf.device.precision)():
                found.append(evaluator.evaluate(sampler, weights.name))
        yield stored.step, weights.name, found
