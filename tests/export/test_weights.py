import errno
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from exporting import exported
from safetensors import safe_open

from gan_cli.errors import RunFailed
from gan_cli.export import weights
from gan_cli.schema import Config

DIGITS = (1, 8, 8)
SMALL = (
    "model=dcgan",
    "model.resolution=8",
    "model.generator.widths=[6,4]",
    "model.generator.hidden=8",
    "latent.dim=5",
)


def test_file_holds_the_state_dict_bit_for_bit_and_says_what_it_is(
    compose: Callable[..., Config], tmp_path: Path
) -> None:
    one = exported(compose(*SMALL, "model.conditional=projection"), DIGITS, ("a", "b", "c"))
    said = weights.save(one, tmp_path / "g.safetensors")
    state = one.generator.state_dict()
    assert said.startswith(f"{len(state)} tensors")
    with safe_open(tmp_path / "g.safetensors", framework="pt") as file:
        names, facts = set(file.keys()), file.metadata()
        assert names == state.keys()
        for name, tensor in state.items():
            found = file.get_tensor(name)
            assert found.dtype == tensor.dtype
            assert torch.equal(found, tensor)
    assert facts["class"] == "gan_cli.models.dcgan.DCGANGenerator"
    arguments = json.loads(facts["arguments"])
    assert arguments["conditional"] == "projection"
    assert (arguments["num_classes"], arguments["latent_dim"], arguments["sample_shape"]) == (3, 5, [1, 8, 8])
    known = {
        name: json.loads(facts[name]) for name in ("format", "latent_dim", "sample_shape", "value_range", "classes")
    }
    expected = {"format": 1, "latent_dim": 5, "sample_shape": [1, 8, 8], "value_range": [-1, 1]}
    assert known == expected | {"classes": ["a", "b", "c"]}
    assert (facts["latent_distribution"], facts["step"], facts["seed"]) == ("normal", "3", "1")
    assert (facts["weights"], facts["source_sha256"]) == ("raw", "0" * 64)
    assert not weights.is_checkpoint(tmp_path / "g.safetensors")


def test_class_and_arguments_of_the_header_make_the_network(compose: Callable[..., Config], tmp_path: Path) -> None:
    from gan_cli.models.dcgan import DCGANGenerator

    one = exported(compose(*SMALL), DIGITS)
    weights.save(one, tmp_path / "g.safetensors")
    with safe_open(tmp_path / "g.safetensors", framework="pt") as file:
        made = DCGANGenerator(**json.loads(file.metadata()["arguments"])).eval()
        made.load_state_dict({name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118
    inputs = one.inputs(4)
    assert torch.equal(made(*inputs), one.outputs(inputs))


def test_tied_weights_and_other_memory_orders_are_stored_by_their_values(
    compose: Callable[..., Config], tmp_path: Path
) -> None:
    one = exported(compose(*SMALL), DIGITS)
    one.generator.to(memory_format=torch.channels_last)
    one.generator.again = one.generator.layers  # type: ignore[assignment]
    weights.save(one, tmp_path / "g.safetensors")
    with safe_open(tmp_path / "g.safetensors", framework="pt") as file:
        for name, tensor in one.generator.state_dict().items():
            assert torch.equal(file.get_tensor(name), tensor)


@pytest.mark.parametrize("error", [errno.ENOSPC, None])
def test_the_file_before_stays_where_the_new_one_cannot_be_written_or_is_not_what_was_written(
    error: int | None, compose: Callable[..., Config], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "g.safetensors").write_bytes(b"before")

    def fails(*_: object) -> bool:
        if error:
            raise OSError(error, "No space left on device")
        return False

    monkeypatch.setattr(torch, "equal", fails)
    with pytest.raises(OSError if error else RunFailed):
        weights.save(exported(compose(*SMALL), DIGITS), tmp_path / "g.safetensors")
    assert [path.name for path in tmp_path.iterdir()] == ["g.safetensors"]
    assert (tmp_path / "g.safetensors").read_bytes() == b"before"
