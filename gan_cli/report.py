"""How a run tells of itself: scalars, pictures, a summary. None of it changes training."""

import json
import logging
import time
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager

from gan_cli import images, memory, plots
from gan_cli.best import Best, evaluations
from gan_cli.errors import RunFailed
from gan_cli.evaluation.evaluator import Evaluation
from gan_cli.evaluation.measure import finite, telling
from gan_cli.files import write_json
from gan_cli.progress import Display, figures
from gan_cli.run import Run
from gan_cli.stopwatch import Stopwatch
from gan_cli.tracking import Tracker

log = logging.getLogger("gan_cli.train")

_LOSSES = {"loss/D", "loss/G"}
_CURVE = 10  # points


class Report:
    """Writes what a run shows, and keeps the time that this takes out of the training speed."""

    def __init__(self, run: Run, tracker: Tracker, display: Display) -> None:
        self._run = run
        self._tracker = tracker
        self._display = display
        self._stopwatch = Stopwatch(run.device)
        self._started = time.monotonic()
        self._wall_before = float(run.facts.get("wall_s", 0))
        self._training_before = float(run.facts.get("training_s", 0))
        self._latest: dict[str, float] = _means_at(run.step, run.directory.metric_lines())
        self._measured: dict[str, float] = {}
        self._best: Best | None = None
        if run.selection is not None:
            self._best = Best(run.selection.guide)
            for values in evaluations(run.directory.metric_lines()):
                self._best.improved_by(values)
                self._measured = {f"metrics/{name}": value for name, value in values.items()}
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
        self._display.advance()
        if self._display.due:
            with self._stopwatch.paused():
                self._display.draw()

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
            self._display.show(self._latest)
            if clear:
                self._run.meter.clear()
        self._read_at = now

    def picture(self) -> None:
        """The fakes as they are now."""
        with self._stopwatch.paused():
            picture = self._run.preview.fake()
            images.save_png(self._run.directory.sample(self._run.step), picture)
            self._tracker.picture(self._run.step, "samples", picture)
            if self._latest:
                log.info("step %d/%d  %s", self._run.step, self._run.total_steps, figures(self._latest))

    def select(self) -> Mapping[str, float]:
        """What the fakes are worth now, by name; and a checkpoint if they are the best so far."""
        with self._stopwatch.paused():
            if self._run.selection is None:
                return {}
            self._display.measured("measuring samples ...")
            with self._enough_for("num_images"):
                evaluation = self._run.select()
            assert evaluation is not None
            self._told("metrics", evaluation)
            self._measured = {f"metrics/{name}": value for name, value in evaluation.values.items()}
            assert self._best is not None
            if self._best.improved_by(evaluation.values) and self._run.train.checkpoint_every:
                self._note_times()
                self._run.save_best()
            return evaluation.values

    def evaluate(self) -> None:
        """What the fakes are worth in the end, with pictures of what the numbers mean."""
        self._display.measured("measuring samples for the end ...")
        with self._stopwatch.paused(), self._enough_for("final_images"):
            for evaluation in self._run.evaluate():
                self._told("final", evaluation)
                values = {f"final/{name}": value for name, value in evaluation.values.items()}
                self._measured = values | self._measured  # where there is an average, it comes first and stays
                for name, picture in evaluation.pictures.items():
                    weights = evaluation.measures[0].weights
                    images.save_png(self._run.directory.evaluation / f"{weights}_{name}.png", picture)
                    self._tracker.picture(self._run.step, f"evaluation/{weights}_{name}", picture)

    def _enough_for(self, key: str) -> AbstractContextManager[None]:
        """Where measuring lacks memory, its own key is what to turn, not the batch."""
        count = int(self._run.config["evaluate"][key])
        advice = f"evaluate.{key}={max(2, count // 2)} measures fewer samples than evaluate.{key}={count}"
        return memory.enough(RunFailed, f"{advice}, train.evaluate_every=0 none")

    def _told(self, group: str, evaluation: Evaluation) -> None:
        for measure in evaluation.measures:
            self._tracker.measure(self._run.step, group, measure)
        if evaluation.measures:
            of = evaluation.measures[0]
            judge = f"{of.weights} weights" + (f", {of.extractor}" if of.extractor else "")
            shown = "  ".join(f"{measure.name} {measure.value:.3g}" for measure in evaluation.measures)
            log.info("step %d/%d  %s  (%s)", self._run.step, self._run.total_steps, shown, judge)
            first = telling([measure.name for measure in evaluation.measures])
            self._display.measured(str(next(measure for measure in evaluation.measures if measure.name == first)))

    def save(self) -> None:
        """A checkpoint. The log is flushed first: it never lacks what a checkpoint has gone past."""
        with self._stopwatch.paused():
            self._tracker.flush()
            self._note_times()
            self._run.save()

    def finish(self) -> None:
        """The animation, a plot of the losses and summary.json."""
        speed = _speed((0, 0.0), (self._run.images_seen, self._training_s))
        peak = memory.peak_mb(self._run.device)
        log.info("peak memory %s", memory.told(peak, self._run.device))
        self._display.look()
        directory = self._run.directory
        images.save_animation(directory.samples / "progress.webp", sorted(directory.samples.glob("step_*.png")))
        curves = loss_curves(directory.metric_lines())
        if curves:
            images.save_png(directory.losses, plots.lines(curves, "step"))
        losses = {name: value for name, value in self._latest.items() if "/" in name and not name.startswith("speed/")}
        write_json(
            directory.summary,
            losses
            | {name: finite(value) for name, value in self._measured.items()}
            | {
                "steps": self._run.step,
                "images_seen": self._run.images_seen,
                "wall_s": self._wall_s,
                "images_per_s": round(speed, 1),
                "peak_memory_mb": peak,
                "parameters": self._run.parameters(),
            },
        )

    def _note_times(self) -> None:
        self._run.facts |= {"wall_s": self._wall_s, "training_s": self._training_s}

    @property
    def _wall_s(self) -> float:
        """Seconds of the run over all its starts, everything included."""
        return round(self._wall_before + self.seconds, 3)

    @property
    def _training_s(self) -> float:
        """Seconds of training alone over all the run's starts."""
        return round(self._training_before + self._stopwatch.seconds, 3)


def loss_curves(lines: Iterable[str]) -> dict[str, list[tuple[int, float]]]:
    """The losses of a log by name, (step, value) each; none where there are too few for a curve."""
    found: dict[str, list[tuple[int, float]]] = {}
    for content in map(json.loads, lines):
        for name in _LOSSES & content.keys():
            found.setdefault(name, []).append((content["step"], content[name]))
    return {name: points for name, points in sorted(found.items()) if len(points) >= _CURVE}


def _means_at(step: int, lines: Iterable[str]) -> dict[str, float]:
    """The means that a log has of a step; none where it has none."""
    for content in map(json.loads, lines):
        if content.pop("step") == step and "images_seen" in content:
            return dict(content)
    return {}


def _speed(before: tuple[int, float], after: tuple[int, float]) -> float:
    return (after[0] - before[0]) / max(after[1] - before[1], 1e-9)
