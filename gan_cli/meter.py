"""Averages of a step's statistics, kept on the device: adding to them waits for nothing."""

from collections.abc import Mapping

import torch
from torch import Tensor

from gan_cli.errors import Diverged, Refused

_LOSS = "loss/"


class Meter:
    """Means since they were cleared, and the first step at which each loss was not finite."""

    def __init__(self) -> None:
        self._sums: dict[str, Tensor] = {}
        self._count = 0
        self._first_bad: dict[str, Tensor] = {}

    def add(self, step: int, stats: Mapping[str, Tensor]) -> None:
        """Take in the statistics of step `step`: scalars on the device."""
        self._count += 1
        for name, value in stats.items():
            self._sums[name] = self._sums[name] + value if name in self._sums else value
            if name.startswith(_LOSS):
                bad = torch.where(value.isfinite(), -1, step)
                before = self._first_bad.get(name, bad)
                self._first_bad[name] = torch.where(before < 0, bad, before)

    def means(self) -> dict[str, float]:
        """The means since the last `clear`, by name. Waits for the device."""
        return {name: float(total) / self._count for name, total in sorted(self._sums.items())}

    def clear(self) -> None:
        """Start a new mean."""
        self._sums.clear()
        self._count = 0

    def check(self) -> None:
        """Raises `Diverged`, naming the network and the step, if a loss was not finite. Waits for the device."""
        bad = {name: int(step) for name, step in self._first_bad.items() if int(step) >= 0}
        if bad:
            step, name = min((step, name) for name, step in bad.items())
            network = {"loss/D": "discriminator", "loss/G": "generator"}.get(name, name)
            raise Diverged(
                f"the {network}'s loss became NaN or infinite at step {step}.\n"
                "A smaller optim.lr, another loss, or a smaller optim.betas usually helps"
            )

    def state(self) -> dict[str, Tensor]:
        """What a checkpoint keeps, so that a resumed run logs the same means."""
        return {f"sum/{name}": total for name, total in self._sums.items()} | {"count": torch.tensor(self._count)}

    def restore(self, state: Mapping[str, Tensor], device: torch.device) -> None:
        """Take up what `state` returned.

        Raises:
            Refused: it is not such a state.
        """
        count = state.get("count", torch.tensor(-1))
        if any(tensor.dim() for tensor in state.values()) or count.is_floating_point() or count < 0:
            raise Refused("the checkpoint's meter is not one: it holds something else than scalars and a count")
        sums = {name.removeprefix("sum/"): total for name, total in state.items() if name.startswith("sum/")}
        self._sums = {name: total.to(device) for name, total in sums.items()}
        self._count = int(count)
