"""A `_target_` makes the object it names, if it may, and says what is wrong if it cannot."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from gan_cli.errors import Refused
from gan_cli.losses.bce import BCE
from gan_cli.models.mlp import MLPGenerator
from gan_cli.targets import create, locate

PACKAGE = '''
"""A user's own models, and a trap: importing it leaves a file behind."""
import functools
import os
import subprocess
from os import system
from pathlib import Path

from torch import nn

Path({imported!r}).touch()

class Generator(nn.Module):
    def __init__(self, latent_dim, sample_shape, depth, gain=1.0):
        super().__init__()
        if gain < 0:
            raise ValueError(f"gain must not be negative, got {{gain}}")
        self.made_from = (latent_dim, sample_shape, depth, gain)

class Anything:
    def __init__(self, **options):
        self.options = options

def broken():
    raise TypeError("a mistake in the user's own code")

touch = functools.partial(system, "touch {ran}")
run = subprocess.run
number = 3
'''


@pytest.fixture
def sentinel(tmp_path: Path) -> Path:
    """A file that exists once something was run that should not have been."""
    return tmp_path / "ran"


@pytest.fixture
def imported(tmp_path: Path, sentinel: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A file that exists once `foreign_models` (or gan_cli_extras, or torch_optim) was imported."""
    path = tmp_path / "imported"
    for name in ("foreign_models", "gan_cli_extras"):
        (tmp_path / f"{name}.py").write_text(PACKAGE.format(imported=str(path), ran=sentinel))
    monkeypatch.syspath_prepend(tmp_path)
    yield path
    for name in ("foreign_models", "gan_cli_extras"):
        sys.modules.pop(name, None)


FACTS = {"latent_dim": 4, "sample_shape": (2,)}


def test_own_class_is_made_from_its_options_and_the_facts_without_trusting_anyone() -> None:
    node = {"_target_": "gan_cli.models.mlp.MLPGenerator", "widths": [5], "activation": "tanh"}
    made = create(node, "model.generator", [], **FACTS)
    assert type(made) is MLPGenerator
    assert str(made) == str(MLPGenerator(4, (2,), [5], "tanh"))
    loss = create({"_target_": "gan_cli.losses.bce.BCE", "real_target": 0.9}, "loss", [])
    assert loss == BCE(real_target=0.9)


def test_optimizers_of_torch_are_made_without_trusting_anyone() -> None:
    parameter = torch.nn.Parameter(torch.zeros(2))
    made = create({"_target_": "torch.optim.SGD", "momentum": 0.5}, "optim", [], params=[parameter], lr=0.25)
    assert type(made) is torch.optim.SGD
    assert made.param_groups[0]["momentum"] == 0.5
    assert made.param_groups[0]["lr"] == 0.25


@pytest.mark.parametrize("trusted", [(), ("foreign_models",)])
@pytest.mark.parametrize(
    ("target", "options"),
    [
        ("os.system", {"command": "touch {ran}"}),
        ("posix.system", {"command": "touch {ran}"}),
        ("builtins.open", {"file": "{ran}", "mode": "w"}),
        ("io.open", {"file": "{ran}", "mode": "w"}),
        ("builtins.eval", {"source": "open('{ran}', 'w')"}),
        ("distutils.spawn.spawn", {"cmd": ["touch", "{ran}"]}),
        ("subprocess.run", {"args": ["touch", "{ran}"]}),
        ("subprocess.Popen", {"args": ["touch", "{ran}"]}),
        ("pathlib.Path", {}),
        ("torch.load", {"f": "{ran}"}),
        ("torch.hub.load", {"repo_or_dir": "x/y", "model": "z"}),
        ("torch.nn.Linear", {"in_features": 2, "out_features": 2}),
        ("hydra.utils.instantiate", {"config": {"_target_": "os.system", "_args_": ["touch {ran}"]}}),
        # What starts like something of ours:
        ("torch.optim.optimizer.torch.load", {"f": "{ran}"}),
        ("torch.optim.optimizer.functools.partial", {"func": "x"}),
        ("torch.optim.lr_scheduler.types.FunctionType", {}),
        ("torch.optim.sys.modules.clear", {}),
        ("torch.optim.optimizer.OrderedDict", {}),
        ("torch.optim.optimizer.warnings.warn", {"message": "x"}),
        ("gan_cli.files.os.system", {"command": "touch {ran}"}),
        ("gan_cli.files.os", {}),
        ("gan_cli.files.Path", {}),
        ("gan_cli.targets.importlib.import_module", {"name": "os"}),
        ("gan_cli.checkpoint.safe_open", {"filename": "{ran}", "framework": "pt"}),
        ("gan_cli.models.mlp.MLPGenerator.forward.__globals__.clear", {}),
        ("gan_cli.models.mlp.__builtins__", {}),
        ("gan_cli.models.mlp.__loader__.get_data", {"path": "{ran}"}),
        ("gan_cli.models.mlp.nn.Linear", {"in_features": 2, "out_features": 2}),
        ("gan_cli.models.mlp.prod", {"iterable": []}),
    ],
)
def test_nothing_else_is_made_or_run_for_a_stranger(
    target: str, options: dict[str, Any], trusted: Sequence[str], sentinel: Path
) -> None:
    def filled(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: filled(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [filled(inner) for inner in value]
        return value.format(ran=sentinel) if isinstance(value, str) else value

    with pytest.raises(Refused, match=r"model\.generator\._target_"):
        create({"_target_": target} | filled(options), "model.generator", trusted)
    assert not sentinel.exists()


@pytest.mark.parametrize("name", ["foreign_models", "gan_cli_extras"])
@pytest.mark.parametrize("trusted", [(), ("another",), ("foreign",), ("foreign_model", "gan")])
def test_a_package_that_is_not_trusted_is_not_even_imported(
    name: str, trusted: Sequence[str], imported: Path, sentinel: Path
) -> None:
    with pytest.raises(Refused, match=rf"not trusted[^$]*trust=\[{name}\]"):
        create({"_target_": f"{name}.Generator", "depth": 2}, "model.generator", trusted, **FACTS)
    assert not imported.exists()
    assert name not in sys.modules
    assert not sentinel.exists()


@pytest.mark.parametrize("trusted", [["foreign_models"], ["another", "foreign_models"], None])
def test_a_trusted_package_is_used(trusted: Sequence[str] | None, imported: Path) -> None:
    made = create({"_target_": "foreign_models.Generator", "depth": 2}, "model.generator", trusted, **FACTS)
    assert imported.exists()
    assert made.made_from == (4, (2,), 2, 1.0)


@pytest.mark.parametrize("name", ["system", "touch", "run", "subprocess.run", "os.system", "Path", "functools.partial"])
def test_what_a_trusted_package_took_from_elsewhere_is_refused(name: str, imported: Path, sentinel: Path) -> None:
    node = {"_target_": f"foreign_models.{name}", "command": f"touch {sentinel}"}
    with pytest.raises(Refused, match=r"model\.generator\._target_"):
        create(node, "model.generator", ["foreign_models"])
    assert not sentinel.exists()


def test_a_file_beside_the_user_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "beside_the_user.py").write_text("class Model:\n    pass\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path not in ("", str(tmp_path))])
    assert type(create({"_target_": "beside_the_user.Model"}, "loss", None)).__name__ == "Model"
    sys.modules.pop("beside_the_user")


@pytest.mark.parametrize(
    "target",
    ["", "os", "no_such_package.Model", "gan_cli.models.mlp.NoSuchModel", "gan_cli.models.mlp.", ".a", "..a.b", "a..b"],
)
@pytest.mark.parametrize("trusted", [None, []])
def test_a_target_that_does_not_exist_is_refused(target: str, trusted: Sequence[str] | None) -> None:
    with pytest.raises(Refused, match=r"model\.generator\._target_"):
        create({"_target_": target}, "model.generator", trusted)


def test_what_is_no_class_or_function_is_refused(imported: Path) -> None:
    with pytest.raises(Refused, match=r"loss\._target_: foreign_models\.number is not a class or function"):
        create({"_target_": "foreign_models.number"}, "loss", None)


def test_a_class_whose_arguments_python_cannot_tell_is_refused() -> None:
    with pytest.raises(Refused, match=r"model\.generator"):
        create({"_target_": "builtins.dict"}, "model.generator", None, **FACTS)


@pytest.mark.parametrize(
    ("typed", "meant"), [("width", "widths"), ("activatoin", "activation"), ("dropuot", "dropout")]
)
def test_unknown_argument_is_named_with_the_nearest_one(typed: str, meant: str) -> None:
    node = {"_target_": "gan_cli.models.mlp.MLPGenerator", typed: 1}
    with pytest.raises(Refused) as refusal:
        create(node, "model.generator", [], **FACTS)
    message = str(refusal.value)
    assert message.startswith(f"model.generator.{typed}: MLPGenerator takes no {typed}")
    assert f"did you mean {meant}" in message


def test_facts_are_not_suggested_as_arguments() -> None:
    node = {"_target_": "gan_cli.models.mlp.MLPGenerator", "sample_shapes": 1}
    with pytest.raises(Refused, match=r"takes no sample_shapes") as refusal:
        create(node, "model.generator", [], **FACTS)
    assert "sample_shape?" not in str(refusal.value)
    assert "latent_dim" not in str(refusal.value)


def test_missing_argument_is_named_with_the_way_to_give_it(imported: Path) -> None:
    with pytest.raises(Refused, match=r"model\.generator: Generator: .*'depth'.*\+model\.generator\.NAME=VALUE"):
        create({"_target_": "foreign_models.Generator"}, "model.generator", None, **FACTS)


def test_an_argument_that_only_the_data_can_give_is_refused_when_typed(imported: Path) -> None:
    node = {"_target_": "foreign_models.Generator", "depth": 1, "latent_dim": 9}
    with pytest.raises(Refused, match=r"model\.generator.*latent_dim"):
        create(node, "model.generator", None, **FACTS)


def test_a_class_that_does_not_take_the_facts_is_refused_with_what_it_must_take() -> None:
    with pytest.raises(Refused, match=r"model\.generator\._target_: Linear must take latent_dim and sample_shape"):
        create({"_target_": "torch.nn.Linear", "in_features": 1}, "model.generator", None, **FACTS)


def test_a_class_of_any_arguments_gets_options_and_facts(imported: Path) -> None:
    made = create({"_target_": "foreign_models.Anything", "depth": 3}, "model.generator", None, **FACTS)
    assert made.options == {"depth": 3} | FACTS


def test_value_error_of_a_constructor_becomes_a_refusal_with_the_path(imported: Path) -> None:
    node = {"_target_": "foreign_models.Generator", "depth": 1, "gain": -2}
    with pytest.raises(Refused, match=r"^model\.generator: gain must not be negative, got -2$"):
        create(node, "model.generator", None, **FACTS)


def test_a_mistake_in_a_users_own_code_keeps_its_traceback(imported: Path) -> None:
    with pytest.raises(TypeError, match="a mistake in the user's own code"):
        create({"_target_": "foreign_models.broken"}, "loss", None)


def test_locate_gives_the_object_itself() -> None:
    assert locate("gan_cli.losses.bce.BCE", "loss", []) is BCE
    assert locate("torch.optim.Adam", "optim", []) is torch.optim.Adam
