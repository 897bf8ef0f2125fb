"""The evaluator that fits the data."""

from collections.abc import Callable
from pathlib import Path

import torch

from gan_cli.data.dataset import Dataset
from gan_cli.data.download import cache_directory
from gan_cli.evaluation.evaluator import Evaluator
from gan_cli.evaluation.image_evaluator import ImageEvaluator
from gan_cli.evaluation.point_evaluator import GaussianEvaluator, MixtureEvaluator
from gan_cli.evaluation.scores import PRDC_LEAST
from gan_cli.extractors import Extractor, open_extractor
from gan_cli.ranks.ranks import ALONE, Ranks
from gan_cli.schema import EvaluateConf, Extractors

Opener = Callable[[str, tuple[int, ...], Path | None], Extractor]
"""Gives the extractor of a name, for samples of a shape, from a file of weights where there is one."""

_MOST_WHILE_TRAINING, _MOST = 10_000, 50_000  # real images to compare with


def choose(
    dataset: Dataset,
    data_digest: str,
    conf: EvaluateConf,
    device: torch.device,
    count: int,
    thorough: bool,
    opened: Opener = open_extractor,
    ranks: Ranks = ALONE,
) -> Evaluator | None:
    """What measures samples of these data; None where nothing can be told of them.

    Nothing can of vectors whose distribution is not known, nor of fewer than a hundred images.

    Args:
        dataset: what the generator was trained on; its samples may be on the device.
        data_digest: its fingerprint.
        count: samples to draw.
        thorough: for a report rather than for choosing while a run goes on.
        opened: gives the extractor of a name; one that remembers spares two evaluators from reading the same weights.
        ranks: share out the drawing of images and their features.

    Raises:
        Refused: the extractor that is asked for cannot be had.
    """
    if dataset.mixture is not None:
        return MixtureEvaluator(dataset.mixture)
    if dataset.gaussian is not None:
        return GaussianEvaluator(dataset.gaussian, count)
    if not dataset.is_images or len(dataset) < 2 * PRDC_LEAST:
        return None
    return ImageEvaluator(
        dataset=dataset,
        data_digest=data_digest,
        extractor=chosen_extractor(dataset, conf, thorough, opened).to(device),
        count=count,
        most=_MOST if thorough else _MOST_WHILE_TRAINING,
        thorough=thorough,
        cache=cache_directory() / "references",
        ranks=ranks,
    )


def chosen_extractor(
    dataset: Dataset, conf: EvaluateConf, thorough: bool, opened: Opener = open_extractor
) -> Extractor:
    """The extractor that is asked for, or that suits the data; on the CPU. Arguments are those of `choose`.

    Raises:
        Refused: it cannot be had.
    """
    judge = dataset.judges.report if thorough else dataset.judges.select
    name = judge if conf.extractor is Extractors.auto else conf.extractor.name
    weights = None if conf.inception_weights is None else Path(conf.inception_weights).expanduser()
    return opened(name, dataset.sample_shape, weights)
