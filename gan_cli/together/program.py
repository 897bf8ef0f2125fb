"""Several runs that step as one."""

from collections.abc import Sequence
from copy import copy

from gan_cli.errors import Incompatible
from gan_cli.games.gan import GAN
from gan_cli.parse import parse_stored
from gan_cli.run import Run
from gan_cli.together.games import JoinedGames
from gan_cli.together.meters import JoinedMeter
from gan_cli.together.obstacles import between, by_itself, differing_numbers
from gan_cli.together.parts import obstacle_in
from gan_cli.together.rehearsal import rehearse
from gan_cli.together.stack import Stack


class Together:
    """Takes over runs at one step, and moves them all at once.

    Each run stays whole: its networks, averages and optimizer states are views into the stacked ones, so that it draws,
    measures and saves what it would alone. Only its `advance` is no longer to be called.

    Attributes:
        runs: in the order of their places in the stacked tensors.

    Raises:
        Incompatible: they cannot be one program; each can still be trained alone.
    """

    def __init__(self, runs: Sequence[Run]) -> None:
        self.runs = runs
        games = _games(runs)
        self._game = JoinedGames(games, differing_numbers([run.config for run in runs]))
        rehearse(self._game, games)
        self._ema = copy(runs[0].ema)
        averages = [run.ema.network for run in runs if run.ema is not None]
        if self._ema is not None:
            self._ema.network = Stack(averages).requires_grad_(False)
        self._meter = JoinedMeter([run.meter for run in runs])
        for run, share in zip(runs, self._meter.shares, strict=True):
            run.meter = share

    def advance(self) -> None:
        """What `Run.advance` does, for every run."""
        first = self.runs[0]
        step, seen = first.step, first.images_seen
        for run in self.runs:
            for turn in run.dials:
                turn(step)
        self._game.follow()
        stats = self._game.play(step)
        for run in self.runs:
            run.step = step + 1
        if self._ema is not None and first.ema is not None:
            self._ema.half_life = first.ema.half_life
            self._ema.update(self._game.generator, first.images_seen - seen, first.images_seen)
        self._meter.add(step + 1, stats)


def _games(runs: Sequence[Run]) -> list[GAN]:
    """The games of runs that may be one program.

    Raises:
        Incompatible: they may not.
    """
    games = [run.game for run in runs if type(run.game) is GAN]
    why = between([run.config for run in runs]) or by_itself(parse_stored(runs[0].config))
    if len({run.step for run in runs}) > 1:
        why = f"they stand at different steps ({', '.join(str(run.step) for run in runs)})"
    elif len({run.facts["data_digest"] for run in runs}) > 1:
        why = "their data differ"
    elif len(games) < len(runs):
        why = f"the moves of {type(runs[0].game).__name__} are not known, but those of GAN alone"
    why = why or obstacle_in(games[0])
    if why is not None:
        raise Incompatible(why)
    return games
