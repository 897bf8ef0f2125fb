"""What is told at the end of a run: what it made, what that is worth, and what to type next."""

import json
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from gan_cli.durations import clock
from gan_cli.evaluation.measure import telling, told
from gan_cli.run_directory import RunDirectory

_OURS = ("gan_cli.", "torch.optim.")
_FOLDER = "gan_cli.data.folder.load"
_PLAIN = ("gan_cli.models.mlp.MLPGenerator", "gan_cli.models.dcgan64.DCGAN64Generator")
_NO_AUGMENT = "gan_cli.augment.none.NoAugment"


def ending(
    directory: RunDirectory, config: Mapping[str, Any], steps: int, total_steps: int, troubled: bool
) -> Iterator[str]:
    """The lines, of a run that has ended after some of its steps.

    Args:
        config: the run's, resolved.
        troubled: the doctor has seen something.
    """
    summary = json.loads(directory.summary.read_text(encoding="utf-8"))
    measured = _worth(directory)
    if measured is not None:
        yield f"{measured}: the nearer to what real data score, the better"
    grids = sorted(directory.samples.glob("step_*.png"))
    shown = (
        f"; the last samples are samples/{grids[-1].name} there, all in motion samples/progress.webp" if grids else ""
    )
    yield f"took {clock(summary['wall_s'])}{shown}"
    yield "next:"
    for command in _next(directory, config, steps, total_steps, measured is not None, troubled):
        yield f"  {command}"


def _next(
    directory: RunDirectory, config: Mapping[str, Any], steps: int, total_steps: int, measured: bool, troubled: bool
) -> Iterator[str]:
    """Commands to type: more samples, measuring, going on, what to try, the curves."""
    path = shlex.quote(str(directory.path))
    if directory.last.exists():
        trust = _trust(config)
        translates = config.get("game", {}).get("name") == "cyclegan"
        if translates:
            yield f"gan-translate checkpoint={path} direction=a2b input={_folder_of_a(config)} out=translated{trust}"
        else:
            yield f"gan-sample checkpoint={path} num_images=64 out=drawn{trust}"
        if not measured and not translates:
            yield f"gan-evaluate checkpoint={path} out=evaluated{trust}"
        yield f"gan-train resume={path}{_longer(config, steps, total_steps)}{trust}"
    if troubled:
        yield f"gan-doctor run={path}"
    elif _is_plain_folder(config):
        root = shlex.quote(f"data.root={config['data']['root']}")
        yield f"gan-train experiment=folder64 {root}"
    yield f"tensorboard --logdir {path}"


def _folder_of_a(config: Mapping[str, Any]) -> str:
    """Pictures of domain A to translate: those of the run, where they lie in a folder."""
    folder = config["data"].get("a")
    return shlex.quote(folder) if isinstance(folder, str) else "DIR"


def _longer(config: Mapping[str, Any], steps: int, total_steps: int) -> str:
    """What to type for about as much again; nothing for a run whose time was spent before its steps were."""
    train = config["train"]
    if steps < total_steps:
        return ""
    key = "epochs" if train["steps"] is None else "steps"
    return f" train.{key}={2 * train[key]}"


def _trust(config: Mapping[str, Any]) -> str:
    """The packages of others that a checkpoint of the run names."""
    named = sorted({target.split(".")[0] for target in _targets(config) if not target.startswith(_OURS)})
    return " " + shlex.quote(f"trust=[{','.join(named)}]") if named else ""


def _targets(node: Any) -> Iterator[str]:
    if isinstance(node, Mapping):
        if "_target_" in node:
            yield str(node["_target_"])
        for value in node.values():
            yield from _targets(value)
    elif isinstance(node, list | tuple):
        for value in node:
            yield from _targets(value)


def _is_plain_folder(config: Mapping[str, Any]) -> bool:
    """Whether the data are a folder of pictures and nothing was chosen for them."""
    generator, augment = config["model"]["generator"], config["augment"]
    return (
        config["data"]["_target_"] == _FOLDER and generator["_target_"] in _PLAIN and augment["_target_"] == _NO_AUGMENT
    )


def _worth(directory: RunDirectory) -> str | None:
    """What was measured last, told by one metric with its floor; None where nothing was."""
    found: dict[str, dict[str, Any]] = {}
    step = None
    for content in map(json.loads, directory.metric_lines()):
        for name in content:
            if name.startswith(("final/", "metrics/")):
                if (content["step"], name.split("/")[0]) != step:
                    found, step = {}, (content["step"], name.split("/")[0])
                found.setdefault(name.split("/")[1], content | {"value": content[name]})
    if not found:
        return None
    name = telling(list(found))
    of = found[name]
    samples = f" of {of['count']:,} samples" if of["count"] else ""
    return f"{told(name, of['value'], of['floor'])}{samples}"
