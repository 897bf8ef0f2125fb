"""A run on a terminal, from its first line to its last."""

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch
from conftest import TINY, Result
from safetensors.torch import load_file

SHOW, HIDE = "\x1b[?25h", "\x1b[?25l"
IMAGES = (
    *("model=dcgan", "model.generator.hidden=8", "model.generator.widths=[4,4]", "model.generator.dropout=0.1"),
    *("model.discriminator.hidden=8", "model.discriminator.widths=[4,4]", "data=mnist", "data.limit=64"),
    *("train.batch_size=16", "train.steps=12", "train.log_every=4", "train.sample_every=6", "train.checkpoint_every=6"),
)
START = (
    "import fcntl, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0)\n"
    "import torch; torch.set_num_threads(1)\n"
    "from gan_cli.commands.train import train\ntrain()"
)


@dataclass
class OnTerminal:
    """`gan-train` as a process whose terminal this is.

    Attributes:
        shown: all that it has written so far.
    """

    process: subprocess.Popen[bytes]
    end: int
    shown: str = ""
    _bytes: bytearray = field(default_factory=bytearray)

    def read(self, until: str | None = None, seconds: float = 120) -> str:
        """Until it has written something, or, without it, until it has ended."""
        deadline = time.monotonic() + seconds
        while until is None or until not in self.shown:
            assert time.monotonic() < deadline, self.shown
            if not select.select([self.end], [], [], 1)[0]:
                continue
            try:
                self._bytes += os.read(self.end, 65536)
            except OSError:  # it has closed its side
                assert until is None, self.shown
                break
            self.shown = self._bytes.decode(errors="replace")
        return self.shown


Start = Callable[..., OnTerminal]


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Start:
    """Starts a run on a terminal of 80 columns and 24 lines."""
    monkeypatch.chdir(tmp_path)

    def started(*arguments: str, **environment: str) -> OnTerminal:
        end, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        variables = {key: value for key, value in os.environ.items() if key not in ("NO_COLOR", "COLUMNS", "LINES")}
        process = subprocess.Popen(
            [sys.executable, "-W", "error", "-c", START, "hydra.run.dir=a run", *arguments],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            env=variables | {"TERM": "xterm-256color", "COLORTERM": "truecolor", "PYTHONUTF8": "1"} | environment,
        )
        os.close(theirs)
        return OnTerminal(process, end)

    return started


def plain(shown: str) -> str:
    """Without colors and movements."""
    return re.sub(r"\x1b\[[?\d;]*[A-Za-z]", "", shown).replace("\r", "")


def same_networks(one: Path, other: Path) -> bool:
    tensors, others = (load_file(path / "checkpoints/last.safetensors") for path in (one, other))
    return tensors.keys() == others.keys() and all(torch.equal(tensors[name], others[name]) for name in tensors)


@pytest.mark.exhaustive(1)
@pytest.mark.parametrize("data", [IMAGES, TINY], ids=["images", "points"])
def test_samples_are_shown_and_training_stays_the_same_to_the_last_bit(
    data: tuple[str, ...], start: Start, cli: Callable[..., Result]
) -> None:
    run = start(*data, "train.steps=60", "device.compile=none")
    shown = run.read()
    assert run.process.wait(30) == 0, shown
    assert re.search(r"\x1b\[38;2;\d+;\d+;\d+;48;2;\d+;\d+;\d+m▀", shown)
    assert "step 0/60" in plain(shown)
    assert shown.rindex(SHOW) > shown.rindex(HIDE)
    assert shown.rindex(SHOW) > shown.rindex("▀")
    told = plain(shown[shown.rindex(SHOW) :])
    assert "all steps done at step 60" in told
    assert "gan-train resume=" in told
    log = Path("a run/train.log").read_text()
    assert "▀" not in log
    assert "\x1b" not in log
    assert "step 6/60  loss/D" in log
    assert "step 6/60  loss/D" in plain(shown)

    off = cli(*data, "train.steps=60", "device.compile=none", "hydra.run.dir=off")
    assert off.code == 0
    assert "▀" not in off.out
    assert "\x1b" not in off.out
    assert same_networks(Path("a run"), Path("off"))


def test_ctrl_c_leaves_the_terminal_as_it_was(start: Start) -> None:
    run = start(*TINY, "train.steps=1000000", "train.sample_every=1000")
    run.read(until="step 1000/1000000  loss/D")
    os.write(run.end, b"\x03")
    shown = run.read()
    assert run.process.wait(30) == 130, shown
    assert shown.rindex(SHOW) > shown.rindex(HIDE)
    assert re.search(r"stopped at step \d+; go on with: gan-train resume='.*a run'", plain(shown))


@pytest.mark.exhaustive(1)
@pytest.mark.parametrize(
    ("typed", "environment"),
    [((), {"NO_COLOR": "1"}), ((), {"TERM": "dumb"}), (("live=false",), {}), ((), {"COLORTERM": "", "TERM": "linux"})],
    ids=["NO_COLOR", "dumb", "live=false", "16 colors"],
)
def test_there_are_no_pictures_where_none_are_wanted_or_possible(
    typed: tuple[str, ...], environment: dict[str, str], start: Start
) -> None:
    run = start(*TINY, *typed, **environment)
    shown = run.read()
    assert run.process.wait(30) == 0, shown
    assert "▀" not in shown
    assert "all steps done at step 12" in plain(shown)
