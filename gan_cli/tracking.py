"""What a run leaves to be looked at: metrics.jsonl and TensorBoard."""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Self

from torch import Tensor
from torch.utils.tensorboard import SummaryWriter
from torch.utils.tensorboard.summary import hparams as summaries

from gan_cli import images
from gan_cli.evaluation.measure import Measure, finite
from gan_cli.run_directory import RunDirectory

_ABOUT = ("extractor", "count", "floor", "weights")
"""What stands beside a metric and is no curve."""


class Tracker:
    """Writes scalars and pictures, each under its step.

    Args:
        step: where the run stands. What TensorBoard's files hold from there on is void, an earlier start wrote it; what
            metrics.jsonl and the samples hold of this very step is told to TensorBoard again.
        hparams: what TensorBoard's page of hyper-parameters shows of the run.
        metrics: the curves beside them.
    """

    def __init__(self, directory: RunDirectory, step: int, hparams: Mapping[str, Any], metrics: Sequence[str]) -> None:
        directory.tensorboard.mkdir(parents=True, exist_ok=True)
        self._lines = open(directory.metrics, "a", encoding="utf-8")  # noqa: SIM115 (closed on exit)
        self._board = SummaryWriter(str(directory.tensorboard), purge_step=step)
        for summary in summaries(_shown(hparams), dict.fromkeys(metrics)):
            self._board._get_file_writer().add_summary(summary)
        if step:
            self._repeat(directory, step)

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """One line of metrics.jsonl and one point of each curve."""
        self._lines.write(json.dumps({"step": step} | dict(values)) + "\n")
        for name, value in values.items():
            self._board.add_scalar(name, value, step)

    def measure(self, step: int, group: str, measure: Measure) -> None:
        """One metric: a line of its own, with what it takes to read it, and one point of its curve.

        Args:
            group: "metrics" while a run goes on, "final" at its end; in TensorBoard a curve of other weights, which are
                told beside them, has a name of its own.
        """
        name, value, floor = f"{group}/{measure.name}", finite(measure.value), finite(measure.floor)
        about = dict(zip(_ABOUT, (measure.extractor, measure.count, floor, measure.weights), strict=True))
        self._lines.write(json.dumps({"step": step, name: value} | about) + "\n")
        if value is not None:
            self._board.add_scalar(name if group == "metrics" else f"{name}_{measure.weights}", value, step)

    def picture(self, step: int, name: str, image: Tensor) -> None:
        """A uint8 (C, H, W) picture."""
        self._board.add_image(name, image, step)

    def flush(self) -> None:
        """Make what was written outlive this process, and the log a power cut."""
        try:
            self._lines.flush()
            os.fsync(self._lines.fileno())
        except OSError as error:
            raise OSError(error.errno, error.strerror, self._lines.name) from error
        self._board.flush()

    def _repeat(self, directory: RunDirectory, step: int) -> None:
        for content in map(json.loads, directory.metric_lines()):
            if content.pop("step", None) == step:
                for name, value in content.items():
                    number = isinstance(value, int | float) and abs(value) < sys.float_info.max
                    if number and name not in _ABOUT:
                        self._board.add_scalar(name, value, step)
        sample = images.read_png(directory.sample(step))
        if sample is not None:
            self.picture(step, "samples", sample)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._lines.close()
        self._board.close()


def _shown(hparams: Mapping[str, Any]) -> dict[str, bool | int | float | str]:
    """Hyper-parameters as TensorBoard can show them."""
    return {key: value if isinstance(value, bool | int | float | str) else str(value) for key, value in hparams.items()}
