"""The cache gives what was computed from the same content, and never anything else, whatever happened to its files."""

import json
import logging
import os
import shutil
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from gan_cli.evaluation.cache import cached

KEY = {"what": "test", "version": 1, "data": "abc"}


def made() -> dict[str, Tensor]:
    return {
        "features": torch.arange(60, dtype=torch.float32).reshape(20, 3),
        "mean": torch.tensor([0.1, -0.0, 2.0**-1074], dtype=torch.float64),
        "kept": torch.tensor([True, False, True]),
        "scalar": torch.tensor(3),
    }


def never() -> dict[str, Tensor]:
    raise AssertionError("made again")


def same(found: dict[str, Tensor], expected: dict[str, Tensor]) -> bool:
    return found.keys() == expected.keys() and all(
        found[name].dtype == expected[name].dtype and torch.equal(found[name], expected[name]) for name in expected
    )


def only_file(directory: Path) -> Path:
    (path,) = directory.iterdir()  # no temporary is left beside it
    return path


def test_second_call_finds_what_the_first_has_made_in_one_file(tmp_path: Path) -> None:
    assert same(cached(tmp_path / "a" / "b", KEY, made), made())  # whose directory did not exist
    assert same(cached(tmp_path / "a" / "b", dict(reversed(KEY.items())), never), made())
    assert only_file(tmp_path / "a" / "b").suffix == ".safetensors"


def test_moved_directory_is_as_good(tmp_path: Path) -> None:
    cached(tmp_path / "a", KEY, made)
    shutil.move(tmp_path / "a", tmp_path / "elsewhere")
    assert same(cached(tmp_path / "elsewhere", KEY, never), made())


@pytest.mark.parametrize(
    "other",
    [KEY | {"version": 2}, KEY | {"data": "abd"}, KEY | {"what": "tests"}, KEY | {"more": 0}, {"what": "test"}, {}],
)
def test_any_other_key_is_another_file(tmp_path: Path, other: dict[str, str | int]) -> None:
    cached(tmp_path, KEY, made)
    assert same(cached(tmp_path, other, lambda: {"x": torch.ones(1)}), {"x": torch.ones(1)})
    assert same(cached(tmp_path, KEY, never), made())
    assert len(list(tmp_path.iterdir())) == 2


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def no_safetensors(path: Path) -> None:
    path.write_bytes(b"\x80\x04\x95 something else" * 20)


def huge_header(path: Path) -> None:
    path.write_bytes(b"\xff" * 8 + path.read_bytes()[8:])


def last_byte_flipped(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def foreign_key(path: Path) -> None:
    with safe_open(path, framework="pt") as file:
        header = file.metadata()
    save_file(made(), path, {**header, "key": json.dumps(KEY | {"data": "xyz"}, sort_keys=True)})


def without_header(path: Path) -> None:
    save_file(made(), path)


def tensor_missing(path: Path) -> None:
    with safe_open(path, framework="pt") as file:
        header = file.metadata()
    save_file({name: tensor for name, tensor in made().items() if name != "mean"}, path, header)


DAMAGES = (
    truncated,
    emptied,
    no_safetensors,
    huge_header,
    last_byte_flipped,
    foreign_key,
    without_header,
    tensor_missing,
)


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_file_is_made_anew_with_a_warning(tmp_path: Path, caplog, damage) -> None:
    cached(tmp_path, KEY, made)
    path = only_file(tmp_path)
    whole = path.read_bytes()
    damage(path)
    assert path.read_bytes() != whole
    with caplog.at_level(logging.WARNING):
        assert same(cached(tmp_path, KEY, made), made())
    assert f"{path} is damaged" in caplog.text
    caplog.clear()
    assert same(cached(tmp_path, KEY, never), made())
    assert not caplog.records
    assert only_file(tmp_path) == path


def test_no_flipped_bit_of_the_tensors_goes_unnoticed(tmp_path: Path) -> None:
    cached(tmp_path, KEY, made)
    path = only_file(tmp_path)
    whole = path.read_bytes()
    start = 8 + int.from_bytes(whole[:8], "little")
    for place in range(start, len(whole), 7):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :])
        assert same(cached(tmp_path, KEY, made), made())
        assert same(cached(tmp_path, KEY, never), made())


def test_warns_and_works_where_the_directory_cannot_be_made(tmp_path: Path, caplog) -> None:
    (tmp_path / "file").write_text("")
    for _ in range(2):
        assert same(cached(tmp_path / "file" / "cache", KEY, made), made())
    assert caplog.text.count("cannot keep reference statistics") == 2


def refusing(*_, **__) -> None:
    raise PermissionError(13, "Permission denied")


@pytest.mark.parametrize("call", ["stat", "mkdir", "replace"])
def test_warns_and_works_where_the_system_refuses(tmp_path: Path, caplog, monkeypatch, call: str) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(os, call, refusing)
        found = cached(tmp_path / "cache", KEY, made)
    assert same(found, made())
    left = list((tmp_path / "cache").iterdir()) if (tmp_path / "cache").exists() else []
    assert "cannot keep" in caplog.text or call == "stat"
    assert not [path for path in left if path.suffix != ".safetensors"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
@pytest.mark.parametrize("mode", [0o500, 0o400, 0])
def test_warns_and_works_in_a_directory_without_rights(tmp_path: Path, caplog, mode: int) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=mode)
    assert same(cached(closed / "cache", KEY, made), made())
    assert "Permission denied" in caplog.text


def test_failure_while_making_leaves_nothing(tmp_path: Path) -> None:
    def failing() -> dict[str, Tensor]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cached(tmp_path, KEY, failing)
    assert not list(tmp_path.iterdir())


def test_views_and_gradients_are_stored_by_value(tmp_path: Path) -> None:
    base = torch.arange(12.0).reshape(3, 4)

    def views() -> dict[str, Tensor]:
        return {"t": base.T, "row": base[1], "grad": base.clone().requires_grad_()}

    expected = {"t": base.T, "row": base[1], "grad": base}
    assert same(cached(tmp_path, KEY, views), expected)
    assert same(cached(tmp_path, KEY, never), expected)
