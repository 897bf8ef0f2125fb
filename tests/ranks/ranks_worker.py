"""Two processes that train the same cases together, one after the other, forked from one that has imported it all.

`python ranks_worker.py CASES OUT`: a JSON file of {name: overrides}. Each rank leaves OUT/RANK.json, by case what it
drew, logged and measured, and OUT/RANK/NAME.safetensors, the tensors that it holds in the end.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from safetensors.torch import save_file

from gan_cli.build import build
from gan_cli.conf_dir import CONF_DIR
from gan_cli.parse import parse, split
from gan_cli.ranks.many import Many
from gan_cli.ranks.ranks import ALONE, Ranks
from gan_cli.run import Run
from gan_cli.run_directory import RunDirectory

STEPS = 3


def built(overrides: list[str], ranks: Ranks) -> Run:
    """The run of a command line."""
    OmegaConf.register_new_resolver("new_run_dir", lambda parent: parent, replace=True)
    with initialize_config_dir(config_dir=CONF_DIR, version_base="1.3"):
        config = parse(split(compose("train", overrides=overrides))[1])
    return build(config, RunDirectory(Path("unused")), ranks=ranks)


def tensors(run: Run) -> dict[str, torch.Tensor]:
    """A copy of all that a run would save."""
    return {name: tensor.detach().clone() for name, tensor in run.state().tensors.items()}


def trained(overrides: list[str], ranks: Ranks) -> tuple[Run, dict[str, torch.Tensor], list[dict[str, float]]]:
    """A run after a few steps, what it would save, and what it logged of each step."""
    run = built(overrides, ranks)
    logged = []
    for _ in range(min(STEPS, run.total_steps)):
        run.advance()
        logged.append(run.meter.means())
        run.meter.clear()
    return run, tensors(run), logged


def measured(run: Run) -> dict[str, float]:
    """What an evaluation tells on the first rank, with which the others share the work; nothing on those."""
    if not run.ranks.leads:
        run.assist(final=False)
        return {}
    found = run.select()
    return {} if found is None else found.values


def one(name: str, overrides: list[str], ranks: Ranks, out: Path) -> dict[str, Any]:
    """One case on one rank."""
    untrained = built(overrides, ranks)
    word: dict[str, Any] = {"measured": measured(untrained)}
    run, state, logged = trained(overrides, ranks)
    run.ranks.check_equal(run.step, state)
    save_file({key: tensor.contiguous() for key, tensor in state.items()}, out / f"{name}.safetensors")
    samples = next(iter(run.samplers.values()))(range(70)) if ranks.leads else torch.empty(0)  # while the others wait
    return word | {"logged": logged, "samples": samples.flatten().tolist()}


def main(cases: Path, out: Path) -> None:
    """Fork, and go through the cases on each rank."""
    torch.set_num_threads(1)
    first = os.fork()
    rank = 0 if first else 1
    ranks = Many(rank, 2, rank, 0, dist.FileStore(str(out / "store"), 2))
    try:
        ranks.join(torch.device("cpu"))
        (out / str(rank)).mkdir()
        told = {name: one(name, of, ranks, out / str(rank)) for name, of in json.loads(cases.read_text()).items()}
        (out / f"{rank}.json").write_text(json.dumps(told))
        dist.destroy_process_group()
    finally:
        if rank:
            sys.stdout.flush()
    if first:
        code = os.waitstatus_to_exitcode(os.waitpid(first, 0)[1])
        assert code == 0, f"the other rank ended with {code}"


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))


__all__ = ["ALONE", "built", "measured", "tensors", "trained"]
