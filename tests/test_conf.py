"""The configuration tree, the schema and the constructors say the same; every option and every experiment works."""

import inspect
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import fields
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from dogs_files import as_trees, few_dogs
from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from omegaconf import OmegaConf

from gan_cli import images
from gan_cli.build import build
from gan_cli.command_schema import CommandConf, ExportConf, SampleConf, SearchConf, SearchMethod, SweepConf
from gan_cli.conf_dir import CONF_DIR
from gan_cli.errors import Refused
from gan_cli.games.cyclegan import CycleGAN
from gan_cli.games.gan import GAN
from gan_cli.losses.label_targets import LabelTargets
from gan_cli.parse import parse, resolved, split, to_plain, typed_as
from gan_cli.run_directory import RunDirectory
from gan_cli.schema import GAMES, Config, CriticConf, EMAConf, GameName, LatentConf, TrainConf
from gan_cli.target_options import SELF_DECLARING, TARGETS
from gan_cli.targets import locate

CONF = Path(CONF_DIR)
GROUPS = ("game", "model", "loss", "penalty", "augment", "data", "optim", "device")

Compose = Callable[..., Config]


def options(group: str) -> list[str]:
    return sorted(path.stem for path in (CONF / group).glob("*.yaml"))


def content(path: str) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((CONF / f"{path}.yaml").read_text())
    return loaded


def declared(cls: type, *without: str) -> set[str]:
    return {f.name for f in fields(cls) if f.init} - set(without)


def required(option: str) -> tuple[str, ...]:
    """What an option cannot know: values for its ???."""
    return {
        "data=folder": ("data.root=/nowhere",),
        "data=unpaired_folders": ("data.a=/nowhere", "data.b=/nowhere"),
        "model=custom": ("model.generator._target_=mine.G", "model.discriminator._target_=mine.D"),
    }.get(option, ())


def test_the_groups_of_the_tree_are_known_to_these_tests() -> None:
    folders = {path.name for path in CONF.iterdir() if path.is_dir()}
    assert folders == {*GROUPS, "search", "experiment", "hydra"}
    assert all(options(group) for group in GROUPS)


# Composition.


@pytest.mark.parametrize(("model", "data"), list(product(options("model"), options("data"))))
def test_every_model_composes_with_all_data_it_takes_and_is_refused_with_others(
    model: str, data: str, compose: Compose
) -> None:
    chosen = (f"model={model}", f"data={data}", *required(f"model={model}"), *required(f"data={data}"))
    kind = content(f"data/{data}")["kind"]
    if kind == "unpaired" and model == "cyclegan":
        chosen = ("experiment=cyclegan", *chosen)  # the game that plays with two domains
    if kind not in content(f"model/{model}")["accepts"]:
        with pytest.raises(Refused, match="this model takes"):
            compose(*chosen)
        return
    config = compose(*chosen)
    assert config.model.generator["_target_"] == content(f"model/{model}")["generator"]["_target_"].replace(
        "???", "mine.G"
    )
    assert config.data.source["_target_"] == content(f"data/{data}")["_target_"]


@pytest.mark.parametrize("group", ["loss", "penalty", "augment", "optim", "device"])
def test_every_other_option_composes_to_what_its_file_says(group: str, compose: Compose) -> None:
    for option in options(group):
        plain = to_plain(compose(f"{group}={option}"))[group]
        for key, value in content(f"{group}/{option}").items():
            if "${" not in str(value):
                assert plain[key] == value


# The YAML files and the schema.


def test_train_yaml_declares_what_the_schema_declares_and_nothing_else() -> None:
    file = content("train")
    assert file.keys() - {"defaults", "hydra"} == declared(Config, *GROUPS) | declared(CommandConf, "search")
    assert file["sweep"].keys() == declared(SweepConf)
    for key, cls in (("latent", LatentConf), ("critic", CriticConf), ("ema", EMAConf), ("train", TrainConf)):
        assert file[key].keys() == declared(cls)


def test_searches_declare_what_the_schema_declares_and_a_grid_what_is_of_a_grid() -> None:
    assert options("search") == sorted(method.name for method in SearchMethod)
    for option in options("search"):
        file = content(f"search/{option}")
        assert file["method"] == option
        assert file.keys() == ({"method", "space"} if option == "grid" else declared(SearchConf, "trial"))
        assert typed_as(SearchConf, file).space == {}


def test_sample_yaml_declares_what_the_schema_declares_and_nothing_else() -> None:
    assert content("sample").keys() - {"defaults", "hydra"} == declared(SampleConf, "device")


def test_export_yaml_declares_what_the_schema_declares_and_nothing_else() -> None:
    assert content("export").keys() - {"defaults", "hydra"} == declared(ExportConf)


def options_of(target: str) -> type | None:
    """The dataclass that declares a target's options: the schema's, or the class itself."""
    if not target.startswith(SELF_DECLARING):
        return TARGETS.get(target)
    found = locate(target, "", [])
    assert isinstance(found, type)
    return found


def group_nodes() -> Iterator[tuple[str, set[str], set[str]]]:
    """Every mapping in a group's files: where it stands, the keys it has, and those that the schema declares."""
    classes = {f.name: f.type for f in fields(Config) if f.name in GROUPS}
    files = [(group, option) for group in GROUPS for option in options(group)]
    for group, option in files:
        file, name = content(f"{group}/{option}"), f"{group}/{option}"
        cls = GAMES[GameName[option]] if group == "game" else classes[group]
        rest = {"data": "source", "optim": "optimizer"}.get(group, "")
        own = declared(cls, rest) if isinstance(cls, type) else set()
        target = options_of(file.get("_target_", ""))
        folded = {"_target_", *declared(target)} if target else set()
        yield name, set(file), own | folded
        for key, node in file.items():
            if isinstance(node, dict) and "_target_" in node:
                known = options_of(node["_target_"])
                yield f"{name}.{key}", set(node), {"_target_", *(declared(known) if known else ())}
            elif isinstance(node, dict) and isinstance(cls, type):
                inner = next(f.type for f in fields(cls) if f.name == key)
                assert isinstance(inner, type)
                yield f"{name}.{key}", set(node), declared(inner)


@pytest.mark.parametrize(("has", "declares"), [pytest.param(*node[1:], id=node[0]) for node in group_nodes()])
def test_group_files_spell_out_every_declared_key_and_no_other(has: set[str], declares: set[str]) -> None:
    assert has == declares


def test_every_target_of_ours_is_offered_by_a_group_file() -> None:
    text = "".join((CONF / group / f"{option}.yaml").read_text() for group in GROUPS for option in options(group))
    assert [target for target in TARGETS if f"_target_: {target}\n" not in text] == []


# The schema and the constructors.


def facts(target: str) -> set[str]:
    """What `build` adds to the options."""
    if target.startswith("torch.optim."):
        return {"params", "lr"}
    if not target.startswith("gan_cli.models."):
        return set()
    if target.endswith((".ResNetTranslator", ".PatchGAN")):  # which take no labels
        return {"sample_shape"}
    common = {"sample_shape", "conditional", "num_classes"}
    return common | {"latent_dim"} if target.endswith("Generator") else common


@pytest.mark.parametrize("target", TARGETS)
def test_schema_declares_the_constructor_arguments(target: str) -> None:
    parameters = inspect.signature(locate(target, "", [])).parameters.keys()
    assert facts(target) <= parameters
    ours = declared(TARGETS[target], "packing")  # which the critic does
    if target.startswith("torch."):
        assert ours < parameters - facts(target)
    else:
        assert ours == parameters - facts(target)


def yaml_values() -> Iterator[tuple[str, dict[str, Any]]]:
    """(target, options) of every node of ours in the group files."""
    for group in GROUPS:
        for option in options(group):
            file = content(f"{group}/{option}")
            for node in (file, *(value for value in file.values() if isinstance(value, dict))):
                if node.get("_target_", "").startswith("gan_cli."):
                    yield node["_target_"], node


@pytest.mark.parametrize(("target", "node"), [pytest.param(*pair, id=pair[0]) for pair in yaml_values()])
def test_defaults_in_python_equal_those_in_yaml(target: str, node: dict[str, Any]) -> None:
    def listed(value: Any) -> Any:
        return [listed(inner) for inner in value] if isinstance(value, list | tuple) else value

    for name, parameter in inspect.signature(locate(target, "", [])).parameters.items():
        if parameter.default is not parameter.empty and name in node:
            assert listed(parameter.default) == node[name], name


# Unknown keys, wherever they come from.


def with_tree(tmp_path: Path, group: str, text: str, *overrides: str) -> Config:
    """Composed with an option of the user's own: GROUP/mine.yaml in a directory named by --config-dir."""
    (tmp_path / group).mkdir()
    (tmp_path / group / "mine.yaml").write_text(text)
    OmegaConf.register_new_resolver("new_run_dir", lambda parent: parent, replace=True)
    with initialize_config_dir(config_dir=CONF_DIR, version_base="1.3"):
        chosen = [f"hydra.searchpath=[file://{tmp_path}]", f"{group}=mine", *overrides]
        return parse(split(hydra_compose("train", overrides=chosen))[1])


def test_unknown_key_of_an_experiment_is_refused_by_name(tmp_path: Path) -> None:
    text = "# @package _global_\ntrain: { batchsize: 3 }\n"
    with pytest.raises(Refused, match=r"^unknown key train\.batchsize; did you mean batch_size"):
        with_tree(tmp_path, "experiment", text)


def test_unknown_group_of_an_experiment_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"^unknown key trian; did you mean train"):
        with_tree(tmp_path, "experiment", "# @package _global_\ntrian: { steps: 3 }\n")


@pytest.mark.parametrize(
    ("group", "text", "key"),
    [
        ("data", (CONF / "data" / "mnist.yaml").read_text() + "colour: red\n", r"data\.colour"),
        ("optim", (CONF / "optim" / "adam.yaml").read_text() + "amsgrad: true\n", r"optim\.amsgrad"),
        ("device", (CONF / "device" / "cpu.yaml").read_text() + "rank: 0\n", r"device\.rank"),
        ("model", (CONF / "model" / "mlp.yaml").read_text() + "  depth: 3\n", r"model\.discriminator\.depth"),
    ],
)
def test_unknown_key_of_a_group_file_is_refused_by_name(group: str, text: str, key: str, tmp_path: Path) -> None:
    with pytest.raises(Refused, match=rf"^unknown key {key}\b"):
        with_tree(tmp_path, group, text)


@pytest.mark.parametrize(
    "key", ["foo", "train.foo", "model.foo", "model.generator.foo", "data.foo", "optim.foo", "device.foo"]
)
def test_unknown_key_added_with_a_plus_is_refused_by_name(key: str, compose: Compose) -> None:
    with pytest.raises(Refused, match=rf"^unknown key {key}\b"):
        compose(f"+{key}=1")


def test_an_option_of_the_users_own_replaces_ours(tmp_path: Path) -> None:
    text = "# @package _global_\nlatent: { dim: 7 }\n"
    assert with_tree(tmp_path, "experiment", text).latent.dim == 7


def test_command_line_wins_over_an_experiment_and_an_experiment_over_the_defaults(compose: Compose) -> None:
    preset = compose("experiment=d2l_gaussian")
    assert (preset.train.batch_size, preset.latent.dim) == (8, 2)
    assert (compose().train.batch_size, compose().latent.dim) == (128, 96)
    typed = compose("train.batch_size=32", "experiment=d2l_gaussian")
    assert (typed.train.batch_size, typed.latent.dim) == (32, 2)


def test_rates_of_both_networks_follow_the_common_one_unless_they_are_given(compose: Compose) -> None:
    both = compose("optim.lr=0.25").optim
    assert (both.generator.lr, both.discriminator.lr) == (0.25, 0.25)
    one = compose("optim.lr=0.25", "optim.generator.lr=0.5").optim
    assert (one.generator.lr, one.discriminator.lr) == (0.5, 0.25)


def test_plain_command_trains_what_the_interface_promises(compose: Compose) -> None:
    plain = to_plain(compose())
    assert plain["model"]["generator"]["_target_"].endswith("MLPGenerator")
    assert plain["loss"]["_target_"].endswith("BCE")
    assert plain["data"]["_target_"] == "gan_cli.data.mnist.load"
    assert plain["device"]["type"] == "cpu"
    assert plain["latent"] == {"dim": 96, "distribution": "uniform"}
    assert (plain["optim"]["_target_"], plain["optim"]["lr"]) == ("torch.optim.Adam", 1e-3)
    assert plain["optim"]["betas"] == [0.5, 0.999]
    assert (plain["train"]["batch_size"], plain["data"]["shuffle"]) == (128, True)
    assert plain["train"]["epochs"] == plain["data"]["suggested_epochs"]


def test_sampling_configuration_composes_and_checks() -> None:
    with initialize_config_dir(config_dir=CONF_DIR, version_base="1.3"):
        composed = hydra_compose("sample", overrides=["checkpoint=here", "device=cuda", "trust=[mine]"])
    conf = typed_as(SampleConf, resolved(composed))
    assert (conf.checkpoint, conf.trust, conf.device.type.name) == ("here", ["mine"], "cuda")


# Import cost, and experiments.


def test_a_configuration_is_checked_before_torch_is_imported() -> None:
    script = f"""
import sys
import gan_cli.commands.sample, gan_cli.commands.train
from hydra import compose, initialize_config_dir
from gan_cli.parse import parse, split
with initialize_config_dir(config_dir={CONF_DIR!r}, version_base="1.3"):
    parse(split(compose("train", overrides=["model=dcgan", "train.steps=3"]))[1])
slow = {{"torch", "torchvision", "matplotlib", "PIL", "numpy", "tensorboard", "safetensors"}}
sys.exit(", ".join(sorted(slow & sys.modules.keys())) or 0)
"""
    finished = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (finished.returncode, finished.stderr) == (0, "")


def data_of(experiment: str) -> str | None:
    """The data that an experiment names, or one that it builds upon does."""
    named: str | None = None
    for entry in content(f"experiment/{experiment}").get("defaults", []):
        named = data_of(entry) if isinstance(entry, str) else entry.get("override /data", named)
    return named


@pytest.mark.exhaustive(8)
@pytest.mark.parametrize("experiment", options("experiment"))
def test_every_experiment_takes_two_steps(experiment: str, compose: Compose, tmp_path: Path) -> None:
    asked = [f"experiment={experiment}", "train.steps=2", "train.batch_size=4", "data.limit=8"]
    if data_of(experiment) in ("folder", "pokemon"):  # pictures that are not ours to have
        for number in range(8):
            picture = torch.full((3, 70, 64), 30 * number, dtype=torch.uint8)
            images.save_png(tmp_path / "pictures" / f"{number}.png", picture)
        asked.append(f"data.root={tmp_path / 'pictures'}")
    if data_of(experiment) == "stanford_dogs":
        asked.append(f"data.root={as_trees(tmp_path / 'dogs', few_dogs())}")
    if data_of(experiment) == "unpaired_folders":
        for domain, count in (("a", 5), ("b", 4)):
            for number in range(count):
                picture = torch.full((3, 30, 40), 40 * number, dtype=torch.uint8)
                picture[:, number + 5] = 255 - 40 * number
                images.save_png(tmp_path / domain / f"{number}.png", picture)
            asked.append(f"data.{domain}={tmp_path / domain}")
        asked += ["model.resolution=32", "model.generator.width=4", "model.discriminator.width=4"]
    run = build(compose(*asked), RunDirectory(tmp_path))
    assert isinstance(run.game, GAN | CycleGAN)
    before = {name: [p.detach().clone() for p in network.parameters()] for name, network in run.game.networks.items()}
    run.advance()
    run.advance()
    run.meter.check()
    for name, network in run.game.networks.items():
        moved = [not torch.equal(old, new) for old, new in zip(before[name], network.parameters(), strict=True)]
        if name == "discriminator" and not isinstance(run.game.loss, LabelTargets):
            moved.pop()  # its last bias is a constant, which differences of logits do not see
        assert all(moved), name
