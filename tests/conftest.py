"""What the tests share."""

import gzip
import json
import logging
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from fork_server import ForkServer
from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra._internal.hydra import Hydra
from omegaconf import OmegaConf
from tensorboard.summary.writer import event_file_writer

from gan_cli.commands.train import train
from gan_cli.conf_dir import CONF_DIR
from gan_cli.parse import parse, split
from gan_cli.schema import Config
from gan_cli.streams import Streams

# Small enough to train within a blink, on data that need no file.
TINY = (
    "data=gaussian2d",
    "data.num_samples=64",
    "model.generator.widths=[8]",
    "model.discriminator.widths=[8]",
    "latent.dim=4",
    "train.batch_size=16",
    "train.steps=12",
    "train.log_every=4",
    "train.sample_every=6",
    "train.checkpoint_every=6",
)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Of the cases of a test that is marked exhaustive(n), n spread evenly over them are quick, the others slow."""
    cases = defaultdict(list)
    for item in items:
        if item.get_closest_marker("exhaustive") and not item.get_closest_marker("slow"):
            cases[item.nodeid.partition("[")[0]].append(item)
    for group in cases.values():
        marker = group[0].get_closest_marker("exhaustive")
        assert marker is not None
        quick = {place * len(group) // marker.args[0] for place in range(marker.args[0])}
        for place, item in enumerate(group):
            if place not in quick:
                item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """Networks this small gain nothing from a second thread, and lose much where cores are shared."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session", autouse=True)
def _cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Reference statistics are kept for the session, and not among the user's files."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GAN_CLI_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def compose() -> Callable[..., Config]:
    """Overrides as typed on the command line -> the checked configuration."""

    def composed(*overrides: str) -> Config:
        OmegaConf.register_new_resolver("new_run_dir", lambda parent: parent, replace=True)
        with initialize_config_dir(config_dir=CONF_DIR, version_base="1.3"):
            return parse(split(hydra_compose("train", overrides=list(overrides)))[1])

    return composed


@pytest.fixture
def streams() -> Streams:
    return Streams(0, torch.device("cpu"))


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ForkServer]:
    """Starts commands as processes of their own, in a directory that is the current one here too."""
    monkeypatch.chdir(tmp_path)
    server = ForkServer(tmp_path)
    yield server
    server.close()


@pytest.fixture(scope="session")
def sprites() -> Path:
    """Real sprites, where the development data are at hand."""
    path = Path(__file__).resolve().parents[2] / "shared" / "data" / "pokemon.zip"
    if not path.exists():
        pytest.skip("the development data are not here")
    return path


def write_idx(path: Path, array: torch.Tensor) -> None:
    """A gzip-compressed IDX file of unsigned bytes."""
    header = bytes([0, 0, 8, array.dim()]) + b"".join(size.to_bytes(4, "big") for size in array.shape)
    path.write_bytes(gzip.compress(header + bytes(array.flatten().tolist())))


@dataclass(frozen=True)
class Result:
    """What a command left: its exit code and what it printed."""

    code: int
    out: str
    err: str


def outcomes(directory: Path = Path(".")) -> dict[int, tuple[str, str]]:
    """State and reason of each job of the only sweep below a directory, by number."""
    found = {int(path.parent.name): json.loads(path.read_text()) for path in directory.glob("**/[0-9]*/status.json")}
    return {number: (status["state"], status["reason"]) for number, status in sorted(found.items())}


@pytest.fixture
def cli(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Callable[..., Result]]:
    """Runs gan-train (or another command) in this process, in a directory of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)

    # Hydra composes everything once more to learn `hydra.mode`, which nothing of ours sets: a third of a short run.
    monkeypatch.setattr(Hydra, "get_mode", lambda *_, **__: None)

    # TensorBoard reads a directory's files by name, and of two that a process writes in a second the 10th would precede
    # the 9th: numbers of as many digits stay in order.
    monkeypatch.setattr(event_file_writer, "_global_uid", event_file_writer.AtomicCounter(10**6))

    def run(*arguments: str, command: Callable[[], None] = train) -> Result:
        monkeypatch.setattr("sys.argv", ["gan-command", *arguments])
        monkeypatch.setattr("rich._console", None)  # a console for the captured streams
        capsys.readouterr()
        with pytest.raises(SystemExit) as exited:
            command()
        captured = capsys.readouterr()
        return Result(int(exited.value.code or 0), captured.out, captured.err)

    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield run
    for handler in set(root.handlers) - set(handlers):  # Hydra's, which write into a directory that will be gone
        handler.close()
    root.handlers[:] = handlers
    root.setLevel(level)
