"""Averages of a step's statistics, kept on the device: adding to them waits for nothing."""

from collections.abc import Mapping

import torch
from torch import Tensor

from gan_cli.errors import Diverged, Refused

_MUST_BE_FINITE = ("loss/", "penalty/")


class Meter:
    """Means since they were cleared, and the first step at which each loss or penalty was not finite.

    A statistic need not come with every step, as that of a penalty with an interval does not: its mean is over the
    steps with which it came.
    """

    def __init__(self) -> None:
        self._sums: dict[str, Tensor] = {}
        self._counts: dict[str, int] = {}
        self._steps = 0
        self._first_bad: dict[str, Tensor] = {}

    def add(self, step: int, stats: Mapping[str, Tensor]) -> None:
        """Take in the statistics of step `step`: scalars on the device."""
        self._steps += 1
        for name, value in stats.items():
            self._counts[name] = self._counts.get(name, 0) + 1
            self._sums[name] = self._sums[name] + value if name in self._sums else value
            if name.startswith(_MUST_BE_FINITE):
                bad = torch.where(value.isfinite(), -1, step)
                before = self._first_bad.get(name, bad)
                self._first_bad[name] = torch.where(before < 0, bad, before)

    def means(self) -> dict[str, float]:
        """The means since the last `clear`, by name. Waits for the device."""
        return {name: float(total) / self._counts[name] for name, total in sorted(self._sums.items())}

    def clear(self) -> None:
        """Start a new mean."""
        self._sums.clear()
        self._counts.clear()
        self._steps = 0

    def check(self) -> None:
        """Raises `Diverged`, naming network and step, if a loss or penalty was not finite. Waits for the device."""
        bad = {name: int(step) for name, step in self._first_bad.items() if int(step) >= 0}
        if bad:
            step, name = min((step, name) for name, step in bad.items())
            kind, _, player = name.partition("/")
            network = {"D": "discriminator", "G": "generator"}.get(player, player)
            raise Diverged(
                f"the {network}'s {kind} became NaN or infinite at step {step}.\n"
                "A smaller optim.lr, another loss, or a smaller optim.betas usually helps"
            )

    def state(self) -> dict[str, Tensor]:
        """What a checkpoint keeps, so that a resumed run logs the same means."""
        sums = {f"sum/{name}": total for name, total in self._sums.items()}
        rare = {name: count for name, count in self._counts.items() if count != self._steps}
        counts = {"count": self._steps} | {f"count/{name}": count for name, count in rare.items()}
        return sums | {name: torch.tensor(count) for name, count in counts.items()}

    def restore(self, state: Mapping[str, Tensor], device: torch.device) -> None:
        """Take up what `state` returned.

        Raises:
            Refused: it is not such a state.
        """
        counts = {name: tensor for name, tensor in state.items() if name.split("/")[0] == "count"}
        whole = all(not (tensor.is_floating_point() or tensor.is_complex()) for tensor in counts.values())
        if any(tensor.dim() for tensor in state.values()) or not whole or int(counts.get("count", -1)) < 0:
            raise Refused("the checkpoint's meter is not one: it holds something else than scalars and counts")
        sums = {name.removeprefix("sum/"): total for name, total in state.items() if name.startswith("sum/")}
        self._sums = {name: total.to(device) for name, total in sums.items()}
        self._steps = int(counts["count"])
        self._counts = {name: int(counts.get(f"count/{name}", self._steps)) for name in sums}
        if not all(0 < count <= self._steps for count in self._counts.values()):
            raise Refused("the checkpoint's meter is not one: it holds sums of no steps, or of more than there were")
