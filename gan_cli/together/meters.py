"""The statistics of several runs, added up together."""

from collections.abc import Sequence

import torch
from torch import Tensor

from gan_cli.meter import Meter


class JoinedMeter(Meter):
    """Adds statistics of K runs, (K,) each, to what the meters of the K runs hold.

    Attributes:
        shares: stand for those meters from now on.
    """

    def __init__(self, parts: Sequence[Meter]) -> None:
        super().__init__()
        first = parts[0]
        self._sums = {name: torch.stack([part._sums[name] for part in parts]) for name in first._sums}
        self._first_bad = {name: torch.stack([part._first_bad[name] for part in parts]) for name in first._first_bad}
        self.shares = [Share(self, place, part) for place, part in enumerate(parts)]


class Share(Meter):
    """One run's part of a joined meter, which alone is added to: it tells and clears this run's numbers."""

    def __init__(self, whole: JoinedMeter, place: int, before: Meter) -> None:
        super().__init__()
        self._whole = whole
        self._place = place
        self._skipped = {name: -count for name, count in before._counts.items()}  # of the whole's, not this mean's
        self._skipped_steps = -before._steps

    def means(self) -> dict[str, float]:
        self._look()
        return super().means()

    def check(self) -> None:
        self._look()
        super().check()

    def state(self) -> dict[str, Tensor]:
        self._look()
        return super().state()

    def clear(self) -> None:
        for sums in self._whole._sums.values():
            sums[self._place] = 0
        self._skipped, self._skipped_steps = dict(self._whole._counts), self._whole._steps

    def _look(self) -> None:
        whole, place = self._whole, self._place
        self._steps = whole._steps - self._skipped_steps
        counts = {name: whole._counts.get(name, 0) - self._skipped.get(name, 0) for name in whole._sums}
        self._counts = {name: count for name, count in counts.items() if count}
        self._sums = {name: whole._sums[name][place] for name in self._counts}
        self._first_bad = {name: steps[place] for name, steps in whole._first_bad.items()}
