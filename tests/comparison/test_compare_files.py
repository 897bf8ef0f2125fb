"""comparison.csv and comparison.html: complete, and safe whatever a stranger's run is called."""

import csv
import io
from html.parser import HTMLParser
from pathlib import Path

import pytest
from made_runs import LSGAN, make, metric_lines, sweep

from gan_cli.comparison import table
from gan_cli.comparison.groups import grouped
from gan_cli.comparison.metric import Metric
from gan_cli.comparison.page import page, tail
from gan_cli.comparison.records import Record
from gan_cli.comparison.svg import Curve, chart
from gan_cli.doctor.series import Series

KL = Metric("kl")
NAN = float("nan")
HOSTILE = "</title><script>alert(1)</script><img src=http://x/ onerror=alert(2)>\"'&"


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_the_csv_has_a_line_for_each_run(tmp_path: Path) -> None:
    losses = [{"step": 50, "loss/D": 1.5, "loss/G": -0.5}]
    lines = [*losses, *metric_lines({"metrics/kid": [5.0, 3.0]}, extractor="mnist_v1", count=200, weights="ema")]
    records = [
        make(tmp_path / "0", lines=lines, seed=3, minutes=2, typed=("loss=bce",)),
        make(tmp_path / "1", state="failed", reason="no disk", typed=("loss=lsgan",), config=LSGAN),
    ]
    first, second = rows(table.text(grouped(records, Metric("kid")), Metric("kid")))
    assert first == {
        "run": str(tmp_path / "0"),
        "group": "1",
        "loss": "bce",
        "seed": "3",
        "state": "finished",
        "reason": "",
        "metric": "kid",
        "value": "3.0",
        "at_step": "100",
        "extractor": "mnist_v1",
        "count": "200",
        "weights": "ema",
        "loss/D": "1.5",
        "loss/G": "-0.5",
        "steps": "100",
        "minutes": "2.0",
    }
    assert (second["loss"], second["state"], second["reason"], second["value"]) == ("lsgan", "failed", "no disk", "")


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t=", "\r\n@", " -"])
def test_no_text_becomes_a_formula(start: str, tmp_path: Path) -> None:
    text = f"{start}HYPERLINK(x)"
    records = [
        make(tmp_path / "0", state="failed", reason=text, typed=(f"loss={text}",)),
        make(tmp_path / "1", typed=("loss=-0.5",), config=LSGAN),
    ]
    told = {row["state"]: row for row in rows(table.text(grouped(records, None), None))}
    assert told["failed"]["reason"].startswith("'")
    assert told["failed"]["loss"].startswith("'")
    assert told["finished"]["loss"] == "-0.5"  # a number stays one


class Reader(HTMLParser):
    """What a browser would make of a page."""

    VOID = ("meta", "img", "br")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def full_page(tmp_path: Path, name: str = "name") -> str:
    cells = {("bce", "0.1"): (0.2, 0.4), ("lsgan", "0.1"): (0.3, NAN), ("bce", "0.2"): (0.3,)}
    records = sweep(tmp_path / "sweep", cells)
    lines = [{"step": step, "loss/D": step / 10, "loss/G": -1.0} for step in (1, 50)]
    records.append(
        make(tmp_path / "x", (0.9,), typed=(f"loss={name}", "optim.lr=0.1"), lines=lines, state="failed", reason=name)
    )
    (tmp_path / "x/train.log").write_text(f"first\n{name}\n")
    pictures = {record.path: (b"png", name) for record in records[:-1]} | {records[-1].path: (None, name)}
    return page(grouped(records, KL), KL, pictures, name)


def test_the_page_is_well_formed_and_has_every_part(tmp_path: Path) -> None:
    read = Reader(full_page(tmp_path))
    assert read.open == []
    text = " ".join(read.texts)
    for part in ("Leaderboard", "Samples", "kl over steps", "Losses", "Effect of each key", "Failures", "All runs"):
        assert part in text
    tags = [tag for tag, _ in read.tags]
    # Curves of kl of the four that finished, and two losses; of kl there is one point of the two that failed.
    assert (tags.count("img"), tags.count("polyline"), tags.count("circle")) == (5, 4 + 2, 2)
    assert "first" in text


def test_the_page_loads_nothing(tmp_path: Path) -> None:
    for tag, attributes in Reader(full_page(tmp_path)).tags:
        assert tag not in ("link", "iframe", "object", "base", "form", "a")
        for name, value in attributes.items():
            assert name not in ("href", "srcset", "style", "xlink:href", "background")
            assert not name.startswith("on")
            assert name != "src" or (tag == "img" and str(value).startswith("data:image/png;base64,"))
    assert "url(" not in full_page(tmp_path / "again")
    assert "@import" not in full_page(tmp_path / "third")


def test_what_comes_from_files_stays_text(tmp_path: Path) -> None:
    plain, hostile = Reader(full_page(tmp_path / "0")), Reader(full_page(tmp_path / "1", HOSTILE))
    assert [tag for tag, _ in hostile.tags] == [tag for tag, _ in plain.tags]
    assert [sorted(attributes) for _, attributes in hostile.tags] == [
        sorted(attributes) for _, attributes in plain.tags
    ]
    assert " ".join(hostile.texts).count("alert(1)") >= 4  # it is told, in the title, the label, the reason and the log


def test_hostile_steps_and_numbers_are_drawn_or_left_out(tmp_path: Path) -> None:
    lines = [{"step": 10**30, "loss/D": 1e308}, {"step": 0, "loss/D": -1e308}, {"step": 3, "loss/G": 5e-324}]
    record = make(tmp_path / "0", (1e308, -1e308, 1e-300), lines=lines)
    Reader(page(grouped([record], KL), KL, {}, "t"))


def test_a_page_of_runs_without_anything_is_a_page(tmp_path: Path) -> None:
    records = [Record(tmp_path / "0", "absent"), Record(tmp_path / "1", "unreadable", "status.json is damaged")]
    assert Reader(page(grouped(records, None), None, {}, "t")).open == []


def test_curves_are_drawn_where_their_values_are() -> None:
    drawn = chart([Curve("a", 0, Series([0, 50, 100], [0.0, 1.0, 0.5]))], "what", logarithmic=False)
    points = Reader(drawn).tags[-2][1]["points"]
    assert points is not None
    (x0, y0), (x1, y1), (x2, y2) = (map(float, point.split(",")) for point in points.split())
    assert x1 - x0 == pytest.approx(x2 - x1, abs=0.2)
    assert y1 < y2 < y0  # the largest is highest, which is the least distance from the top
    assert y2 == pytest.approx((y0 + y1) / 2, abs=0.2)


def test_long_curves_are_thinned_and_keep_their_ends() -> None:
    series = Series(range(10_000), [float(n) for n in range(10_000)])
    points = Reader(chart([Curve("a", 0, series)], "what")).tags[-2][1]["points"]
    assert points is not None
    assert len(points.split()) <= 201
    assert points.split()[-1].startswith("352.0,")  # the right end


def test_the_tail_of_a_log_is_its_last_lines(tmp_path: Path) -> None:
    log = tmp_path / "train.log"
    log.write_bytes(b"\xff" * 200_000 + b"\n" + b"".join(b"line %d\n" % n for n in range(9)))
    assert tail(log) == "\n".join(f"line {n}" for n in range(4, 9))
    log.write_text("x" * 1000)
    assert tail(log) == "x" * 300
    assert tail(tmp_path / "none") == ""
    assert tail(tmp_path) == ""
