"""A checkpoint comes back bit for bit, or not at all."""

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from conftest import TINY
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from gan_cli import checkpoint
from gan_cli.build import build
from gan_cli.checkpoint import Checkpoint, network_state, optimizer_state
from gan_cli.errors import Refused
from gan_cli.run import Run
from gan_cli.run_directory import RunDirectory
from gan_cli.schema import Config

CONFIG = {"a": {"x": 0.1, "y": None, "z": [1, 2.5e-300, True]}, "größe": "✓ \x1b ${not resolved}", "big": 2**60}
FACTS = {"sample_shape": [2], "wall_s": 1.5}
TENSORS = {
    "network/g/float32": torch.tensor([[0.0, -0.0, 1e-45], [math.inf, math.nan, -1 / 3]]),
    "network/g/bfloat16": torch.tensor([1 / 3, -0.0, math.inf]).bfloat16(),
    "network/g/batches": torch.tensor(2**62 + 1),
    "network/g/int64": torch.tensor([-(2**63), 2**63 - 1]),
    "optimizer/G/0/step": torch.tensor(7.0),
    "meter/scalar-bfloat16": torch.tensor(0.1).bfloat16(),
    "network/g/empty": torch.empty(0),
    "network/g/empty-rows": torch.empty(0, 3, dtype=torch.int64),
}
STATE = Checkpoint(12, CONFIG, FACTS, TENSORS)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "c.safetensors"


@pytest.fixture
def run(compose: Callable[..., Config], tmp_path: Path) -> Run:
    """Two steps into a run with a momentum worth keeping."""
    run = build(compose(*TINY), RunDirectory(tmp_path))
    run.advance()
    run.advance()
    return run


def bits(tensor: Tensor) -> tuple[torch.dtype, torch.Size, bytes]:
    return tensor.dtype, tensor.shape, bytes(tensor.contiguous().reshape(-1).view(torch.uint8).tolist())


def assert_same_bits(one: dict[str, Tensor], other: dict[str, Tensor]) -> None:
    assert one.keys() == other.keys()
    for name, tensor in one.items():
        assert bits(tensor) == bits(other[name]), name


def rewritten(path: Path, tensors: dict[str, Tensor] | None = None, **header: str) -> None:
    """The file with other tensors or header fields under the digest that it had."""
    with safe_open(path, framework="pt") as file:
        before = file.metadata()
    save_file(load_file(path) if tensors is None else tensors, path, before | header)


def signed(path: Path, **header: str) -> None:
    """A file with any header at all, whose digest is right."""
    full = {"format": "1", "step": "3", "config": "{}", "facts": "{}"} | header
    tensors = {"network/g/w": torch.ones(2)}
    save_file(tensors, path, full | {"digest": checkpoint._digest(full, tensors)})


# Round trip


def test_every_type_of_tensor_comes_back_bit_for_bit(path: Path) -> None:
    checkpoint.save(path, STATE)
    loaded = checkpoint.load(path)
    assert_same_bits(loaded.tensors, TENSORS)
    assert (loaded.step, loaded.config, loaded.facts) == (12, CONFIG, FACTS)


def test_state_of_a_real_run_comes_back_bit_for_bit(run: Run, path: Path) -> None:
    state = run.state()
    checkpoint.save(path, state)
    loaded = checkpoint.load(path)
    assert_same_bits(loaded.tensors, state.tensors)
    assert (loaded.step, loaded.config, loaded.facts) == (2, state.config, state.facts)


def test_views_are_stored_by_their_values(path: Path) -> None:
    base = torch.arange(12.0).reshape(3, 4)
    views = {"transposed": base.T, "column": base[:, 1], "expanded": base[:1, :1].expand(2, 2), "other": base[1:]}
    checkpoint.save(path, replace(STATE, tensors=views))
    assert_same_bits(checkpoint.load(path).tensors, views)


def test_weights_that_two_layers_share_are_stored_under_both_names(path: Path) -> None:
    layer = nn.Linear(3, 3)
    tied = network_state("g", nn.Sequential(layer, layer))
    checkpoint.save(path, replace(STATE, tensors=tied))
    assert_same_bits(checkpoint.load(path).tensors, tied)


def test_gradients_are_not_stored(path: Path) -> None:
    checkpoint.save(path, replace(STATE, tensors={"w": nn.Parameter(torch.ones(2))}))
    assert not checkpoint.load(path).tensors["w"].requires_grad


def test_same_state_has_the_same_digest_in_whatever_order_it_comes(run: Run, path: Path) -> None:
    state, digests = run.state(), set()
    for stored in (state, replace(state, tensors=dict(reversed(state.tensors.items())))):
        checkpoint.save(path, stored)
        with safe_open(path, framework="pt") as file:
            digests.add(file.metadata()["digest"])
    assert len(digests) == 1


def test_saving_replaces_what_was_there_and_leaves_nothing_beside_it(path: Path) -> None:
    for step in (1, 2):
        checkpoint.save(path, replace(STATE, step=step))
    assert checkpoint.load(path).step == 2
    assert list(path.parent.iterdir()) == [path]


# What the file is


def test_file_is_readable_without_gan_cli_and_its_header_is_text(path: Path) -> None:
    checkpoint.save(path, STATE)
    with safe_open(path, framework="pt") as file:
        header = file.metadata()
        assert set(file.keys()) == set(TENSORS)
        assert bits(file.get_tensor("network/g/float32")) == bits(TENSORS["network/g/float32"])
    assert set(header) == {"format", "step", "config", "facts", "digest"}
    assert (header["format"], header["step"]) == ("1", "12")
    assert json.loads(header["config"]) == CONFIG
    assert json.loads(header["facts"]) == FACTS
    assert len(bytes.fromhex(header["digest"])) == 32


def test_names_say_what_a_tensor_is(run: Run) -> None:
    names = set(run.state().tensors)
    assert {"network/generator/layers.0.weight", "optimizer/G/0/exp_avg", "meter/count", "meter/sum/loss/D"} <= names
    assert {name.split("/")[0] for name in names} == {"network", "optimizer", "meter"}
    assert not [name for name in names if "lr" in name.split("/")[-1]]


def test_part_is_what_lies_below_a_prefix_and_not_beside_it() -> None:
    one, other = torch.zeros(1), torch.ones(1)
    state = replace(STATE, tensors={"network/g/w": one, "network/g2/w": other})
    assert state.part("network/g") == {"w": one}
    assert state.part("network") == {"g/w": one, "g2/w": other}
    assert state.part("nothing") == {}


# Damage


@pytest.mark.parametrize("field", ["step", "config", "facts", "format", "digest"])
def test_any_changed_header_field_is_found(field: str, path: Path) -> None:
    checkpoint.save(path, STATE)
    with safe_open(path, framework="pt") as file:
        before = file.metadata()[field]
    changed = {"step": "13", "format": "0", "digest": "0" * 64}.get(field, before.replace("2", "3"))
    assert changed != before
    rewritten(path, **{field: changed})
    with pytest.raises(Refused, match=f"(?s){path.name}.*damaged.*digest"):
        checkpoint.load(path)


def test_added_header_field_is_found(path: Path) -> None:
    checkpoint.save(path, STATE)
    rewritten(path, note="nothing of ours")
    with pytest.raises(Refused, match="damaged"):
        checkpoint.load(path)


@pytest.mark.parametrize("field", ["format", "step", "config", "facts", "digest"])
def test_missing_header_field_makes_it_a_foreign_file(field: str, path: Path) -> None:
    checkpoint.save(path, STATE)
    with safe_open(path, framework="pt") as file:
        header = {key: value for key, value in file.metadata().items() if key != field}
    save_file(load_file(path), path, header)
    with pytest.raises(Refused, match="not a checkpoint of gan-cli"):
        checkpoint.load(path)


@pytest.mark.parametrize("name", [name for name, tensor in TENSORS.items() if tensor.numel()])
def test_one_changed_bit_of_any_tensor_is_found(name: str, path: Path) -> None:
    checkpoint.save(path, STATE)
    changed = TENSORS[name].clone()
    changed.reshape(-1).view(torch.uint8)[-1] ^= 1
    rewritten(path, TENSORS | {name: changed})
    with pytest.raises(Refused, match="damaged"):
        checkpoint.load(path)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("network/g/float32", lambda tensor: tensor.T),
        ("network/g/float32", lambda tensor: tensor.reshape(3, 2)),
        ("network/g/float32", lambda tensor: tensor.view(torch.int32)),
        ("network/g/batches", lambda tensor: tensor.reshape(1)),
        ("network/g/empty", lambda tensor: tensor.reshape(0, 1)),
        ("network/g/empty", lambda tensor: tensor.int()),
    ],
)
def test_other_shape_or_type_of_the_same_bytes_is_found(
    name: str, change: Callable[[Tensor], Tensor], path: Path
) -> None:
    checkpoint.save(path, STATE)
    rewritten(path, TENSORS | {name: change(TENSORS[name]).contiguous()})
    with pytest.raises(Refused, match="damaged"):
        checkpoint.load(path)


@pytest.mark.parametrize("what", ["missing", "added", "renamed", "swapped"])
def test_other_set_of_tensors_is_found(what: str, path: Path) -> None:
    checkpoint.save(path, STATE)
    tensors = dict(TENSORS)
    if what == "added":
        tensors["network/g/new"] = torch.empty(0)
    elif what == "swapped":
        tensors |= {"network/g/empty": TENSORS["network/g/int64"], "network/g/int64": TENSORS["network/g/empty"]}
    else:
        taken = tensors.pop("network/g/int64")
        tensors |= {"network/g/int63": taken} if what == "renamed" else {}
    rewritten(path, tensors)
    with pytest.raises(Refused, match="damaged"):
        checkpoint.load(path)


# Files that are not ours, or not of this version


def test_newer_format_asks_for_an_upgrade_whatever_else_it_holds(path: Path) -> None:
    checkpoint.save(path, STATE)
    rewritten(path, format="2")
    with pytest.raises(Refused, match=rf"{path.name}.*format 2.*reads 1: upgrade"):
        checkpoint.load(path)


@pytest.mark.parametrize("header", [None, {}, {"format": "pt"}, {"format": "1", "step": "1"}], ids=repr)
def test_safetensors_file_of_another_program_is_refused_as_such(header: dict[str, str] | None, path: Path) -> None:
    save_file({"weight": torch.ones(2)}, path, header)
    with pytest.raises(Refused, match=rf"{path.name} is a safetensors file, but not a checkpoint of gan-cli"):
        checkpoint.load(path)


@pytest.mark.parametrize("version", ["", "x", "-1", "1.0", "²", "9" * 5000], ids=lambda version: version[:9] or "empty")
def test_format_that_is_no_number_is_refused(version: str, path: Path) -> None:
    signed(path, format=version)
    with pytest.raises(Refused, match=r"not a checkpoint of gan-cli|upgrade"):
        checkpoint.load(path)


@pytest.mark.parametrize("step", ["", "x", "-1", "1.5", "1_0", "9" * 5000], ids=lambda step: step[:9] or "empty")
def test_step_that_is_no_count_is_refused(step: str, path: Path) -> None:
    signed(path, step=step)
    with pytest.raises(Refused, match="not a checkpoint of gan-cli"):
        checkpoint.load(path)


@pytest.mark.parametrize("field", ["config", "facts"])
@pytest.mark.parametrize("text", ["", "{", "[]", "null", '"x"', "1", "{'a': 1}", '{"a": 1} x', '{"a": "' + "x" * 2**20])
def test_header_that_holds_no_mapping_is_refused(field: str, text: str, path: Path) -> None:
    signed(path, **{field: text})
    with pytest.raises(Refused, match="not a checkpoint of gan-cli"):
        checkpoint.load(path)


@pytest.mark.parametrize("content", [b"", b"x", b"\0" * 8, b"{}" * 100, bytes(range(256))], ids=repr)
def test_any_other_file_is_refused_by_name(content: bytes, path: Path) -> None:
    path.write_bytes(content)
    with pytest.raises(Refused, match=f"{path.name} is damaged, or not a safetensors file"):
        checkpoint.load(path)


@pytest.mark.parametrize("what", ["nothing", "directory"])
def test_path_without_a_file_is_refused_by_name(what: str, path: Path) -> None:
    if what == "directory":
        path.mkdir()
    with pytest.raises(Refused, match=f"there is no checkpoint .*{path.name}"):
        checkpoint.load(path)


def test_path_means_itself_or_the_last_checkpoint_of_a_run(tmp_path: Path) -> None:
    last = tmp_path / "checkpoints" / "last.safetensors"
    with pytest.raises(Refused, match=r"holds no checkpoint: there is no .*last\.safetensors"):
        checkpoint.resolve(tmp_path)
    last.parent.mkdir()
    with pytest.raises(Refused, match="holds no checkpoint"):
        checkpoint.resolve(tmp_path)
    last.touch()
    assert checkpoint.resolve(tmp_path) == last
    assert checkpoint.resolve(last) == last
    assert checkpoint.resolve(tmp_path / "missing") == tmp_path / "missing"  # `load` says that it is


# Networks


def make_network(width: int = 3) -> nn.Module:
    return nn.Sequential(nn.Linear(2, width), nn.BatchNorm1d(width))


def of_network(network: nn.Module) -> Checkpoint:
    return replace(STATE, tensors=network_state("g", network))


def test_network_takes_up_parameters_and_buffers() -> None:
    stored, fresh = make_network(), make_network()
    stored(torch.randn(4, 2))  # BatchNorm's buffers move
    of_network(stored).load_network("g", fresh)
    assert_same_bits(dict(fresh.state_dict()), dict(stored.state_dict()))


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (
            lambda tensors: tensors | {"network/g/0.weight": torch.zeros(4, 2)},
            r"0\.weight \(stored .*\(4, 2\), wanted .*\(3, 2\)",
        ),
        (lambda tensors: tensors | {"network/g/0.weight": torch.zeros(2, 3)}, r"0\.weight"),
        (lambda tensors: tensors | {"network/g/7.bias": torch.zeros(3)}, r"7\.bias \(stored .*\(3,\), wanted"),
        (lambda tensors: {k: v for k, v in tensors.items() if "running_var" not in k}, r"1\.running_var \(stored"),
        (lambda tensors: {}, r"7 of its parameters differ"),
    ],
    ids=["shape", "transposed", "added", "missing", "none"],
)
def test_other_network_is_refused_with_the_name_of_a_parameter_and_left_alone(
    change: Callable[[dict[str, Tensor]], dict[str, Tensor]], named: str
) -> None:
    network = make_network()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    stored = of_network(make_network())
    with pytest.raises(Refused, match=f"checkpoint's g does not fit.*{named}"):
        replace(stored, tensors=change(stored.tensors)).load_network("g", network)
    assert_same_bits(dict(network.state_dict()), before)


@pytest.mark.parametrize("dtype", [torch.float64, torch.int32, torch.complex64, torch.bool], ids=str)
def test_weights_of_another_type_are_refused_and_not_rounded(dtype: torch.dtype) -> None:
    network = make_network()
    stored = of_network(network)
    changed = stored.tensors | {"network/g/0.weight": stored.tensors["network/g/0.weight"].to(dtype)}
    with pytest.raises(Refused, match=r"0\.weight"):
        replace(stored, tensors=changed).load_network("g", network)


def test_network_can_be_checked_before_it_takes_memory() -> None:
    with torch.device("meta"):
        fitting, huge = make_network(), make_network(2**40)
    stored = of_network(make_network())
    stored.check_network("g", fitting)
    with pytest.raises(Refused, match="does not fit"):
        stored.check_network("g", huge)


# Optimizers


def optimizer_of(network: nn.Module, lr: float = 0.1) -> torch.optim.Adam:
    optimizer = torch.optim.Adam(network.parameters(), lr=lr)
    network(torch.randn(4, 2)).square().mean().backward()
    optimizer.step()
    return optimizer


@pytest.fixture
def stored_optimizer() -> Checkpoint:
    return replace(STATE, tensors=optimizer_state("G", optimizer_of(make_network())))


def test_optimizer_takes_up_its_state_and_nothing_else(stored_optimizer: Checkpoint) -> None:
    network = make_network()
    fresh = torch.optim.Adam(network.parameters(), lr=0.5, betas=(0.1, 0.2), eps=1e-3, weight_decay=0.25)
    stored_optimizer.load_optimizer("G", fresh)
    assert_same_bits(optimizer_state("G", fresh), stored_optimizer.tensors)
    (group,) = fresh.param_groups
    assert (group["lr"], group["betas"], group["eps"], group["weight_decay"]) == (0.5, (0.1, 0.2), 1e-3, 0.25)
    assert [id(parameter) for parameter in group["params"]] == [id(parameter) for parameter in network.parameters()]


def test_optimizer_that_has_not_stepped_has_no_state() -> None:
    network = make_network()
    fresh = torch.optim.Adam(network.parameters())
    state = replace(STATE, step=0, tensors=optimizer_state("G", fresh))
    assert state.tensors == {}
    state.load_optimizer("G", fresh)
    assert optimizer_state("G", fresh) == {}


def without(part: str) -> Callable[[dict[str, Tensor]], dict[str, Tensor]]:
    return lambda tensors: {name: tensor for name, tensor in tensors.items() if part not in name}


def renamed(before: str, after: str) -> Callable[[dict[str, Tensor]], dict[str, Tensor]]:
    return lambda tensors: {name.replace(before, after): tensor for name, tensor in tensors.items()}


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda tensors: tensors | {"optimizer/G/0/exp_avg": torch.zeros(4, 2)}, id="shape"),
        pytest.param(lambda tensors: tensors | {"optimizer/G/0/exp_avg": torch.zeros(2, 3)}, id="transposed"),
        pytest.param(lambda tensors: tensors | {"optimizer/G/0/exp_avg": torch.zeros(())}, id="scalar"),
        pytest.param(lambda tensors: tensors | {"optimizer/G/4/exp_avg": torch.zeros(3)}, id="too-many"),
        pytest.param(renamed("G/0/", "G/x/"), id="no-number"),
        pytest.param(renamed("G/3/", "G/-1/"), id="negative"),
        pytest.param(renamed("G/3/", "G//"), id="no-index"),
        pytest.param(without("G/3/"), id="one-parameter-less"),
        pytest.param(without("exp_avg_sq"), id="one-key-less"),
        pytest.param(renamed("exp_avg_sq", "momentum"), id="another-optimizer"),
    ],
)
def test_state_of_another_optimizer_is_refused(
    change: Callable[[dict[str, Tensor]], dict[str, Tensor]], stored_optimizer: Checkpoint
) -> None:
    changed = replace(stored_optimizer, tensors=change(stored_optimizer.tensors))
    fresh = torch.optim.Adam(make_network().parameters())
    with pytest.raises(Refused, match="optimizer state"):
        changed.load_optimizer("G", fresh)
    assert optimizer_state("G", fresh) == {}


def test_optimizer_of_another_network_is_refused(stored_optimizer: Checkpoint) -> None:
    with pytest.raises(Refused, match=r"optimizer state.* of G does not fit"):
        stored_optimizer.load_optimizer("G", torch.optim.Adam(make_network(5).parameters()))


def test_optimizer_state_comes_back_in_the_memory_order_of_its_parameter(path: Path) -> None:
    # Fused optimizers walk through parameter and state as they lie in memory.
    def network() -> nn.Module:
        return nn.Conv2d(3, 4, 5).to(memory_format=torch.channels_last)

    def step(layer: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        optimizer.zero_grad()
        layer(torch.arange(300.0).reshape(1, 3, 10, 10)).square().mean().backward()
        optimizer.step()

    layer = network()
    optimizer = torch.optim.Adam(layer.parameters(), fused=True)
    step(layer, optimizer)
    tensors = network_state("G", layer) | optimizer_state("G", optimizer)
    checkpoint.save(path, Checkpoint(1, {}, {}, {name: tensor.clone() for name, tensor in tensors.items()}))
    stored, other = checkpoint.load(path), network()
    resumed = torch.optim.Adam(other.parameters(), fused=True)
    stored.load_network("G", other)
    stored.load_optimizer("G", resumed)
    for parameter in other.parameters():
        assert resumed.state[parameter]["exp_avg"].stride() == parameter.stride()
    step(layer, optimizer)
    step(other, resumed)
    assert_same_bits(network_state("G", layer), network_state("G", other))
