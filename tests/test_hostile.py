"""A checkpoint or run directory from a stranger runs nothing, reads nothing that it should not, and is refused plainly.

Every payload here would make the file SENTINEL if it ran.
"""

import ast
import copy
import json
import pickle
import random
import re
import resource
import shutil
import signal
import struct
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from conftest import TINY, Result
from safetensors.torch import save_file
from torch.optim.optimizer import _global_optimizer_post_hooks

import gan_cli
from gan_cli import checkpoint
from gan_cli.build import build
from gan_cli.checkpoint import Checkpoint, network_state
from gan_cli.commands.resumed import original_overrides
from gan_cli.commands.sample import sample
from gan_cli.commands.train import train
from gan_cli.errors import Refused
from gan_cli.images import png
from gan_cli.models.mlp import MLPGenerator
from gan_cli.networks import restore_generator
from gan_cli.run_directory import RunDirectory
from gan_cli.schema import Config

Cli = Callable[..., Result]
Change = Callable[[Checkpoint], Checkpoint | None]

SENTINEL = "sentinel"
LAST = "run/checkpoints/last.safetensors"
QUIET = ("train.steps=1", "train.sample_every=0", "train.log_every=0", "train.checkpoint_every=0")
IMPORTED = f"from pathlib import Path\nPath({SENTINEL!r}).touch()\n\n\ndef Anything(*_, **__):\n    return None\n"


def slow(*values: Any) -> Any:
    """A case for the long form of a test."""
    return pytest.param(*values, marks=pytest.mark.slow)


class Payload:
    """Runs when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (Path(SENTINEL),))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of an honest run."""
    run = tmp_path_factory.mktemp("trained") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["gan-train", *TINY, "train.sample_every=0", f"hydra.run.dir={run}"])
        patch.setattr("rich._console", None)
        with pytest.raises(SystemExit) as exited:
            train()
    assert not exited.value.code
    return run


@pytest.fixture(scope="module")
def honest(trained: Path) -> Checkpoint:
    return checkpoint.load(trained / "checkpoints" / "last.safetensors")


@pytest.fixture
def run(trained: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of the run's directory in the current one; what a payload does to this process is undone."""
    shutil.copytree(trained, "run")
    Path(LAST).unlink()  # a second name for a numbered checkpoint
    monkeypatch.setattr("sys.path", list(sys.path))
    monkeypatch.delitem(sys.modules, "evil", raising=False)
    yield Path("run")
    _global_optimizer_post_hooks.clear()


def forged(honest: Checkpoint, change: Change) -> Checkpoint:
    """The honest checkpoint, changed, with a digest that is right."""
    mine = Checkpoint(honest.step, copy.deepcopy(honest.config), copy.deepcopy(honest.facts), dict(honest.tensors))
    return change(mine) or mine


def place(honest: Checkpoint, change: Change) -> None:
    checkpoint.save(Path(LAST), forged(honest, change))


def sampled(cli: Cli) -> Result:
    return cli(f"checkpoint={LAST}", "out=o", "num_images=4", command=sample)


def resumed(cli: Cli) -> Result:
    return cli(f"resume={LAST}", "train.steps=14")


def begun_from(cli: Cli) -> Result:
    return cli(*TINY, *QUIET, f"init_from={LAST}")


def assert_plain(result: Result, *codes: int) -> None:
    """It ended as it should, in few words, and ran nothing."""
    assert not Path(SENTINEL).exists(), "the payload has run"
    assert "Traceback" not in result.err
    assert result.code in codes, result.err
    assert len(result.err.splitlines()) <= 12
    if result.code:
        assert result.err.strip()


# Targets

# What a `_target_` that ran would need to make the sentinel.
TARGETS: dict[str, dict[str, Any]] = {
    "os.system": {"command": f"touch {SENTINEL}"},
    "posix.system": {"command": f"touch {SENTINEL}"},
    "subprocess.run": {"args": ["touch", SENTINEL]},
    "subprocess.check_call": {"args": ["touch", SENTINEL]},
    "subprocess.Popen": {"args": ["touch", SENTINEL]},
    "builtins.eval": {"source": f"open({SENTINEL!r}, 'w')"},
    "builtins.exec": {"source": f"open({SENTINEL!r}, 'w')"},
    "builtins.open": {"file": SENTINEL, "mode": "w"},
    "os.makedirs": {"name": SENTINEL},
    "distutils.spawn.spawn": {"cmd": ["touch", SENTINEL]},
    "torch.load": {"f": "evil.pickle", "weights_only": False},
    "torch.hub.load": {"repo_or_dir": ".", "model": "anything", "source": "local"},
    "torch.optim.optimizer.torch.load": {"f": "evil.pickle", "weights_only": False},
    "torch.optim.optimizer.torch.hub.load": {"repo_or_dir": ".", "model": "anything", "source": "local"},
    "torch.optim.optimizer.register_optimizer_step_post_hook": {"hook": "not callable"},
    "gan_cli.targets.importlib.import_module": {"name": "evil"},
    "gan_cli.checkpoint.Path": {},
    "gan_cli.files.os.system": {"command": f"touch {SENTINEL}"},
    "gan_cli.files.write_json": {"path": SENTINEL, "content": 1},
    "pathlib.Path.write_text": {"self": SENTINEL, "data": "x"},
    "pathlib.Path": {},
    "shutil.copyfile": {"src": "evil.py", "dst": SENTINEL},
    "evil.Anything": {},
}
VARIATIONS = ("subprocess.check_call", "os.makedirs", "shutil.copyfile", "torch.optim.optimizer.torch.hub.load")
NO_NAMES = ("evil", "", ".", "gan_cli", "gan_cli.", "gan_cli..models.mlp.MLPGenerator", None, 1, ["os.system"])
PLACES = ("data", "loss", "optim", "generator", "discriminator")


def targeting(place: str, target: Any, options: dict[str, Any]) -> Change:
    def change(mine: Checkpoint) -> None:
        parent = mine.config["model"] if place in ("generator", "discriminator") else mine.config
        kept = {"data": ("kind", "limit", "shuffle", "drop_last", "suggested_epochs")}.get(place, ())
        kept = ("lr", "generator", "discriminator", "schedule") if place == "optim" else kept
        parent[place] = {key: parent[place][key] for key in kept} | {"_target_": target} | options

    return change


def targeting_everywhere(target: Any, options: dict[str, Any]) -> Change:
    def change(mine: Checkpoint) -> None:
        for name in PLACES:
            targeting(name, target, options)(mine)

    return change


@pytest.fixture
def bait(run: Path) -> None:
    """What the payloads refer to: a module, a hub repository and a pickle in the current directory."""
    for name in ("evil.py", "hubconf.py"):
        Path(name).write_text(IMPORTED)
    Path("evil.pickle").write_bytes(pickle.dumps(Payload()))


@pytest.mark.exhaustive(5)
@pytest.mark.usefixtures("bait")
@pytest.mark.parametrize("target", [slow(target) if target in VARIATIONS else target for target in TARGETS])
def test_no_target_of_a_stranger_is_called(target: str, honest: Checkpoint, cli: Cli) -> None:
    place(honest, targeting_everywhere(target, TARGETS[target]))
    assert_plain(resumed(cli), 2)
    with pytest.raises(Refused):
        restore_generator(checkpoint.load(Path(LAST)), [])
    assert not Path(SENTINEL).exists()


@pytest.mark.usefixtures("bait")
@pytest.mark.parametrize("target", ["os.system", "builtins.open", "torch.hub.load", *map(slow, TARGETS)])
def test_no_target_of_a_stranger_is_called_to_sample(target: str, honest: Checkpoint, cli: Cli) -> None:
    place(honest, targeting_everywhere(target, TARGETS[target]))
    assert_plain(sampled(cli), 2)
    assert not Path("o").exists()


@pytest.mark.exhaustive(2)
@pytest.mark.usefixtures("bait")
@pytest.mark.parametrize("where", PLACES)
@pytest.mark.parametrize("target", ["evil.Anything", slow("os.system"), slow("builtins.open")])
def test_targets_are_checked_wherever_they_stand(target: str, where: str, honest: Checkpoint, cli: Cli) -> None:
    place(honest, targeting(where, target, TARGETS[target]))
    assert_plain(resumed(cli), 2)
    if where in ("generator", "loss"):
        # Sampling needs the generator alone; a target elsewhere in the configuration is text that nobody acts on.
        assert_plain(sampled(cli), *((2,) if where == "generator" else (0, 2)))


@pytest.mark.usefixtures("run")
def test_functions_that_lie_among_the_optimizers_are_not_called(honest: Checkpoint, cli: Cli) -> None:
    target = "torch.optim.optimizer.register_optimizer_step_post_hook"  # takes what it is given, for all optimizers
    place(honest, targeting("loss", target, TARGETS[target]))
    assert_plain(resumed(cli), 2)
    assert not _global_optimizer_post_hooks


@pytest.mark.parametrize("target", [*NO_NAMES, {"_target_": "os.system", "command": f"touch {SENTINEL}"}], ids=repr)
def test_target_that_is_no_name_is_refused(target: Any, honest: Checkpoint) -> None:
    with pytest.raises(Refused):
        restore_generator(forged(honest, targeting("generator", target, {})), [])


@pytest.mark.usefixtures("bait")
@pytest.mark.parametrize("where", ["loss", "generator", slow("data"), slow("optim"), slow("discriminator")])
def test_target_among_the_options_is_text(where: str, honest: Checkpoint, cli: Cli) -> None:
    def change(mine: Checkpoint) -> None:
        node = mine.config["model"] if where in ("generator", "discriminator") else mine.config
        node[where]["more"] = {"_target_": "os.system", "_args_": [f"touch {SENTINEL}"], "_partial_": False}

    place(honest, change)
    assert_plain(sampled(cli), 2)
    assert_plain(resumed(cli), 2)


@pytest.mark.usefixtures("bait")
@pytest.mark.parametrize("target", ["os.system", "evil.Anything"])
def test_weights_are_taken_from_a_stranger_without_his_configuration(target: str, honest: Checkpoint, cli: Cli) -> None:
    place(honest, targeting_everywhere(target, TARGETS[target]))
    assert_plain(begun_from(cli), 0, 2)


@pytest.mark.usefixtures("bait")
def test_the_sentinel_appears_when_a_package_is_trusted(honest: Checkpoint, cli: Cli) -> None:
    # The control: without it the tests above could pass because their payload does not work.
    place(honest, targeting("generator", "evil.Anything", {}))
    assert_plain(cli(f"checkpoint={LAST}", "out=o", "trust=[evi]", command=sample), 2)
    result = cli(f"checkpoint={LAST}", "out=o", "trust=[evil]", command=sample)
    assert Path(SENTINEL).exists()
    assert result.code == 2
    assert "must be a torch.nn.Module" in result.err


@pytest.mark.usefixtures("run")
def test_trusting_a_package_does_not_trust_what_it_imports(honest: Checkpoint, cli: Cli) -> None:
    Path("evil.py").write_text("import os\nfrom subprocess import run\n")
    for target, options in (
        ("evil.os.system", {"command": f"touch {SENTINEL}"}),
        ("evil.run", {"args": ["touch", SENTINEL]}),
        ("evilish.Anything", {}),
    ):
        place(honest, targeting("loss", target, options))
        assert_plain(cli(f"resume={LAST}", "train.steps=14", "trust=[evil]"), 2)


# Interpolation


@pytest.mark.exhaustive(1)
@pytest.mark.usefixtures("run")
@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("train.minutes", "${oc.env:SECRET}"),  # a key that may change when a run is resumed
        ("data.data_seed", "${oc.env:SECRET}"),
        ("model.init_std", "${new_run_dir:made}"),
        slow("data.limit", "${seed}"),
        slow("data.root", "x${oc.env:SECRET,1}"),
    ],
)
def test_interpolation_in_a_checkpoint_is_not_obeyed(
    key: str, text: str, honest: Checkpoint, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET", "424242")
    group, name = key.split(".")

    def change(mine: Checkpoint) -> None:
        mine.config[group][name] = text

    place(honest, change)
    for result in (sampled(cli), resumed(cli)):
        assert_plain(result, 2)
        assert "424242" not in result.out + result.err
    assert not Path("made").exists()


# Shapes, sizes and depth


def configured(**changes: Any) -> Change:
    """Values put into the configuration, by keys joined with `__`."""

    def change(mine: Checkpoint) -> None:
        for key, value in changes.items():
            *parents, last = key.split("__")
            node = mine.config
            for parent in parents:
                node = node[parent]
            node[last] = value

    return change


def shaped(*shape: Any) -> Change:
    return lambda mine: replace(mine, facts=mine.facts | {"sample_shape": list(shape)})


def convolutional(**options: Any) -> Change:
    """A configuration, without the weights, of a network for images."""
    node = {"_target_": "gan_cli.models.dcgan.DCGANGenerator", "hidden": 8, "widths": [4, 4], "activation": "relu"}
    full = node | {"slope": 0.1, "dropout": 0.0} | options
    return lambda mine: shaped(1, 28, 28)(forged(mine, configured(model__generator=full)))


@contextmanager
def bounded_memory(megabytes: int) -> Iterator[None]:
    """Allocations beyond this fail; what was touched is compared with 300 MB at the end."""

    def read(key: str) -> int:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(key)) // 1024

    if not Path("/proc/self/status").exists():
        pytest.skip("needs /proc")
    before, limits = read("VmHWM"), resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, ((read("VmSize") + megabytes) * 2**20, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limits)
    assert read("VmHWM") - before < 300


HUGE: dict[str, Change] = {
    "vector of 2**31": shaped(2**31),
    "vector of 2**62": shaped(2**62),
    "vector of 10**30": shaped(10**30),
    "image of 2**31 cubed": shaped(2**31, 2**31, 2**31),
    "latents of 2**31": configured(latent__dim=2**31),
    "latents of 2**62": configured(latent__dim=2**62),
    "latents of 2**70": configured(latent__dim=2**70),
    "widths of 65,536": configured(model__generator__widths=[65_536] * 32),
    "both widths of 65,536": configured(
        model__generator__widths=[65_536] * 32, model__discriminator__widths=[65_536] * 32
    ),
    "widths beyond 65,536": configured(model__generator__widths=[2**40]),
    "a million widths": configured(model__generator__widths=[1] * 1_000_000),
    "convolutions hidden 2**31": convolutional(hidden=2**31),
    "convolutions hidden 2**62": convolutional(hidden=2**62),
    "convolutions of 65,536": convolutional(widths=[65_536, 65_536]),
    "convolutions of a huge image": lambda mine: shaped(1, 2**40, 2**40)(forged(mine, convolutional())),
}


@pytest.mark.exhaustive(4)
@pytest.mark.usefixtures("run")
@pytest.mark.parametrize("name", HUGE)
def test_huge_networks_are_refused_before_memory_is_taken_for_them(name: str, honest: Checkpoint, cli: Cli) -> None:
    place(honest, HUGE[name])
    with bounded_memory(1000):
        assert_plain(sampled(cli), 2)


@pytest.mark.exhaustive(2)
@pytest.mark.usefixtures("run")
@pytest.mark.parametrize(
    "change",
    [
        pytest.param(configured(model__generator__widths=[65_536] * 32), id="generator"),
        pytest.param(configured(model__discriminator__widths=[65_536] * 32), id="discriminator"),
        pytest.param(configured(latent__dim=2**40), id="latents"),
        pytest.param(configured(latent__dim=2**70), id="more latents"),
        pytest.param(configured(data__num_samples=2**45), id="data"),
        pytest.param(configured(train__batch_size=2**45), id="batch"),
    ],
)
def test_huge_runs_are_refused_before_memory_is_taken_for_them(change: Change, honest: Checkpoint, cli: Cli) -> None:
    place(honest, change)
    with bounded_memory(1000):
        assert_plain(resumed(cli), 2)


def test_threads_that_would_crash_the_process_are_refused(honest: Checkpoint) -> None:
    with pytest.raises(Refused, match=r"device\.threads"):
        restore_generator(forged(honest, configured(device__threads=100_000)), [])


@pytest.mark.parametrize(
    "shape",
    [None, 2, "2", {"a": 1}, [], [0], [-1], [2.0], ["2"], [None], [[2]], [2, 1], [1, 2, -1], [2, 1, 1, 1], ["2"] * 3],
    ids=repr,
)
def test_shape_that_is_none_is_refused(shape: Any, honest: Checkpoint) -> None:
    with pytest.raises(Refused, match="sample_shape"):
        restore_generator(replace(honest, facts=honest.facts | {"sample_shape": shape}), [])


@pytest.mark.usefixtures("run")
@pytest.mark.parametrize("shape", [(1,), (7, 4, 4), (2, 4, 4), (1, 1, 1)], ids=repr)
def test_unusual_shape_with_the_weights_for_it_ends_plainly(
    shape: tuple[int, ...], honest: Checkpoint, cli: Cli
) -> None:
    weights = network_state("generator", MLPGenerator(4, shape, [8]))
    rest = {name: tensor for name, tensor in honest.tensors.items() if not name.startswith("network/generator")}
    place(honest, lambda mine: replace(forged(mine, shaped(*shape)), tensors=rest | weights))
    assert_plain(sampled(cli), 0, 2)


@pytest.mark.usefixtures("run")
@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e38])
def test_weights_that_are_not_finite_end_plainly(value: float, honest: Checkpoint, cli: Cli) -> None:
    filled = {name: torch.full_like(tensor, value) for name, tensor in honest.tensors.items() if "generator" in name}
    place(honest, lambda mine: replace(mine, tensors=mine.tensors | filled))
    assert_plain(sampled(cli), 0, 1, 2)


def deep(depth: int, opening: str, closing: str) -> str:
    return opening * depth + "1" + closing * depth


@pytest.mark.exhaustive(1)
@pytest.mark.usefixtures("run")
@pytest.mark.parametrize(
    ("depth", "key", "brackets"),
    [
        (300, "loss", '{"a":|}'),
        (700, "loss", '{"a":|}'),
        (950, "new", "[|]"),
        (10_000, "loss", '{"a":|}'),
        *(
            slow(depth, key, brackets)
            for depth in (30, 100, 500, 900, 990, 200_000)
            for key in ("loss", "data", "new")
            for brackets in ('{"a":|}', "[|]")
        ),
    ],
)
def test_deeply_nested_configuration_is_refused(
    depth: int, key: str, brackets: str, honest: Checkpoint, cli: Cli
) -> None:
    nested = deep(depth, *brackets.split("|"))
    whole = json.dumps(honest.config | {key: "HERE"}).replace('"HERE"', nested)
    write_header(honest, config=whole)
    assert_plain(sampled(cli), 2)
    assert_plain(resumed(cli), 2)


def write_header(honest: Checkpoint, **header: str) -> None:
    """The honest tensors under a header that `save` would not write, with a digest that is right."""
    full = {
        "format": "1",
        "step": str(honest.step),
        "config": json.dumps(honest.config),
        "facts": json.dumps(honest.facts),
    } | header
    save_file(honest.tensors, LAST, full | {"digest": checkpoint._digest(full, honest.tensors)})


BROKEN_HEADERS: dict[str, dict[str, str]] = {
    "several megabytes of configuration": {"config": json.dumps({"a": "x" * 5_000_000})},
    "several megabytes of facts": {"facts": json.dumps({"sample_shape": [2], "a": "x" * 5_000_000})},
    "configuration is a list": {"config": "[]"},
    "configuration is text": {"config": '"os.system"'},
    "configuration is empty": {"config": "{}"},
    "configuration is Python": {"config": "{'a': __import__('os').system('touch sentinel')}"},
    "configuration is YAML": {"config": f"!!python/object/apply:os.system ['touch {SENTINEL}']"},
    "configuration has a huge number": {"config": '{"seed": ' + "9" * 5000 + "}"},
    "step is negative": {"step": "-5"},
    "step is text": {"step": "__import__('os')"},
    "step is enormous": {"step": "9" * 5000},
    "format is enormous": {"format": "9" * 5000},
    "format is newer": {"format": "2"},
}


@pytest.mark.usefixtures("run")
@pytest.mark.parametrize("name", BROKEN_HEADERS)
def test_header_that_cannot_be_ours_is_refused(name: str, honest: Checkpoint) -> None:
    write_header(honest, **BROKEN_HEADERS[name])
    with pytest.raises(Refused):
        restore_generator(checkpoint.load(Path(LAST)), [])


@pytest.mark.usefixtures("run")
@pytest.mark.parametrize("name", ["several megabytes of configuration", "format is enormous", "step is text"])
def test_commands_refuse_a_header_that_cannot_be_ours(name: str, honest: Checkpoint, cli: Cli) -> None:
    write_header(honest, **BROKEN_HEADERS[name])
    for result in (sampled(cli), resumed(cli), begun_from(cli)):
        assert_plain(result, 2)


# Every place of the configuration, with every sort of thing in it

STRANGE: tuple[Any, ...] = (
    *(None, True, "", "x", "???", "\x1b[2J", "null", "${x}", "../../x", "a\nb"),
    *(-1, 0, 10**5, 2**70, 1e999, float("nan"), 1e-320),
    *([], {}, [None], ["x"], [[1]], [[]], {"a": 1}, {"_target_": "os.system"}, [{"_target_": "os.system"}]),
)


def nodes(config: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    if path:
        yield path
    if isinstance(config, dict):
        for key, value in config.items():
            yield from nodes(value, (*path, key))


def strange_configurations(config: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """The configuration with one place filled by something strange, taken away, or joined by something unknown."""
    found = []
    for path in nodes(config):
        for strange in (*STRANGE, "taken away", "joined"):
            changed = copy.deepcopy(config)
            node = changed
            for key in path[:-1]:
                node = node[key]
            if strange == "taken away":
                del node[path[-1]]
            elif strange == "joined":
                node["no such.key"] = 1
            else:
                node[path[-1]] = strange
            found.append((f"{'.'.join(path)}: {strange!r}", changed))
    return found


def assert_refused_or_restored(honest: Checkpoint, cases: list[tuple[str, dict[str, Any]]]) -> None:
    wrong = {}
    for name, config in cases:
        try:
            restore_generator(replace(honest, config=config), [])
        except Refused as refused:
            if not str(refused).strip():
                wrong[name] = "refused without a word"
        except Exception as error:
            wrong[name] = repr(error)[:200]
    assert wrong == {}


def test_strange_configurations_are_refused_or_restored(honest: Checkpoint) -> None:
    cases = strange_configurations(honest.config)
    assert_refused_or_restored(honest, random.Random(0).sample(cases, 60))


@pytest.mark.parametrize(
    "change",
    [
        configured(model__generator__widths={"a": 1}),
        configured(model__generator__widths=[[1]]),
        configured(model__accepts={}),
        configured(model__accepts=[[1]]),
        configured(data__shift={"a": 1}),
        configured(optim__betas={"0": 1}),
        configured(model="mlp"),
        configured(model=None),
        configured(data=[]),
        configured(loss="bce"),
        configured(latent={"dim": {"dim": 4}, "distribution": "uniform"}),
    ],
)
def test_configuration_of_other_types_is_refused(change: Change, honest: Checkpoint) -> None:
    with pytest.raises(Refused):
        restore_generator(forged(honest, change), [])


@pytest.mark.slow
def test_all_strange_configurations_are_refused_or_restored(honest: Checkpoint) -> None:
    assert_refused_or_restored(honest, strange_configurations(honest.config))


# What only resuming reads


def without(part: str) -> Change:
    return lambda mine: replace(mine, tensors={k: v for k, v in mine.tensors.items() if part not in k})


def renamed(before: str, after: str) -> Change:
    return lambda mine: replace(mine, tensors={k.replace(before, after): v for k, v in mine.tensors.items()})


def holding(part: str, tensor: torch.Tensor) -> Change:
    return lambda mine: replace(mine, tensors={k: tensor if part in k else v for k, v in mine.tensors.items()})


def adding(name: str, tensor: torch.Tensor, summed: str | None = None) -> Change:
    more = {name: tensor} | ({summed: torch.zeros(())} if summed else {})
    return lambda mine: replace(mine, tensors=mine.tensors | more)


BROKEN_STATES: dict[str, Change] = {
    "no networks": without("network/"),
    "no discriminator": without("network/discriminator"),
    "no optimizer": without("optimizer/D"),
    "half an optimizer": without("exp_avg_sq"),
    "part of an optimizer": without("optimizer/D/0"),
    "optimizer of no number": renamed("optimizer/D/0", "optimizer/D/x"),
    "optimizer of a negative number": renamed("optimizer/D/0", "optimizer/D/-1"),
    "optimizer of a huge number": renamed("optimizer/D/0", f"optimizer/D/{2**70}"),
    "optimizer of another shape": holding("exp_avg_sq", torch.zeros(3)),
    "optimizer of scalars": holding("exp_avg_sq", torch.zeros(())),
    "optimizer of integers": holding("exp_avg_sq", torch.zeros((), dtype=torch.int64)),
    "steps of many numbers": holding("/step", torch.zeros(8, 2)),
    "no meter": without("meter/"),
    "no count in the meter": without("meter/count"),
    "count of many numbers": holding("meter/count", torch.zeros(3, dtype=torch.int64)),
    "negative count": holding("meter/count", torch.tensor(-12)),
    "sums of many numbers": adding("meter/sum/loss/D", torch.zeros(3)),
    "a sum of no steps": adding("meter/sum/loss/D", torch.zeros(())),
    "a sum of more steps than there were": adding("meter/count/loss/D", torch.tensor(99), "meter/sum/loss/D"),
    "a count that is no whole number": adding("meter/count/loss/D", torch.tensor(1.5)),
    "complex weights": lambda mine: replace(
        mine, tensors={k: v.to(torch.complex64) if "network" in k else v for k, v in mine.tensors.items()}
    ),
}


@pytest.mark.parametrize("name", BROKEN_STATES)
def test_state_of_no_run_is_refused(name: str, honest: Checkpoint, compose: Callable[..., Config]) -> None:
    run = build(compose(*TINY), RunDirectory(Path("nowhere")))
    with pytest.raises(Refused):
        run.restore(forged(honest, BROKEN_STATES[name]))


@pytest.mark.usefixtures("run")
@pytest.mark.parametrize("name", ["no count in the meter", "half an optimizer", slow("optimizer of scalars")])
def test_resuming_with_the_state_of_no_run_ends_plainly(name: str, honest: Checkpoint, cli: Cli) -> None:
    place(honest, BROKEN_STATES[name])
    assert_plain(resumed(cli), 2)


FACTS = ("data_digest", "device", "num_samples", "threads", "torch", "training_s", "wall_s")


@pytest.mark.exhaustive(3)
@pytest.mark.usefixtures("run")
@pytest.mark.parametrize(
    ("fact", "value"),
    [
        *((fact, "missing") for fact in FACTS),
        *((fact, "junk") for fact in ("threads", "wall_s")),
        *(slow(fact, value) for fact in FACTS for value in ("junk", None, [1], {"a": "$(x)"}, -1, 1e999)),
    ],
    ids=repr,
)
def test_facts_of_no_run_end_plainly(fact: str, value: Any, honest: Checkpoint, cli: Cli) -> None:
    def change(mine: Checkpoint) -> None:
        mine.facts[fact] = value
        if value == "missing":
            del mine.facts[fact]

    place(honest, change)
    assert_plain(resumed(cli), 0, 2)


# Files that are not what their name says


def raw(header: Any, body: bytes = b"", size: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if size is None else size) + text + body


def entry(start: int, end: int, shape: list[int], dtype: str = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}


OURS = {"format": "1", "step": "1", "config": "{}", "facts": "{}", "digest": "0" * 64}

FILES: dict[str, bytes] = {
    "pickle": pickle.dumps(Payload()),
    "pickle of an old protocol": pickle.dumps(Payload(), protocol=0),
    "pickle that begins like a header": struct.pack("<Q", 2) + b"{}" + pickle.dumps(Payload()),
    "header of 2**62 bytes": raw({}, size=2**62),
    "header of 2**64 - 1 bytes": raw({}, size=2**64 - 1),
    "header of 99 MB that is not there": raw({}, size=99_000_000),
    "header of no bytes": raw(b""),
    "header that is no JSON": raw(b"__import__('os').system('touch sentinel')"),
    "header that is a list": raw([1, 2, 3]),
    "header that is deep": raw(deep(100_000, '{"a":', "}").encode()),
    "overlapping tensors": raw({"a": entry(0, 4, [1]), "b": entry(0, 4, [1]), "__metadata__": OURS}, bytes(4)),
    "tensor beyond the file": raw({"a": entry(0, 2**40, [2**38]), "__metadata__": OURS}, bytes(4)),
    "tensor before the file": raw({"a": {**entry(0, 4, [1]), "data_offsets": [-4, 0]}}, bytes(4)),
    "tensor that ends before it starts": raw({"a": entry(4, 0, [1])}, bytes(4)),
    "tensor of 2**62 by 2**62": raw({"a": entry(0, 4, [2**62, 2**62])}, bytes(4)),
    "tensor of 2**62 by nothing": raw({"a": entry(0, 0, [2**62, 2**62, 0]), "__metadata__": OURS}),
    "tensor of no known type": raw({"a": entry(0, 4, [1], "PICKLE")}, bytes(4)),
    "a gap between tensors": raw({"a": entry(0, 4, [1]), "b": entry(8, 12, [1])}, bytes(12)),
    "bytes that no tensor owns": raw({"a": entry(0, 4, [1]), "__metadata__": OURS}, bytes(400)),
    "header that says nothing of us": raw({"a": entry(0, 4, [1])}, bytes(4)),
    "metadata of numbers": raw({"__metadata__": {"format": 1, "step": {}}}),
    "metadata of ours twice": raw(b'{"__metadata__": {"format": "1"}, "__metadata__": {"format": "1"}}'),
    "nothing but our metadata": raw({"__metadata__": OURS}),
}


@pytest.mark.parametrize("name", FILES)
def test_file_that_is_no_checkpoint_is_refused(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = Path("x.safetensors")
    path.write_bytes(FILES[name])
    with bounded_memory(1000), pytest.raises(Refused, match=path.name) as refused:
        checkpoint.load(path)
    assert not Path(SENTINEL).exists()
    assert len(str(refused.value)) < 500


@pytest.mark.exhaustive(1)
@pytest.mark.usefixtures("run")
@pytest.mark.parametrize("name", ["pickle", "header of 2**62 bytes", "overlapping tensors", *map(slow, FILES)])
def test_commands_refuse_a_file_that_is_no_checkpoint(name: str, cli: Cli) -> None:
    Path(LAST).write_bytes(FILES[name])
    with bounded_memory(1000):
        for result in (sampled(cli), resumed(cli), begun_from(cli)):
            assert_plain(result, 2)
            assert "last.safetensors" in result.err


@pytest.mark.usefixtures("run")
def test_torch_file_of_another_name_is_not_unpickled(cli: Cli) -> None:
    torch.save({"payload": Payload()}, LAST)
    for result in (sampled(cli), resumed(cli), begun_from(cli)):
        assert_plain(result, 2)
    assert "weights_only" not in result.err  # nobody is told how to run it


# Run directories

ELSEWHERE = "../" * 20 + "proc/self/cwd"  # the current directory, from wherever the configuration lies
CALLBACK = f"x:\n  _target_: builtins.open\n  file: {SENTINEL}\n  mode: w\n"
EXPERIMENT = "# @package _global_\nhydra:\n  callbacks:\n    " + CALLBACK.replace("\n", "\n    ")

OVERRIDES: dict[str, list[str]] = {
    "callback": ["+hydra.callbacks.x._target_=builtins.open", f"+hydra.callbacks.x.file={SENTINEL}"],
    "callback without a plus": ["hydra.callbacks.x._target_=os.system", f"hydra.callbacks.x.command=touch {SENTINEL}"],
    "callback with two": ["++hydra.callbacks.x._target_=builtins.open", f"++hydra.callbacks.x.file={SENTINEL}"],
    "callback after a space": [" +hydra.callbacks.x._target_=builtins.open"],
    "callback of a whole node": ["+hydra.callbacks={x: {_target_: builtins.open, file: sentinel, mode: w}}"],
    "hydra as a whole": ["+hydra={callbacks: {x: {_target_: builtins.open, file: sentinel, mode: w}}}"],
    "logging handler": [
        "+hydra.job_logging.handlers.x.class=logging.FileHandler",
        f"+hydra.job_logging.handlers.x.filename={SENTINEL}",
    ],
    "logging factory": ["+hydra.job_logging.handlers.x={'()': builtins.open, file: sentinel, mode: w}"],
    "launcher": ["hydra/launcher=basic", "hydra.launcher._target_=os.system"],
    "group of hydra": ["hydra/job_logging=default", "override hydra/job_logging=none"],
    "search path": ["hydra.searchpath=[file://.]", "+experiment=evil"],
    "run directory": [f"hydra.run.dir={SENTINEL}"],
    "working directory": ["hydra.job.chdir=true"],
    "environment": ["+hydra.job.env_set.PATH=."],
    "package of hydra": ["+loss@hydra.callbacks.x=bce"],
    "package of hydra with _global_": ["+loss@_global_.hydra.callbacks.x=bce"],
    "group from elsewhere": [f"experiment={ELSEWHERE}/run/evil"],
    "group from elsewhere, added": [f"+experiment={ELSEWHERE}/run/evil"],
    "group from elsewhere, quoted": [f"experiment='{ELSEWHERE}/run/evil'"],
    "group from elsewhere, listed": [f"experiment=[{ELSEWHERE}/run/evil]"],
    "group from elsewhere, in hydra's package": [f"+loss@hydra.callbacks={ELSEWHERE}/run/callbacks"],
    "rerun of a pickle": ["--experimental-rerun=run/evil.pickle"],
    "rerun of a pickle, apart": ["--experimental-rerun", "run/evil.pickle"],
    "rerun of a pickle, shortened": ["--experimental-r=run/evil.pickle"],
    "configuration directory": ["--config-dir=run/conf", "experiment=evil"],
    "configuration directory, apart": ["--config-dir", "run/conf", "experiment=evil"],
    "configuration directory, short": ["-cd", "run/conf", "experiment=evil"],
    "configuration path": ["--config-path=/proc/self/cwd/run/conf"],
    "configuration name": ["--config-name=sample"],
    "sweep": ["-m"],
    "sweep of a value": ["train.batch_size=8,16"],
    "sweep of a choice": ["train.batch_size=choice(8,16)"],
    "help": ["--help"],
    "nothing but the end of options": ["--"],
    "target": ["loss._target_=os.system", f"+loss.command=touch {SENTINEL}"],
    "target of the generator": ["model.generator._target_=os.system"],
    "another run": ["resume=elsewhere", "init_from=elsewhere", "dry_run=true"],
    "trust": ["trust=[os,subprocess,evil]"],
    "changes allowed": ["allow_changes=[model,data,loss,seed]"],
    "interpolation": ["train.minutes=${oc.env:SECRET}", "data.data_seed=${oc.env:SECRET}"],
    "interpolation in a key": ["${oc.env:SECRET}=1"],
    "no override": ["nonsense", "=", "", "a=b=c", "train.steps=[", "~model", "\x00"],
    "a million characters": ["x=" + "y" * 1_000_000],
}


# Those that are run to their end, with a process that could be harmed, in the quick tests too.
DANGEROUS = (
    "callback",
    "group from elsewhere",
    "group from elsewhere, in hydra's package",
    "rerun of a pickle",
    "configuration directory",
    "sweep",
    "target",
    "interpolation",
)


def store_overrides(name: str, first: bool) -> list[str]:
    """Put a stranger's overrides before or behind those of the run; returns those of the run."""
    hide_configurations()
    stored = Path("run/.hydra/overrides.yaml")
    ours = yaml.safe_load(stored.read_text())
    both = [*OVERRIDES[name], *ours] if first else [*ours, *OVERRIDES[name]]
    stored.write_text(json.dumps(both))  # YAML too
    return list(ours)


@pytest.mark.usefixtures("bait")
@pytest.mark.parametrize("name", OVERRIDES)
def test_stored_overrides_that_are_none_of_a_run_are_left_out(name: str) -> None:
    ours = store_overrides(name, first=True)
    left = [override for override in original_overrides(Path("run")) if override not in ours]
    for override in left:  # plain keys of a run, or groups of our own configuration: their values are not used
        key, equals, value = override.partition("=")
        assert equals or key.startswith("~")
        assert re.fullmatch(r"[+~]{0,2}[a-z_]+(\.[a-z_]+)*", key, re.IGNORECASE)
        assert key.lstrip("+~").split(".")[0] not in ("hydra", "resume", "init_from", "trust", "allow_changes")
        assert "." in key or "/" not in value
        assert "${" not in override


@pytest.mark.exhaustive(2)
@pytest.mark.usefixtures("bait")
@pytest.mark.filterwarnings("default")  # a warning on the way to running something must not hide that it is run
@pytest.mark.parametrize(
    ("name", "first"),
    [
        *((name, True) for name in DANGEROUS),
        *(slow(name, first) for name in OVERRIDES for first in (True, False)),
    ],
)
def test_stored_overrides_reach_nothing_but_the_run(
    name: str, first: bool, honest: Checkpoint, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET", "424242")
    place(honest, lambda mine: None)
    store_overrides(name, first)
    result = cli("resume=run", "train.steps=13")
    assert_plain(result, 0, 2)
    assert "424242" not in result.out + result.err
    assert not Path("elsewhere").exists()
    if result.code == 0:  # it did what was asked, and there
        status = json.loads(Path("run/status.json").read_text())
        assert (status["state"], status["step"]) == ("finished", 13)


def hide_configurations() -> None:
    """What a stored override might bring in."""
    for path in ("run/evil.yaml", "run/conf/experiment/evil.yaml", "experiment/evil.yaml"):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text(EXPERIMENT)
    Path("run/callbacks.yaml").write_text(CALLBACK)
    Path("run/evil.pickle").write_bytes(pickle.dumps(Payload()))


ALIASES = "- &a0 [x]\n" + "".join(f"- &a{i} [{','.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 8))

YAML: dict[str, str | bytes] = {
    "object": f"!!python/object/apply:os.system ['touch {SENTINEL}']\n",
    "object in the list": f"- data=gaussian2d\n- !!python/object/apply:os.system ['touch {SENTINEL}']\n",
    "object made new": f"- !!python/object/new:pathlib.Path [{SENTINEL}]\n",
    "module": "- !!python/module:evil\n",
    "name": "- !!python/name:evil.Anything\n",
    "interpolation": "- ${oc.env:SECRET}\n- ${nope:1}\n",
    "missing value": "- ???\n",
    "mapping": "hydra: {run: {dir: elsewhere}}\n",
    "lists": "- [hydra.run.dir=elsewhere]\n- {hydra.run.dir: elsewhere}\n- 1\n- null\n",
    "itself": "- &a [*a]\n",
    "deep": "- " * 5000 + "x\n",
    "aliases of aliases": ALIASES,
    "nothing": "",
    "text": "hydra.run.dir=elsewhere\n",
    "no text": b"\x00\xff\xfe\x80",
    "several documents": "--- [a=1]\n--- [b=2]\n",
}


@contextmanager
def seconds(limit: float) -> Iterator[None]:
    """The block is ended after so many seconds, however it goes on."""

    class Ended(BaseException):
        """Not to be caught."""

    def ended(number: int, frame: object) -> None:
        raise Ended(f"more than {limit} s")

    before = signal.signal(signal.SIGALRM, ended)
    signal.setitimer(signal.ITIMER_REAL, limit)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@pytest.mark.usefixtures("bait")
@pytest.mark.parametrize("name", YAML)
def test_stored_overrides_are_read_as_text_alone(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "424242")
    content = YAML[name]
    Path("run/.hydra/overrides.yaml").write_bytes(content if isinstance(content, bytes) else content.encode())
    with seconds(2), bounded_memory(1000):
        overrides = original_overrides(Path("run"))
    assert not Path(SENTINEL).exists()
    assert overrides in ([], ["data=gaussian2d"])


@pytest.mark.usefixtures("run")
@pytest.mark.parametrize("name", ["train.log", "metrics.jsonl", ".lock"])
def test_links_out_of_a_run_directory_are_not_written_through(name: str, honest: Checkpoint, cli: Cli) -> None:
    place(honest, lambda mine: None)
    precious = Path("precious")
    precious.write_text("mine\n")
    Path("run", name).unlink(missing_ok=True)
    Path("run", name).symlink_to(precious.absolute())
    assert_plain(cli("resume=run", "train.steps=13"), 0, 2)
    assert precious.read_text() == "mine\n"


def bomb() -> bytes:
    """A PNG of few bytes that claims 30,000 × 30,000 pixels."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    size = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size) + chunk(b"IDAT", zlib.compress(bytes(9))) + chunk(b"IEND", b"")


RUBBISH: dict[str, tuple[str, bytes]] = {
    "log that is no text": ("metrics.jsonl", b"\xff\xfe\x00\n"),
    "log of other things": ("metrics.jsonl", b'[]\n1\n"step"\nnull\n{}\n{"step": "6"}\n{"step": null}\n'),
    "log of words": ("metrics.jsonl", b'{"step": 12, "loss/D": "touch sentinel"}\n'),
    "log of structures": ("metrics.jsonl", b'{"step": 12, "loss/D": {"_target_": "os.system"}, "x": [1]}\n'),
    "log of huge numbers": ("metrics.jsonl", b'{"step": 12, "loss/D": 1e999, "x": ' + b"9" * 400 + b"}\n"),
    "log that is deep": ("metrics.jsonl", deep(100_000, '{"a":', "}").encode() + b"\n"),
    "picture that is none": ("samples/step_00000012.png", b"not a picture"),
    "picture that is a bomb": ("samples/step_00000012.png", bomb()),
    "earlier picture that is none": ("samples/step_00000006.png", b"not a picture"),
    "earlier picture that is a bomb": ("samples/step_00000006.png", bomb()),
    "earlier picture of another size": ("samples/step_00000006.png", png(torch.zeros(1, 1, 1, dtype=torch.uint8))),
    "picture of no number": ("samples/step_mine.png", b"not a picture"),
    "checkpoint of no number": ("checkpoints/step_mine.safetensors", b"not a checkpoint"),
    "checkpoint of a later step": ("checkpoints/step_99999999.safetensors", pickle.dumps(Payload())),
    "status that is none": ("status.json", b"\xff"),
    "configuration that is code": ("config.yaml", b"!!python/object/apply:os.system ['touch sentinel']\n"),
    "configuration of Hydra": (".hydra/hydra.yaml", b"hydra: {callbacks: {x: {_target_: builtins.open}}}\n"),
    "events": ("tensorboard/events.out.tfevents.0.x", pickle.dumps(Payload())),
}


HARMLESS = (
    *("status that is none", "configuration that is code", "configuration of Hydra", "events", "log that is no text"),
    *("log of other things", "checkpoint of a later step"),
)


@pytest.mark.exhaustive(3)
@pytest.mark.usefixtures("run")
@pytest.mark.parametrize("name", [slow(name) if name in HARMLESS else name for name in RUBBISH])
def test_rubbish_in_a_run_directory_ends_plainly(name: str, honest: Checkpoint, cli: Cli) -> None:
    place(honest, lambda mine: None)
    path = Path("run", RUBBISH[name][0])
    path.parent.mkdir(exist_ok=True)
    path.unlink(missing_ok=True)
    path.write_bytes(RUBBISH[name][1])
    with bounded_memory(1000):
        assert_plain(cli("resume=run", "train.steps=13", f"train.sample_every={6 if 'picture' in name else 0}"), 0, 2)


@pytest.mark.usefixtures("run")
def test_refused_resuming_leaves_the_directory_as_it_was(honest: Checkpoint, cli: Cli) -> None:
    place(honest, targeting_everywhere("os.system", TARGETS["os.system"]))
    Path("run/status.json").unlink()  # as where somebody copied no more than resuming needs
    before = {path: path.read_bytes() for path in Path("run").rglob("*") if path.is_file()}
    assert_plain(resumed(cli), 2)
    after = {path: path.read_bytes() for path in Path("run").rglob("*") if path.is_file()}
    before.pop(Path("run/train.log"))
    after.pop(Path("run/train.log"), None)
    assert after == before


# The sources


FORBIDDEN_MODULES = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "marshal", "shelve", "subprocess"}
FORBIDDEN_NAMES = {"eval", "exec", "compile", "__import__", "execfile"}
FORBIDDEN_CALLS = {
    *("torch.load", "torch.hub.load", "torch.jit.load", "torch.package.PackageImporter", "yaml.load", "yaml.load_all"),
    *("yaml.unsafe_load", "yaml.full_load", "numpy.load", "np.load", "os.system", "os.popen", "hydra.utils.call"),
    *("hydra.utils.instantiate", "instantiate", "zipfile.extractall", "safetensors.torch.load_model"),
}


def dotted(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def builds_tensors_alone(call: ast.Call) -> bool:
    """Whether it is torch.load with PyTorch's restricted reader, spelled out: others' weights come as pickles."""
    given = {keyword.arg: keyword.value for keyword in call.keywords}
    restricted = given.get("weights_only")
    return dotted(call.func) == "torch.load" and isinstance(restricted, ast.Constant) and restricted.value is True


def dangers(source: str) -> list[str]:
    """The ways in a source by which data could become code."""
    found = []
    tree = ast.parse(source)
    restricted = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call) and builds_tensors_alone(node)]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names if alias.name.split(".")[0] in FORBIDDEN_MODULES]
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            names = {f"{module}.{alias.name}" for alias in node.names}
            found += [module] if module.split(".")[0] in FORBIDDEN_MODULES else sorted(names & FORBIDDEN_CALLS)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in FORBIDDEN_NAMES:
            found.append(node.id)
        elif isinstance(node, ast.Attribute) and dotted(node) in FORBIDDEN_CALLS and node not in restricted:
            found.append(dotted(node))
    return found


SOURCES = sorted(Path(gan_cli.__file__).parent.rglob("*.py"))


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_no_source_makes_code_of_data(path: Path) -> None:
    assert dangers(path.read_text()) == []


def test_pickles_of_others_are_read_at_one_place_and_never_a_checkpoint() -> None:
    reading = [path for path in SOURCES if "torch.load(" in path.read_text()]
    assert [path.relative_to(Path(gan_cli.__file__).parent).as_posix() for path in reading] == ["extractors/files.py"]


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from pickle import loads",
        "def f():\n    import pickle as p",
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "torch.load(path, weights_only=restricted)",
        "torch.load(path, **options)",
        "torch.load(torch.load(path), weights_only=True)",
        "from torch import load",
        "loader = torch.load",
        "yaml.load(text)",
        "from yaml import unsafe_load",
        "yaml.unsafe_load(text)",
        "eval('1')",
        "run = exec",
        "hydra.utils.instantiate(node)",
        "from hydra.utils import instantiate",
        "os.system('x')",
        "import subprocess",
    ],
)
def test_dangers_are_found(source: str) -> None:
    assert dangers(source)


def test_methods_of_these_names_are_harmless() -> None:
    assert dangers("generator.eval()\njson.load(file)\nyaml.safe_load(text)\npattern = re.compile('x')") == []
