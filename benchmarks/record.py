"""How fast is experiment=mnist_fast as good as the course's DCGAN? Trains both, in turns, and prints the table of
docs/record.md.

    python benchmarks/record.py --seeds 10       a quarter of an hour a seed on two cores; what is in the log stays
    python benchmarks/record.py --table          the table of what the log holds

The target is the quality of experiment=cs231n_dcgan at its full length, by its own sampling, and by an average of its
generator: FID and KID of 10,000 samples in the features of `mnist_report_v1`, which no setting was chosen by. Ours is
as good at the first measurement that reaches the target's mean over seeds. Its time is that of its training steps until
then; measuring is not training, for either. The two take turns of a few seconds, so that whatever slows the machine
slows both.
"""

import argparse
import hashlib
import json
import statistics
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from interval import interval
from step import built
from table import machine
from timed import Timed

from gan_cli.evaluation.choose import choose
from gan_cli.evaluation.evaluator import Evaluator
from gan_cli.run import Run
from gan_cli.schema import EvaluateConf, Extractors

JUDGE = EvaluateConf(extractor=Extractors.mnist_report_v1)
COUNT = 10_000
LOG = Path(__file__).parent / "results" / "record.jsonl"
COURSE = ["experiment=cs231n_dcgan", "ema.half_life=10000"]
OURS = ["experiment=mnist_fast"]
TURNS = 50  # of the course
EVERY = 100  # steps of a turn of ours, and between its measurements
OF_COURSE = {"raw": "the course's generator", "ema": "an average of it"}


@dataclass
class Measured(Timed):
    """One whose generator is measured on the way.

    Attributes:
        told: what was measured, with the step and the seconds of training before it.
    """

    told: list[dict[str, Any]] = field(default_factory=list)

    def measure(self, *of: str) -> None:
        """FID and KID, of each of these weights."""
        for weights in of:
            measures = self._judge.evaluate(self.run.samplers[weights], weights).measures
            found = {measure.name: measure for measure in measures}
            line: dict[str, Any] = {"step": self.run.step, "seconds": self.seconds, "weights": weights}
            for name in ("fid", "kid"):
                line |= {name: found[name].value, f"{name}_floor": found[name].floor}
            self.told.append(line)

    @cached_property
    def _judge(self) -> Evaluator:
        run = self.run
        judge = choose(run.preview.datasets[0], run.facts["data_digest"], JUDGE, run.device, COUNT, thorough=False)
        assert judge is not None
        return judge

    def plain(self) -> dict[str, Any]:
        """For the log."""
        facts = {"digest": digest(self.run), "steps": self.run.step, "seconds": self.seconds}
        return facts | {"turns": [[steps, round(taken, 3)] for steps, taken in self.turns], "told": self.told}


def digest(run: Run) -> str:
    """Of what a run does, whatever its seed; results of other meanings are not put together."""
    meaning = {key: value for key, value in run.config.items() if key not in ("seed", "device", "evaluate")}
    return hashlib.sha256(json.dumps(meaning, sort_keys=True).encode()).hexdigest()[:16]


def race(seed: int, threads: int) -> dict[str, Any]:
    """One seed of both, in turns: when each turn took how long, and what was measured."""
    with tempfile.TemporaryDirectory() as directory:
        common = [f"seed={seed}", f"device.threads={threads}"]
        course, ours = (Measured(built([*what, *common], Path(directory))) for what in (COURSE, OURS))
        while not (course.done and ours.done):
            if not ours.done:
                ours.advance(EVERY)
                ours.measure("ema")  # what it shows and samples by
            course.advance(-(-course.run.total_steps // TURNS))
        course.measure(*OF_COURSE)
    return {"seed": seed, "machine": machine(), "ours": ours.plain(), "course": course.plain()}


def as_good(told: Sequence[Mapping[str, Any]], name: str, excess: float) -> Mapping[str, Any] | None:
    """The first measurement whose excess over its floor is no larger."""
    return next((line for line in told if line[name] - line[f"{name}_floor"] <= excess), None)


def excesses(races: Sequence[Mapping[str, Any]], name: str, weights: str) -> list[float]:
    """What each seed of the course ended with, above what real data score."""
    ends = [line for one in races for line in one["course"]["told"] if line["weights"] == weights]
    return [line[name] - line[f"{name}_floor"] for line in ends]


def row(races: Sequence[Mapping[str, Any]], name: str, weights: str) -> str:
    """How long ours takes to a target."""
    target = excesses(races, name, weights)
    mean = statistics.fmean(target)
    found = [(one, as_good(one["ours"]["told"], name, mean)) for one in races]
    reached = [(one, line) for one, line in found if line is not None]
    told = f"| {name.upper()}, {OF_COURSE[weights]} | {interval(target, 3)} | {len(reached)} of {len(races)} | "
    if not reached:
        return told + "| | |"
    ratios = sorted(one["course"]["seconds"] / line["seconds"] for one, line in reached)
    steps, taken = ([line[key] for _, line in reached] for key in ("step", "seconds"))
    return told + (
        f"{statistics.median(steps):,.0f} | {statistics.median(taken):.0f} s ({min(taken):.0f} to {max(taken):.0f}) | "
        f"1/{statistics.median(ratios):.1f} (1/{ratios[0]:.1f} to 1/{ratios[-1]:.1f}) |"
    )


def at_the_end(races: Sequence[Mapping[str, Any]], name: str) -> str:
    """What is left at the end of ours of the course's excess."""
    ends = [one["ours"]["told"][-1] for one in races]
    left = [end[name] - end[f"{name}_floor"] for end in ends]
    course = statistics.fmean(excesses(races, name, "raw"))
    share = statistics.fmean(end["seconds"] / one["course"]["seconds"] for one, end in zip(races, ends, strict=True))
    return (
        f"- {name.upper()} at the end of ours, after {share:.0%} of the course's time: {interval(left, 3)} above real "
        f"data, {statistics.fmean(left) / course:.0%} of the course's."
    )


def table(races: Sequence[Mapping[str, Any]]) -> str:
    """What the seeds of a log say together."""
    taken = interval([one["course"]["seconds"] for one in races], 0)
    lines = [
        f"{len(races)} seeds; the {races[0]['course']['steps']:,} steps of the course took {taken} s.",
        "",
        "| target | excess | reached by | steps of ours | seconds of ours | of the course's time |",
        "|---|---|---|---:|---|---|",
        *(row(races, name, weights) for weights in OF_COURSE for name in ("fid", "kid")),
        "",
        *(at_the_end(races, name) for name in ("fid", "kid")),
    ]
    return "\n".join(lines)


def logged(path: Path) -> list[dict[str, Any]]:
    """The races of a log that mean what ours and the course mean today."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    with tempfile.TemporaryDirectory() as directory:
        today = tuple(digest(built(what, Path(directory))) for what in (OURS, COURSE))
    return [one for one in map(json.loads, lines) if (one["ours"]["digest"], one["course"]["digest"]) == today]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--log", type=Path, default=LOG)
    parser.add_argument("--table", action="store_true", help="train nothing")
    options = parser.parse_args()
    there = {one["seed"] for one in logged(options.log)}
    for seed in () if options.table else sorted(set(range(options.seeds)) - there):
        one = race(seed, options.threads)
        with options.log.open("a", encoding="utf-8") as file:
            file.write(json.dumps(one) + "\n")
        print(f"seed {seed} done", flush=True)
    races = logged(options.log)
    print(table(races) if races else "nothing is in the log yet")


if __name__ == "__main__":
    main()
