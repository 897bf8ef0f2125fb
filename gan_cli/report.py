"""How a run tells of itself: scalars, pictures, a summary. None of it changes training."""

import logging
import time

from gan_cli import images
from gan_cli.files import write_json
from gan_cli.progress import StepBar, figures
from gan_cli.run import Run
from gan_cli.stopwatch import Stopwatch
from gan_cli.tracking import Tracker

log = logging.getLogger("gan_cli.train")


class Report:
    """Writes what a run shows, and keeps the time that this takes out of the training speed."""

    def __init__(self, run: Run, tracker: Tracker, bar: StepBar) -> None:
        self._run = run
        self._tracker = tracker
        self._bar = bar
        self._stopwatch = Stopwatch(run.device)
        self._started = time.monotonic()
        self._wall_before = float(run.facts.get("wall_s", 0))
        self._training_before = float(run.facts.get("training_s", 0))
        self._latest: dict[str, float] = {}
        self._measured: dict[str, float] = {}
        self._read_at = (run.images_seen, self._stopwatch.seconds)

    @property
    def seconds(self) -> float:
        """Seconds since the run was started or resumed, everything included."""
        return time.monotonic() - self._started

    def begin(self) -> None:
        """The real samples, and the fakes of the untrained generator."""
        with self._stopwatch.paused():
            images.save_png(self._run.directory.samples / "real.png", self._run.preview.real())
        self.picture()

    def advance(self) -> None:
        """One step was done."""
        self._bar.advance()

    def scalars(self, clear: bool) -> None:
        """The means since they were cleared.

        Args:
            clear: whether the next means start here.

        Raises:
            Diverged: one of the losses was not finite.
        """
        self._run.meter.check()
        now = (self._run.images_seen, self._stopwatch.seconds)
        with self._stopwatch.paused():
            speed = _speed(self._read_at, now)
            self._latest = {"images_seen": now[0], **self._run.meter.means(), "speed/images_per_s": speed}
            self._tracker.scalars(self._run.step, self._latest)
            self._bar.show(self._latest)
            if clear:
                self._run.meter.clear()
        self._read_at = now

    def picture(self) -> None:
        """The fakes as they are now, and what can be measured of them."""
        with self._stopwatch.paused():
            look = self._run.preview.fake()
            images.save_png(self._run.directory.sample(self._run.step), look.picture)
            self._tracker.picture(self._run.step, "samples", look.picture)
            for measure in look.measures:
                self._tracker.measure(self._run.step, measure)
            self._measured = {f"metrics/{measure.name}": measure.value for measure in look.measures}
            if self._latest:
                shown = figures(self._latest | self._measured)
                log.info("step %d/%d  %s", self._run.step, self._run.total_steps, shown)

    def save(self) -> None:
        """A checkpoint. The log is flushed first: it never lacks what a checkpoint has gone past."""
        with self._stopwatch.paused():
            self._tracker.flush()
            self._run.facts |= {"wall_s": self._wall_s, "training_s": self._training_s}
            self._run.save()

    def finish(self) -> None:
        """The animation and summary.json."""
        speed = _speed((0, 0.0), (self._run.images_seen, self._training_s))
        directory = self._run.directory
        images.save_animation(directory.samples / "progress.webp", sorted(directory.samples.glob("step_*.png")))
        losses = {name: value for name, value in self._latest.items() if "/" in name and not name.startswith("speed/")}
        write_json(
            directory.summary,
            losses
            | self._measured
            | {
                "steps": self._run.step,
                "images_seen": self._run.images_seen,
                "wall_s": self._wall_s,
                "images_per_s": round(speed, 1),
                "parameters": self._run.parameters(),
            },
        )

    @property
    def _wall_s(self) -> float:
        """Seconds of the run over all its starts, everything included."""
        return round(self._wall_before + self.seconds, 3)

    @property
    def _training_s(self) -> float:
        """Seconds of training alone over all the run's starts."""
        return round(self._training_before + self._stopwatch.seconds, 3)


def _speed(before: tuple[int, float], after: tuple[int, float]) -> float:
    return (after[0] - before[0]) / max(after[1] - before[1], 1e-9)
