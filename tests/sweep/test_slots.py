"""Places for jobs that run at a time."""

from pathlib import Path

import pytest

from gan_cli.errors import RunFailed
from gan_cli.sweep.slots import held


def test_jobs_at_a_time_have_places_of_their_own_and_the_lowest_that_is_free(tmp_path: Path) -> None:
    with held(tmp_path / "slots", 3) as first:
        with held(tmp_path / "slots", 3) as second, held(tmp_path / "slots", 3) as third:
            assert (first, second, third) == (0, 1, 2)
        with held(tmp_path / "slots", 3) as again:
            assert again == 1


def test_more_jobs_than_places_are_a_mistake(tmp_path: Path) -> None:
    with held(tmp_path / "slots", 1), pytest.raises(RunFailed, match="1 jobs run already"), held(tmp_path / "slots", 1):
        pass


def test_a_place_is_free_after_a_failure(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), held(tmp_path / "slots", 1):
        raise ZeroDivisionError
    with held(tmp_path / "slots", 1) as place:
        assert place == 0
