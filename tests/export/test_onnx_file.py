import importlib.util
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch
from exporting import exported, of_network
from torch import Tensor, nn

from gan_cli.errors import Refused, RunFailed
from gan_cli.export import onnx_file
from gan_cli.export.exported import Exported
from gan_cli.networks import DataFacts
from gan_cli.schema import Config

Compose = Callable[..., Config]

GREY, RGB = (1, 8, 8), (3, 8, 8)
NARROW = ("latent.dim=5", "model.generator.widths=[6,4]", "model.discriminator.widths=[4]")
DCGAN = ("model=dcgan", "model.resolution=8", "model.generator.hidden=8", *NARROW)
CLASSES = ("a", "b", "c")
NETWORKS: dict[str, tuple[Sequence[str], Sequence[int], Sequence[str]]] = {
    "mlp points": (("model=mlp", "data=ring8", *NARROW), (2,), ()),
    "mlp images": (("model=mlp", "model.generator.activation=gelu", *NARROW), RGB, ()),
    "mlp classes": (("model=mlp", "model.conditional=concat", *NARROW), GREY, CLASSES),
    "dcgan": (DCGAN, GREY, ()),
    "dcgan concat": ((*DCGAN, "model.conditional=concat"), GREY, CLASSES),
    "dcgan projection": ((*DCGAN, "model.conditional=projection"), RGB, CLASSES),
    "dcgan dropout": ((*DCGAN, "model.generator.dropout=0.5", "model.generator.activation=elu"), GREY, ()),
    "dcgan batch": ((*DCGAN, "sampling.batch_norm=batch"), GREY, ()),
    "dcgan3x3": (("model=dcgan3x3", "latent.dim=5", "model.resolution=8", "model.generator.widths=[6,4]"), GREY, ()),
    "dcgan64": (
        ("model=dcgan64", "data=mnist", "model.resolution=16", "model.generator.activation=leaky_relu", *NARROW),
        (3, 16, 16),
        (),
    ),
    "dcgan64 projection": (
        (
            "model=dcgan64",
            "data=mnist",
            "model.resolution=16",
            "model.generator.activation=leaky_relu",
            *NARROW,
            "model.conditional=projection",
        ),
        (3, 16, 16),
        CLASSES,
    ),
    "r3gan": (("model=r3gan", "latent.dim=5", "model.resolution=8", "model.generator.widths=[16,32]"), RGB, ()),
    "r3gan classes": (
        (
            "model=r3gan",
            "latent.dim=5",
            "model.resolution=8",
            "model.generator.widths=[16]",
            "model.conditional=concat",
        ),
        GREY,
        CLASSES,
    ),
}
QUICK = ("mlp points", "dcgan projection")


def run(path: Path, one: Exported, count: int) -> tuple[Tensor, Tensor, object]:
    """Samples of the file and of the network, and the session."""
    onnxruntime = pytest.importorskip("onnxruntime")
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    inputs = one.inputs(count)
    fed = {name: tensor.numpy() for name, tensor in zip(one.input_names, inputs, strict=True)}
    return torch.from_numpy(session.run(None, fed)[0]), one.outputs(inputs), session


@pytest.mark.parametrize("name", [pytest.param(n, marks=[] if n in QUICK else pytest.mark.slow) for n in NETWORKS])
def test_file_computes_what_the_network_does_for_any_number_of_samples(
    name: str, compose: Compose, tmp_path: Path
) -> None:
    for needed in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(needed)
    overrides, shape, classes = NETWORKS[name]
    one = exported(compose(*overrides), shape, classes)
    path = tmp_path / "g.onnx"
    said = onnx_file.save(one, path)
    assert said.startswith("opset 18; 8 samples in onnxruntime")
    for count in (1, 2, 65):
        theirs, ours, session = run(path, one, count)
        assert theirs.shape == (count, *shape)
        assert float((theirs - ours).abs().max()) < 1e-4
        assert float(ours.std()) > 1e-3  # they are not all alike, which would agree easily
    assert [entry.name for entry in session.get_inputs()] == list(one.input_names)  # type: ignore[attr-defined]
    assert [entry.name for entry in session.get_outputs()] == [one.output_name]  # type: ignore[attr-defined]
    assert session.get_modelmeta().custom_metadata_map == one.metadata()  # type: ignore[attr-defined]
    assert b".py" not in path.read_bytes()  # nothing of where the sources lie
    assert str(Path(onnx_file.__file__).parents[2]).encode() not in path.read_bytes()


class Custom(nn.Module):
    """A network of somebody's own, that does what `how` says."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.layer, self.how = nn.Linear(4, 2), how

    def forward(self, latents: Tensor) -> Tensor:
        points: Tensor = self.layer(latents)
        match self.how:
            case "draws":
                return points + torch.randn_like(points)
            case "fixed":
                return points.reshape(len(points), 1, 2).expand(len(points), 2, 2).sum(1)
            case "asks":
                return points if float(points.sum()) > 0 else -points
        return points


def custom(how: str) -> Exported:
    torch.manual_seed(0)
    return of_network(Custom(how), {"_target_": "mine.Custom"}, 4, DataFacts((2,)))


@pytest.mark.parametrize(
    ("how", "error", "words"),
    [
        ("draws", RunFailed, "does not compute what the network does"),
        ("fixed", Refused, "for any number of samples"),
        ("asks", Refused, "cannot be written as ONNX"),
    ],
)
def test_network_that_cannot_be_exported_is_told_of_and_leaves_nothing(
    how: str, error: type[Exception], words: str, tmp_path: Path
) -> None:
    for needed in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(needed)
    (tmp_path / "g.onnx").write_bytes(b"before")
    with pytest.raises(error, match=words) as refusal:
        onnx_file.save(custom(how), tmp_path / "g.onnx")
    assert "\n" not in str(refusal.value)
    assert [path.name for path in tmp_path.iterdir()] == ["g.onnx"]
    assert (tmp_path / "g.onnx").read_bytes() == b"before"


def test_without_onnxruntime_the_form_alone_is_checked_and_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for needed in ("onnx", "onnxscript"):
        pytest.importorskip(needed)
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
    assert "it was not run" in onnx_file.save(custom("nothing"), tmp_path / "g.onnx")


def test_without_the_extra_it_is_refused_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "onnxscript" else real(name))
    monkeypatch.setattr(onnx_file, "_NEEDED", ("json", "onnxscript"))
    with pytest.raises(Refused, match="needs onnxscript, not installed here: pip install 'gan-cli\\[onnx\\]'"):
        onnx_file.save(custom("nothing"), tmp_path / "g.onnx")


def test_weights_that_no_single_file_holds_are_refused_before_anything_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnx_file, "_NEEDED", ())
    monkeypatch.setattr(onnx_file, "_MOST", 39)  # 4 · 2 weights and 2 biases take 40 bytes
    with pytest.raises(Refused, match="format=safetensors"):
        onnx_file.save(custom("nothing"), tmp_path / "g.onnx")
    assert not list(tmp_path.iterdir())
