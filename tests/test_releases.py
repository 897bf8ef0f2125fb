"""A checkpoint of any release is readable, and draws the same, ever after."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from conftest import Result
from make_release_files import drawn

from gan_cli import checkpoint

FILES = sorted(Path(__file__).with_name("releases").glob("*.safetensors"))


def test_there_are_files_of_every_kind() -> None:
    assert {path.stem.split("_")[1] for path in FILES} >= {"mlp", "dcgan", "dcgan64"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_checkpoint_of_a_release_draws_what_it_drew_then(path: Path) -> None:
    then = torch.tensor(json.loads(path.with_suffix(".json").read_text()))
    assert len(then) >= 2
    torch.testing.assert_close(torch.tensor(drawn(path)), then, rtol=1e-4, atol=1e-5)
    assert path.stat().st_size < 200_000


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_run_of_a_release_goes_on_although_keys_have_come_since(
    path: Path, cli: Callable[..., Result], tmp_path: Path
) -> None:
    last = tmp_path / "run/checkpoints/last.safetensors"
    last.parent.mkdir(parents=True)
    last.write_bytes(path.read_bytes())
    then = checkpoint.load(path)
    assert "penalty" not in then.config  # a key of today
    # Points of a Gaussian differ in their last bits between processors, and so does their digest.
    result = cli("resume=run", "allow_changes=[data]", f"train.steps={then.step + 2}")
    assert result.code == 0, result.err
    now = checkpoint.load(last)
    assert now.step == then.step + 2
    assert now.config["penalty"]["_target_"] == "gan_cli.penalties.none.NoPenalty"
    refused = cli("resume=run", "penalty=r1", f"train.steps={then.step + 4}")
    assert (refused.code, "this would change what the run is" in refused.err) == (2, True), refused.err
