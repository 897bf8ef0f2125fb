"""gan-compare: runs side by side, whatever state they are in."""

import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import hydra
from omegaconf import DictConfig

from gan_cli.command_schema import CompareConf
from gan_cli.commands import entry
from gan_cli.comparison import metric as metrics
from gan_cli.comparison import page, records, standing, table
from gan_cli.comparison.groups import Group, grouped
from gan_cli.comparison.metric import Metric
from gan_cli.conf_dir import CONF_DIR
from gan_cli.console import tracked
from gan_cli.errors import Refused
from gan_cli.files import replacing, shortest
from gan_cli.parse import resolved, typed_as
from gan_cli.suggest import did_you_mean

if TYPE_CHECKING:
    from gan_cli.comparison.strips import Strip

log = logging.getLogger("gan_cli.compare")

_ON_SHEET = 40  # rows; the page has them all
_TITLE = 100  # characters


def compare() -> None:
    """The console command."""
    sys.exit(entry.run(main, "gan-compare", entry.alone("gan-compare looks at all runs at once")))


@hydra.main(version_base="1.3", config_path=CONF_DIR, config_name="compare")
def main(composed: DictConfig) -> None:
    """One job."""
    with entry.job():
        _compare(typed_as(CompareConf, resolved(composed)))


def _compare(conf: CompareConf) -> None:
    paths = named(conf.runs)
    found = [records.read(path) for path in records.find(paths)]
    metric = _metric(found, conf.metric)
    groups = grouped(found, metric)
    out = Path(conf.out).expanduser() if conf.out is not None else paths[0]
    with entry.writing_to(out):
        _write(out / "comparison.csv", table.text(groups, metric).encode())
    _printed(groups, metric)
    strips = _strips(groups, conf)
    _write_page(out / "comparison.html", groups, metric, strips, f"Comparison of {conf.runs}")
    if strips:
        _write_sheet(out / "comparison.png", groups, metric, strips)
    written = "comparison.csv and comparison.html" + (" and comparison.png" if strips else "")
    log.info("%s are in %s", written, shortest(out))


def named(text: str) -> list[Path]:
    """The paths that a value of `runs` means: one, in whose name commas may be, or several behind commas.

    Raises:
        Refused: there are none.
    """
    whole = Path(text).expanduser()
    paths = [whole] if whole.exists() else [Path(part.strip()).expanduser() for part in text.split(",") if part.strip()]
    if not paths:
        raise Refused("runs names no directory: runs=outputs/multirun/NAME")
    return paths


def _metric(found: Sequence[records.Record], wanted: str) -> Metric | None:
    chosen = metrics.choose(found, wanted)
    known = metrics.logged(found)
    if chosen is None and wanted != metrics.AUTO and known:
        raise Refused(f"metric={wanted}: no run has logged it{did_you_mean(wanted, known)}")
    return chosen


def _printed(groups: Sequence[Group], metric: Metric | None) -> None:
    from rich.console import Console

    from gan_cli.comparison import terminal

    console = Console(width=max(terminal.WIDTH, Console().width))
    console.print(standing.measured(groups, metric), markup=False, highlight=False, soft_wrap=True)
    console.print(terminal.leaderboard(groups))
    if terminal.others(groups):
        console.print(terminal.others(groups), markup=False, highlight=False)
    console.print(f"\n{standing.verdict(groups, metric)}\n", markup=False, highlight=False, soft_wrap=True)
    effects = terminal.key_effects(groups)
    if effects is not None:
        console.print(effects)
        console.print()
    for line in terminal.failures(groups):
        log.warning("%s", line)


def _strips(groups: Sequence[Group], conf: CompareConf) -> "dict[Path, Strip]":
    """The samples of each run; none where they are not wanted."""
    if not conf.samples:
        return {}
    # Torch takes seconds to import: the table is on the terminal before.
    from gan_cli.comparison.strips import strip

    found = [entry.record for group in groups for entry in group.entries]
    return {record.path: strip(record, conf.samples, conf.trust) for record in tracked(found, "sampling", len(found))}


def _write_page(
    path: Path, groups: Sequence[Group], metric: Metric | None, strips: "dict[Path, Strip]", title: str
) -> None:
    pictures: dict[Path, tuple[bytes | None, str]] = {}
    if strips:
        from gan_cli import images

        pictures = {
            run: (None if strip.picture is None else images.png(strip.picture), strip.source)
            for run, strip in strips.items()
        }
    _write(path, page.page(groups, metric, pictures, title).encode("utf-8", errors="replace"))


def _write_sheet(path: Path, groups: Sequence[Group], metric: Metric | None, strips: "dict[Path, Strip]") -> None:
    """A row for each group: what its best seed draws."""
    from gan_cli import images, plots

    rows = []
    for group in groups[:_ON_SHEET]:
        best = group.best(metric)
        title = f"{group.number}. {group.label}"
        title = title if len(title) <= _TITLE else title[: _TITLE - 1] + "…"
        value = f"{metric.name} {best.value.value:.4g}" if metric is not None and best.value is not None else "no value"
        rows.append((f"{title}\nseed {best.record.seed}: {value}", strips[best.record.path].picture))
    images.save_png(path, plots.sheet(rows))


def _write(path: Path, content: bytes) -> None:
    with replacing(path) as file:
        file.write(content)
