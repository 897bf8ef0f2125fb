"""What a run leaves to be looked at: metrics.jsonl and TensorBoard."""

import json
from collections.abc import Mapping
from typing import Any, Self

from torch import Tensor
from torch.utils.tensorboard import SummaryWriter
from torch.utils.tensorboard.summary import hparams

from gan_cli.run_directory import RunDirectory


class Tracker:
    """Writes scalars and pictures, each under its step."""

    def __init__(self, directory: RunDirectory, config: Mapping[str, Any]) -> None:
        directory.tensorboard.mkdir(parents=True, exist_ok=True)
        self._lines = open(directory.metrics, "a", encoding="utf-8")  # noqa: SIM115 (closed on exit)
        self._board = SummaryWriter(str(directory.tensorboard))
        for summary in hparams(_flattened(config), {"loss/D": None, "loss/G": None}):
            self._board._get_file_writer().add_summary(summary)

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """One line of metrics.jsonl and one point of each curve."""
        self._lines.write(json.dumps({"step": step} | dict(values)) + "\n")
        for name, value in values.items():
            self._board.add_scalar(name, value, step)

    def picture(self, step: int, name: str, image: Tensor) -> None:
        """A uint8 (C, H, W) picture."""
        self._board.add_image(name, image, step)

    def flush(self) -> None:
        """Hand everything to the operating system: it survives the death of this process."""
        self._lines.flush()
        self._board.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._lines.close()
        self._board.close()


def _flattened(config: Mapping[str, Any], prefix: str = "") -> dict[str, bool | int | float | str]:
    """Nested keys joined by dots, with values that TensorBoard can show."""
    flat: dict[str, bool | int | float | str] = {}
    for key, value in config.items():
        if isinstance(value, Mapping):
            flat |= _flattened(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value if isinstance(value, bool | int | float | str) else str(value)
    return flat
