"""Run directories as gan-train leaves them, written by hand."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from gan_cli.comparison.records import Record, read

CONFIG: dict[str, Any] = {
    "loss": {"_target_": "gan_cli.losses.bce.BCE", "real_target": 1.0},
    "data": {"_target_": "gan_cli.data.mixtures.ring", "kind": "vector", "std": 0.01},
    "optim": {
        "lr": 1e-3,
        "generator": {"lr": 1e-3},
        "discriminator": {"lr": 1e-3},
        "schedule": {"shape": "constant", "steps": 100},
        "_target_": "torch.optim.Adam",
    },
    "train": {"epochs": 5, "steps": 100, "log_every": 50, "evaluate_every": 50},
    "device": {"type": "cpu", "threads": None},
    "seed": 0,
}
LSGAN = {"loss": {"_target_": "gan_cli.losses.lsgan.LSGAN", "real_target": 1.0, "d_scale": 0.5}}


def merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Nested mappings, the second over the first; a `_target_` brings its own keys along."""
    result = dict(base)
    for key, value in changes.items():
        mergeable = isinstance(value, dict) and isinstance(result.get(key), dict) and "_target_" not in value
        result[key] = merged(result[key], value) if mergeable else value
    return result


def metric_lines(values: Mapping[str, Sequence[float]], every: int = 50, **about: Any) -> list[dict[str, Any]]:
    """Lines of metrics.jsonl, a value of each metric every so many steps."""
    told = {"extractor": None, "count": 2500, "floor": 0.0, "weights": "raw"} | about
    return [
        {"step": every * (place + 1), name: value} | told
        for name, series in values.items()
        for place, value in enumerate(series)
    ]


def make(
    path: Path,
    kl: Sequence[float] = (),
    *,
    seed: int = 0,
    state: str = "finished",
    reason: str | None = None,
    step: int = 100,
    config: Mapping[str, Any] | None = None,
    typed: Sequence[str] = (),
    lines: Sequence[Mapping[str, Any]] = (),
    minutes: float | None = None,
) -> Record:
    """Write a run whose `metrics/kl` came to these values, and read it.

    Args:
        config: what differs from CONFIG.
        lines: of metrics.jsonl besides.
    """
    (path / ".hydra").mkdir(parents=True)
    (path / "config.yaml").write_text(yaml.safe_dump(merged(CONFIG, {"seed": seed} | dict(config or {}))))
    (path / ".hydra/overrides.yaml").write_text(yaml.safe_dump([*typed, f"seed={seed}"]))
    (path / "status.json").write_text(json.dumps({"state": state, "step": step, "reason": reason}))
    told = [*lines, *metric_lines({"metrics/kl": kl})]
    (path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in told))
    if minutes is not None:
        (path / "summary.json").write_text(json.dumps({"wall_s": 60 * minutes}))
    return read(path)


def sweep(tmp_path: Path, cells: Mapping[tuple[str, str], Sequence[float]]) -> list[Record]:
    """A grid of `loss` and `optim.lr`; each cell has a seed for each value of its kl, nan for a run that diverged."""
    records = []
    for (loss, rate), values in cells.items():
        for seed, value in enumerate(values):
            well = value == value
            config = {"optim": {name: {"lr": float(rate)} for name in ("generator", "discriminator")}}
            config["optim"]["lr"] = float(rate)  # type: ignore[assignment]
            config |= LSGAN if loss == "lsgan" else {}
            records.append(
                make(
                    tmp_path / str(len(records)),
                    (9.0, value) if well else (9.0,),
                    seed=seed,
                    state="finished" if well else "diverged",
                    reason=None if well else "loss/G is nan at step 70",
                    config=config,
                    typed=(f"loss={loss}", f"optim.lr={rate}"),
                )
            )
    return records
