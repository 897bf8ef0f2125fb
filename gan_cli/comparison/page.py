"""comparison.html: everything about the runs on one page, which needs no network and no script."""

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

from gan_cli.comparison import standing
from gan_cli.comparison.effects import effects
from gan_cli.comparison.groups import FAILED, Entry, Group
from gan_cli.comparison.markup import Cell, Column, image, paragraph, section, table
from gan_cli.comparison.metric import Metric
from gan_cli.comparison.style import POLICY, SCRIPT, SHEET
from gan_cli.comparison.svg import Curve, chart

_TAIL, _LINE = 5, 300  # lines of a log, and characters of each
_READ = 65536  # bytes from the end of a log

Pictures = Mapping[Path, tuple[bytes | None, str]]
"""For each run its samples as PNG, and where they come from or why there are none."""


def page(groups: Sequence[Group], metric: Metric | None, pictures: Pictures, title: str) -> str:
    """The whole document.

    Args:
        groups: best first.
        pictures: by the runs' directories; runs that are left out have no place in the strip.
    """
    entries = [entry for group in groups for entry in group.entries]
    failed = sum(entry.record.state in FAILED for entry in entries)
    parts = [
        _leaderboard(groups, metric),
        _strip(groups, pictures),
        _metric_curves(groups, metric),
        _loss_curves(groups),
        _effects(groups),
        _failures(entries),
        _runs(groups, metric),
    ]
    counts = f"{len(entries)} runs in {len(groups)} groups, {failed} failed"
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{escape(POLICY)}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{SHEET}</style>\n</head>\n<body>\n"
        f"<h1>{escape(title)}</h1>\n{paragraph(counts)}\n{''.join(parts)}<script>{SCRIPT}</script>\n</body>\n</html>\n"
    )


def tail(path: Path) -> str:
    """The last lines of a log; nothing where there is none."""
    try:
        with open(path, "rb") as file:
            file.seek(max(0, path.stat().st_size - _READ))
            lines = file.read(_READ).decode(errors="replace").splitlines()
    except OSError:
        return ""
    return "\n".join(line[:_LINE] for line in lines[-_TAIL:])


def _leaderboard(groups: Sequence[Group], metric: Metric | None) -> str:
    keys = groups[0].told
    columns = [Column("group", True), *map(Column, keys)]
    columns += [Column(name, True) for name in ("mean ± sd", "from … to", "seeds", "failed")]
    columns += [Column("beside the best"), Column("minutes per run", True)]
    rows = []
    for group in groups:
        minutes = [entry.record.seconds / 60 for entry in group.entries if entry.record.seconds is not None]
        mean = sum(minutes) / len(minutes) if minutes else None
        note = standing.beside_best(group, groups)
        rows.append(
            [
                Cell(str(group.number), group.number),
                *(Cell(group.settings[key]) for key in keys),
                Cell(standing.figure(group), group.mean),
                Cell(standing.extent(group), min(group.values, default=None)),
                Cell(standing.seeds(group), len(group.values)),
                Cell(str(group.num_failed or ""), group.num_failed, "failed" if group.num_failed else ""),
                Cell(f"{note}: {group.way}" if note == standing.OTHERWISE else note),
                Cell("" if mean is None else f"{mean:.1f}", mean),
            ]
        )
    return section(
        "Leaderboard",
        paragraph(standing.measured(groups, metric)),
        paragraph(standing.verdict(groups, metric)),
        table(columns, rows),
        _others(groups),
    )


def _others(groups: Sequence[Group]) -> str:
    """What differs too, and is not needed to tell the groups apart."""
    more = [key for key in groups[0].settings if key not in groups[0].told]
    if not more:
        return ""
    rows = [[Cell(str(group.number), group.number), *(Cell(group.settings[key]) for key in more)] for group in groups]
    columns = [Column("group", True), *map(Column, more)]
    return f"<details><summary>{len(more)} more keys differ</summary>{table(columns, rows)}</details>"


def _strip(groups: Sequence[Group], pictures: Pictures) -> str:
    if not pictures:
        return ""
    figures = []
    for group in groups:
        for entry in group.entries:
            if entry.record.path in pictures:
                png, source = pictures[entry.record.path]
                name = _name(group, entry)
                picture = image(png, f"samples of {name}") if png is not None else paragraph("nothing to show", "note")
                caption = f"{escape(name)}<br><span class='note'>{escape(source)}</span>"
                figures.append(f"<figure>{picture}<figcaption>{caption}</figcaption></figure>")
    note = "Sample i of every run is drawn from the same latents, where these have the same length and distribution."
    return section("Samples", paragraph(note, "note"), '<div class="grid2">', *figures, "</div>")


def _metric_curves(groups: Sequence[Group], metric: Metric | None) -> str:
    if metric is None:
        return ""
    curves = [
        Curve(
            f"{group.number}. {group.label}, seed {_seed(entry)}", color, metric.curves(entry.record)[entry.value.way]
        )
        for color, group in enumerate(groups)
        for entry in group.entries
        if entry.value is not None and group.comparable
    ]
    shown = [group for group in groups if any(entry.value for entry in group.entries) and group.comparable]
    keys = "".join(
        f'<span class="key {f"c{group.number - 1}" if group.number <= 8 else "other"}">'
        f"{escape(f'{group.number}. {group.label}')}</span>"
        for group in shown[:9]
    )
    return section(f"{metric.name} over steps", f"<p>{keys}</p>", chart(curves, f"{metric.name} over steps"))


def _loss_curves(groups: Sequence[Group]) -> str:
    figures = []
    for group in groups:
        curves = [
            Curve(f"{name}, seed {_seed(entry)}", color, entry.record.log.mean(name))
            for entry in group.entries
            for color, name in enumerate(("loss/D", "loss/G"))
        ]
        title = f"{group.number}. {group.label}"
        figures.append(f"<div><h3>{escape(title)}</h3>{chart(curves, f'losses of {title}', logarithmic=False)}</div>")
    keys = '<p><span class="key c0">loss/D</span><span class="key c1">loss/G</span></p>'
    return section("Losses", keys, '<div class="grid2">', *figures, "</div>")


def _effects(groups: Sequence[Group]) -> str:
    found = effects(groups)
    if not found:
        return ""
    columns = [Column("key"), Column("value"), Column("mean ± sd", True), Column("runs", True), Column("failed", True)]
    rows = [
        [
            Cell(effect.key),
            Cell(effect.value + ("" if effect.balanced else " *")),
            Cell(standing.spread(effect.mean, effect.deviation), effect.mean),
            Cell(str(effect.count), effect.count),
            Cell(str(effect.failed or ""), effect.failed, "failed" if effect.failed else ""),
        ]
        for effect in found
    ]
    note = "Over all runs with that value, whatever their other keys. The spread holds that of the other keys too."
    star = "* The values of this key were not tried with the same values of the others, which therefore weigh in."
    unbalanced = any(not effect.balanced for effect in found)
    return section(
        "Effect of each key",
        paragraph(note, "note"),
        table(columns, rows),
        paragraph(star if unbalanced else "", "note"),
    )


def _failures(entries: Sequence[Entry]) -> str:
    failed = [entry.record for entry in entries if entry.record.state in FAILED]
    if not failed:
        return ""
    parts = []
    for record in failed:
        parts.append(f"<h3>{escape(str(record.path))}: <span class='failed'>{escape(record.state)}</span></h3>")
        parts.append(paragraph(record.reason or ""))
        log = tail(record.path / "train.log")
        parts.append(f"<pre>{escape(log)}</pre>" if log else "")
    return section("Failures", *parts)


def _runs(groups: Sequence[Group], metric: Metric | None) -> str:
    columns = [Column("group", True), Column("seed", True), Column("run"), Column("state"), Column("steps", True)]
    columns += [Column(metric.name if metric is not None else "metric", True), Column("at step", True)]
    columns += [Column("loss/D", True), Column("loss/G", True), Column("minutes", True)]
    rows = []
    for group in groups:
        for entry in group.entries:
            record, value = entry.record, entry.value
            losses = [record.log.mean(name) for name in ("loss/D", "loss/G")]
            minutes = record.seconds / 60 if record.seconds is not None else None
            rows.append(
                [
                    Cell(str(group.number), group.number),
                    Cell(_seed(entry), record.seed),
                    Cell(str(record.path)),
                    Cell(record.state, style="failed" if record.state in FAILED else ""),
                    Cell(f"{record.step:,}", record.step),
                    _number(value.value if value is not None else None),
                    Cell(f"{value.step:,}", value.step) if value is not None else Cell(""),
                    *(_number(curve.last if len(curve) else None) for curve in losses),
                    Cell("" if minutes is None else f"{minutes:.1f}", minutes),
                ]
            )
    return section("All runs", table(columns, rows))


def _number(value: float | None) -> Cell:
    return Cell("" if value is None else f"{value:.4g}", value)


def _name(group: Group, entry: Entry) -> str:
    return f"{group.number}. {group.label}, seed {_seed(entry)}"


def _seed(entry: Entry) -> str:
    return "?" if entry.record.seed is None else str(entry.record.seed)
