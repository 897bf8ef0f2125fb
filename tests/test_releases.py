"""A checkpoint of any release is readable, and draws the same, ever after."""

import json
from pathlib import Path

import pytest
import torch
from make_release_files import drawn

FILES = sorted(Path(__file__).with_name("releases").glob("*.safetensors"))


def test_there_are_files_of_every_kind() -> None:
    assert {path.stem.split("_")[1] for path in FILES} >= {"mlp", "dcgan", "dcgan64"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_checkpoint_of_a_release_draws_what_it_drew_then(path: Path) -> None:
    then = torch.tensor(json.loads(path.with_suffix(".json").read_text()))
    assert len(then) >= 2
    torch.testing.assert_close(torch.tensor(drawn(path)), then, rtol=1e-4, atol=1e-5)
    assert path.stat().st_size < 200_000
