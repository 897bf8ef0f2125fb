"""What the doctor says of real runs: recorded ones in `logs/`, and the same made anew."""

import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Result
from doctor_runs import FAILING, HEALTHY, SHORT

from gan_cli.doctor.diagnosis import diagnose, examine, summary_line
from gan_cli.doctor.guide import guide_of
from gan_cli.doctor.run_files import read

Cli = Callable[..., Result]
LOGS = Path(__file__).parent / "logs"
ALONE = {"diverging", "mode collapse"}
"""Verdicts beside which these runs must give no other alarm."""


def alarms(directory: Path) -> set[str]:
    return {verdict.name for verdict in diagnose(read(directory)) if verdict.alarm}


@pytest.mark.parametrize("name", [name for name in FAILING if (LOGS / name).exists()])
def test_recorded_run_that_failed_is_seen_to_fail_that_way(name: str) -> None:
    arguments, expected = FAILING[name]
    assert (LOGS / name / "command.txt").read_text().strip() == f"gan-train {arguments} {SHORT}"
    verdicts = {verdict.name: verdict for verdict in diagnose(read(LOGS / name))}
    assert expected in verdicts
    for verdict in verdicts.values():
        assert any(letter.isdigit() for letter in verdict.evidence)
        assert "=" in verdict.advice
    if expected in ALONE:
        assert alarms(LOGS / name) == {expected}


def test_every_way_to_fail_is_recorded() -> None:
    seen = {expected for name, (_, expected) in FAILING.items() if (LOGS / name).exists()}
    assert seen >= {"discriminator saturated", "generator starved", "diverging", "mode collapse", "memorising"}


@pytest.mark.parametrize("name", sorted(path.name for path in LOGS.glob("healthy_*")))
def test_recorded_healthy_run_raises_no_alarm(name: str) -> None:
    assert alarms(LOGS / name) == set()
    assert "nothing wrong is seen" in summary_line(examine(read(LOGS / name)))


def test_run_that_gets_better_to_the_end_is_told_how_to_go_on() -> None:
    (verdict,) = diagnose(read(LOGS / "healthy_dcgan"))
    assert (verdict.name, verdict.alarm) == ("still improving", False)
    assert "kid went from" in verdict.evidence
    assert verdict.advice.endswith("healthy_dcgan train.steps=640")


@pytest.mark.slow
@pytest.mark.parametrize("name", FAILING)
def test_run_made_to_fail_is_seen_to_fail_that_way(name: str, cli: Cli) -> None:
    arguments, expected = FAILING[name]
    assert cli(*shlex.split(f"{arguments} {SHORT}"), "hydra.run.dir=run").code in (0, 1)
    assert expected in alarms(Path("run"))


@pytest.mark.slow
def test_of_thirty_healthy_runs_at_most_one_is_called_ill(cli: Cli) -> None:
    assert len(HEALTHY) >= 30
    called_ill = {}
    for number, (name, arguments) in enumerate(HEALTHY.items()):
        directory = Path(f"healthy_{number}")
        assert cli(*shlex.split(f"{arguments} {SHORT}"), f"hydra.run.dir={directory}").code == 0
        guide = guide_of(read(directory))
        assert guide is not None, name
        assert min(guide.excess.last_third.values) < guide.excess.values[0], name  # healthy by what it learned
        if found := alarms(directory):
            called_ill[name] = found
    assert len(called_ill) <= 1, called_ill
