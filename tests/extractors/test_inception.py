"""The network of the published FID, with random weights: the arithmetic must be torch-fidelity's own."""

import socket
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gan_cli.errors import Refused
from gan_cli.extractors import open_extractor
from gan_cli.extractors.inception import Inception

blocks = pytest.importorskip("torch_fidelity.feature_extractor_inceptionv3")
SHAPE = (3, 32, 32)


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a connection")

    for function in ("socket", "create_connection", "getaddrinfo"):
        monkeypatch.setattr(socket, function, refuse)


@pytest.fixture(scope="module")
def weights() -> dict[str, Tensor]:
    """Of the network's shapes, of scales that keep its outputs alive."""
    random = torch.Generator().manual_seed(0)
    with torch.device("meta"):
        shapes = Inception(blocks).state_dict()
    found = {}
    for name, like in shapes.items():
        draw = torch.randn(like.shape, generator=random)
        if name.endswith("num_batches_tracked"):
            found[name] = torch.tensor(0)
        elif name.endswith(("running_var", "bn.weight")):
            found[name] = 1 + 0.1 * draw.abs()
        elif name.endswith(("running_mean", "bias")):
            found[name] = 0.1 * draw
        else:
            found[name] = draw * (2 / like[0].numel()) ** 0.5
    return found


@pytest.fixture(scope="module")
def file(weights: Mapping[str, Tensor], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("inception") / "weights.pth"
    torch.save(dict(weights), path)
    return path


def pictures(count: int, channels: int = 3, size: int = 32) -> Tensor:
    random = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (count, channels, size, size), generator=random, dtype=torch.uint8)


@pytest.mark.slow
@pytest.mark.parametrize("size", [32, 299, 320])
def test_features_are_those_of_torch_fidelity(file: Path, size: int) -> None:
    images = pictures(2, size=size)
    theirs = blocks.FeatureExtractorInceptionV3("inception-v3-compat", ["2048"], str(file))
    (expected,) = theirs(images)
    found = open_extractor("inception", SHAPE, file)(images)
    assert found.logits is None
    assert torch.allclose(found.embedding, expected, rtol=1e-4, atol=1e-5 * float(expected.abs().max()))
    assert float(expected.std()) > 0


@pytest.mark.slow
def test_features_do_not_depend_on_the_batch_nor_change_the_network(file: Path) -> None:
    extractor = open_extractor("inception", SHAPE, file)
    before = {key: tensor.clone() for key, tensor in extractor.network.state_dict().items()}
    whole = extractor(pictures(5)).embedding
    parts = torch.cat([extractor(part).embedding for part in pictures(5).split(2)])
    assert torch.allclose(parts, whole, rtol=1e-4, atol=1e-5 * float(whole.abs().max()))
    assert all(torch.equal(tensor, before[key]) for key, tensor in extractor.network.state_dict().items())


def test_opening_it(file: Path) -> None:
    random = torch.random.get_rng_state()
    extractor = open_extractor("inception", SHAPE, file)
    assert torch.equal(torch.random.get_rng_state(), random)
    assert (extractor.dim, extractor.num_classes, extractor.standardize) == (2048, 0, False)
    assert not any(parameter.requires_grad for parameter in extractor.network.parameters())
    assert not any(module.training for module in extractor.network.modules())
    found = extractor(pictures(1, 1)).embedding
    assert found.shape == (1, 2048)
    assert torch.equal(found, extractor(pictures(1, 1).repeat(1, 3, 1, 1)).embedding)


def test_digest_is_of_what_the_file_holds(weights: Mapping[str, Tensor], file: Path, tmp_path: Path) -> None:
    digest = open_extractor("inception", SHAPE, file).digest
    torch.save(dict(weights), tmp_path / "copy.pth", _use_new_zipfile_serialization=False)  # as of before torch 1.6
    assert open_extractor("inception", SHAPE, tmp_path / "copy.pth").digest == digest
    torch.save({**weights, "fc.bias": weights["fc.bias"] + 1e-3}, tmp_path / "other.pth")
    assert open_extractor("inception", SHAPE, tmp_path / "other.pth").digest != digest


def test_without_a_file_it_says_which(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"evaluate\.inception_weights=FILE") as caught:
        open_extractor("inception", SHAPE)
    assert "weights-inception-2015-12-05-6726825d.pth" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_file_that_is_not_there(tmp_path: Path) -> None:
    for path in (tmp_path / "none.pth", tmp_path):
        with pytest.raises(Refused, match=r"evaluate\.inception_weights: there is no file "):
            open_extractor("inception", SHAPE, path)


class _Trap:
    def __reduce__(self) -> Any:
        return sys.exit, ("code of the file was run",)


WRONG: dict[str, Callable[[dict[str, Tensor]], Any]] = {
    "a network of torchvision": lambda weights: {**weights, "fc.weight": torch.zeros(1000, 2048)},
    "one entry more": lambda weights: {**weights, "AuxLogits.fc.bias": torch.zeros(1000)},
    "one entry less": lambda weights: {name: value for name, value in weights.items() if name != "fc.bias"},
    "no tensor": lambda weights: {**weights, "fc.bias": 3},
    "nan": lambda weights: {**weights, "fc.bias": torch.full((1008,), float("nan"))},
    "a list": lambda weights: [1, 2],
    "a tensor": lambda weights: torch.zeros(3),
    "nothing": lambda weights: {},
    "a module": lambda weights: nn.Linear(2, 2),
    "code": lambda weights: _Trap(),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_other_contents_are_refused_in_a_line(wrong: str, weights: dict[str, Tensor], tmp_path: Path) -> None:
    path = tmp_path / "wrong.pth"
    torch.save(WRONG[wrong](weights), path)
    with pytest.raises(Refused, match=r"^evaluate\.inception_weights: .*wrong\.pth is not torch-fidelity's ") as caught:
        open_extractor("inception", SHAPE, path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"no pickle", b"PK\x03\x04 no archive", b"\x80\x02."])
def test_damaged_files_are_refused_in_a_line(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "damaged.pth"
    path.write_bytes(content)
    with pytest.raises(Refused, match="is not torch-fidelity's") as caught:
        open_extractor("inception", SHAPE, path)
    assert "\n" not in str(caught.value)


def test_cut_file_is_refused(file: Path, tmp_path: Path) -> None:
    path = tmp_path / "cut.pth"
    path.write_bytes(file.read_bytes()[: 10**6])
    with pytest.raises(Refused, match="is not torch-fidelity's"):
        open_extractor("inception", SHAPE, path)


def test_missing_package_is_named_with_what_installs_it(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch_fidelity", None)
    with pytest.raises(Refused, match=r"pip install 'gan-cli\[inception\]'"):
        open_extractor("inception", SHAPE, file)
