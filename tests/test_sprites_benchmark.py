"""How the benchmark of few pictures divides its data, and what its table says of a log."""

import importlib
import zipfile
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"


@pytest.fixture
def sprites(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("sprites")


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """Twenty species of four pictures; species 3 and 17 are one by a picture they share, and 17 and 9 by another."""
    path = tmp_path / "pokemon.zip"
    with zipfile.ZipFile(path, "w") as opened:
        for species in range(20):
            for number in range(4):
                shared = {(3, 0): "a", (17, 1): "a", (17, 2): "b", (9, 3): "b"}.get((species, number))
                opened.writestr(f"pokemon/{species}/{number}.png", shared or f"picture {number} of {species}")
    return path


def species_in(folder: Path) -> dict[str, int]:
    return {place.name: len(list(place.iterdir())) for place in (folder / "pokemon").iterdir()}


@pytest.mark.parametrize("pictures", [0, 10])
def test_no_species_and_no_relative_of_one_is_on_both_sides(
    sprites: ModuleType, archive: Path, tmp_path: Path, pictures: int
) -> None:
    train, held_out = map(species_in, sprites.split(archive, tmp_path / "there", pictures))
    assert not set(train) & set(held_out)
    assert set(held_out.values()) == {4}  # whole species
    relatives = {"3", "17", "9"}
    assert relatives <= set(held_out) or not relatives & set(held_out)
    assert sum(held_out.values()) >= 0.2 * 80
    assert sum(train.values()) == (pictures or 80 - sum(held_out.values()))


def test_fewer_pictures_are_some_of_those_that_are_not_held_out(
    sprites: ModuleType, archive: Path, tmp_path: Path
) -> None:
    every, same = map(species_in, sprites.split(archive, tmp_path / "every", 0))
    few, held_out = map(species_in, sprites.split(archive, tmp_path / "few", 10))
    assert held_out == same
    assert set(few) < set(every)


def test_a_difference_is_that_of_one_seed_and_better_is_less_of_kid_and_more_of_coverage(sprites: ModuleType) -> None:
    def line(at: str, kid: float, coverage: float) -> dict[str, Any]:
        return {"at": at, "kid": kid, "coverage": coverage, "precision": 0.5, "copied": 0.0, "planted": 0.1}

    floor = {"kid": 0.1, "coverage": 0.9, "precision": 0.9}
    races = [
        {"floor": floor, "told": [line("ours", 1.0, 0.6), line("images", 2.0, 0.5), line("time", 0.5, 0.7)]},
        {"floor": floor, "told": [line("ours", 2.0, 0.8), line("images", 3.0, 0.7), line("time", 4.0, 0.9)]},
    ]
    kid, coverage, *_ = ([cell.strip() for cell in row.split("|")[1:-1]] for row in sprites.rows(races))
    assert kid[0] == "kid"
    assert kid[3] == "-1.00 ± 0.00, better in 2 of 2"
    assert kid[5].endswith(", better in 1 of 2")
    assert coverage[3] == "0.100 ± 0.000, better in 2 of 2"
    assert coverage[5].endswith(", better in 0 of 2")
    assert coverage[6] == "0.900"
