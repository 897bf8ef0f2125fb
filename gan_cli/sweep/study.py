"""A search by Optuna: which values the next trial gets, and what the others have told.

All of it lies in optuna.db, in the sweep's directory, from which a search that was killed goes on.
"""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from gan_cli.command_schema import SearchConf, SearchMethod
from gan_cli.errors import Refused

if TYPE_CHECKING:
    import optuna

_NAME = "search"
_STARTUP = 10  # random trials before TPE has something to go by
_UNPRUNED = 5  # trials that run to their ends before any is compared with them


@dataclass(frozen=True)
class Interval:
    """Numbers from `low` to `high`; integers where both are, on a logarithmic scale if `log`."""

    low: float
    high: float
    log: bool = False


Space = Mapping[str, Interval | Sequence[str]]
"""What may be typed behind each key: a number of an interval, or one of some texts."""


@dataclass(frozen=True)
class Trial:
    """The values of one trial, by key, as they would be typed."""

    number: int
    values: Mapping[str, str]


class Study:
    """The trials of one search.

    Args:
        directory: of the sweep.
        fixed: what is the same for all trials.
        higher_is_better: of the metric.

    Raises:
        Refused: the directory holds a search over other values, beside others or for another metric.
    """

    def __init__(
        self, directory: Path, conf: SearchConf, space: Space, fixed: Sequence[str], higher_is_better: bool
    ) -> None:
        self._conf = conf
        self._distributions = {key: _distribution(key, values) for key, values in space.items()}
        # One thread at a time asks; which trials run side by side is the sweep's business.
        self._study = _opened(directory, "maximize" if higher_is_better else "minimize")
        about = {
            "space": [f"{key}={found}" for key, found in sorted(self._distributions.items())],
            "metric": conf.metric,
            "fixed": sorted(fixed),
        }
        stored = self._study.user_attrs.get("about", about)
        if stored != about:
            over, beside = ", ".join(stored["space"]), " ".join(stored["fixed"])
            raise Refused(
                f"{directory} holds a search for {stored['metric']} over {over} with {beside or 'the defaults'}; "
                "another needs a directory of its own: sweep.name=NAME"
            )
        self._study.set_user_attr("about", about)

    @property
    def count(self) -> int:
        """How many trials there are, whatever became of them."""
        return len(self._study.get_trials(deepcopy=False))

    @property
    def unfinished(self) -> list[Trial]:
        """Trials of which nothing has been told: those of a process that was killed."""
        import optuna

        running = self._study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.RUNNING,))
        return [self._drawn(optuna.trial.Trial(self._study, trial._trial_id), trial.number) for trial in running]

    def ask(self) -> Trial:
        """The next trial."""
        number = self.count
        self._study.sampler = _sampler(self._conf, number)  # asking is where TPE and CMA-ES look at the others
        return self._drawn(self._study.ask(), number)

    def _drawn(self, trial: "optuna.Trial", number: int) -> Trial:
        """The trial with all its values; those that it has already, as a killed process may have left it, stay.

        The sampler is made anew for each trial, seeded with its number: what it draws depends on what was told before
        and not on how often the search was interrupted.
        """
        self._study.sampler = _sampler(self._conf, number)
        return Trial(number, {key: str(_suggested(trial, key, of)) for key, of in self._distributions.items()})

    def tell(self, number: int, value: float | None, pruned: bool) -> None:
        """What became of a trial.

        Args:
            value: None where it failed, or was pruned before it had one.
        """
        import optuna

        state = optuna.trial.TrialState
        if pruned and value is not None:
            self._study.tell(number, state=state.PRUNED)
        elif value is None:
            self._study.tell(number, state=state.FAIL)
        else:
            self._study.tell(number, value)

    def best(self) -> tuple[Trial, float] | None:
        """The best trial that ran to its end, and its value; None where none did."""
        import optuna

        done = self._study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))
        if not done:
            return None
        best = self._study.best_trial
        assert best.value is not None
        return Trial(best.number, {key: str(value) for key, value in best.params.items()}), best.value


class Judge:
    """Says of a trial that runs whether it is hopeless, by what others had reached at the same step.

    A GAN's first readings say little of what it comes to, so the first third of a run is not judged.

    Args:
        directory: of the sweep.
        number: of the trial.
        total_steps: of its run.
    """

    def __init__(self, directory: Path, number: int, total_steps: int) -> None:
        import optuna

        study = _opened(directory, None)
        study.pruner = optuna.pruners.MedianPruner(n_startup_trials=_UNPRUNED, n_warmup_steps=total_steps // 3)
        found = {trial.number: trial._trial_id for trial in study.get_trials(deepcopy=False)}
        if number not in found:
            raise Refused(f"search.trial={number}: the search in {directory} has no such trial")
        self._trial = optuna.trial.Trial(study, found[number])

    def __call__(self, step: int, value: float) -> bool:
        """Take in the metric at a step; whether the trial should end."""
        with warnings.catch_warnings():
            # A run that was killed tells some of it again.
            warnings.filterwarnings("ignore", message=".*is already reported.*")
            self._trial.report(value, step)
        return bool(self._trial.should_prune())


def _opened(directory: Path, direction: Literal["minimize", "maximize"] | None) -> "optuna.Study":
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    path = directory / "optuna.db"
    storage = f"sqlite:///{path}"
    try:
        if direction is None:
            return optuna.load_study(study_name=_NAME, storage=storage)
        return optuna.create_study(study_name=_NAME, storage=storage, direction=direction, load_if_exists=True)
    except Exception as error:  # of SQLAlchemy's and sqlite3's too, which are not ours to name
        raise Refused(f"{path} cannot be opened as a search of ours: {str(error).splitlines()[0]}") from error


def _sampler(conf: SearchConf, trials: int) -> "optuna.samplers.BaseSampler":
    import optuna

    seed = (conf.seed + trials) % 2**32
    match conf.method:
        case SearchMethod.tpe:
            return optuna.samplers.TPESampler(seed=seed, n_startup_trials=_STARTUP)
        case SearchMethod.cmaes:
            return optuna.samplers.CmaEsSampler(seed=seed, warn_independent_sampling=False)
        case _:
            return optuna.samplers.RandomSampler(seed=seed)


def _distribution(key: str, values: Interval | Sequence[str]) -> Any:
    from optuna import distributions

    if not isinstance(values, Interval):
        return distributions.CategoricalDistribution(list(values))
    whole = isinstance(values.low, int) and isinstance(values.high, int)
    try:
        if whole:
            return distributions.IntDistribution(int(values.low), int(values.high), log=values.log)
        return distributions.FloatDistribution(float(values.low), float(values.high), log=values.log)
    except ValueError as error:
        raise Refused(f"{key} cannot be searched from {values.low} to {values.high}: {error}") from error


def _suggested(trial: "optuna.Trial", key: str, of: Any) -> str | float:
    from optuna import distributions

    match of:
        case distributions.CategoricalDistribution():
            return str(trial.suggest_categorical(key, of.choices))
        case distributions.IntDistribution():
            return trial.suggest_int(key, of.low, of.high, step=of.step, log=of.log)
        case _:
            return trial.suggest_float(key, of.low, of.high, log=of.log)
