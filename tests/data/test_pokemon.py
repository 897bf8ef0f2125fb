import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
import requests
import torch
from PIL import Image
from torch import Tensor

from gan_cli.data import download, pokemon
from gan_cli.errors import Refused

CORNERS = ([0, 0, -1, -1], [0, -1, 0, -1])


@pytest.fixture(scope="module")
def few(sprites: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first 30 of the real sprites."""
    path = tmp_path_factory.mktemp("sprites") / "few.zip"
    with zipfile.ZipFile(sprites) as source, zipfile.ZipFile(path, "w") as target:
        for name in source.namelist()[:30]:
            target.writestr(name, source.read(name))
    return path


def on_color(content: bytes, background: tuple[int, int, int], resolution: int) -> Tensor:
    """A sprite composited over a color by the definition of alpha, then stretched."""
    layers = np.asarray(Image.open(io.BytesIO(content)).convert("RGBA"), dtype=np.float64)
    alpha = layers[:, :, 3:] / 255
    flat = (alpha * layers[:, :, :3] + (1 - alpha) * np.array(background)).round().astype(np.uint8)
    square = Image.fromarray(flat).resize((resolution, resolution), Image.Resampling.BILINEAR)
    return torch.from_numpy(np.array(square)).permute(2, 0, 1)


@pytest.mark.parametrize(("background", "resolution"), [((255, 255, 255), 64), ((0, 90, 200), 40)])
def test_sprites_are_composited_over_the_background_and_stretched(few, background, resolution):
    data = pokemon.load(str(few), resolution=resolution, background=background)
    with zipfile.ZipFile(few) as archive:
        names = sorted(archive.namelist(), key=lambda name: name.split("/"))
        expected = torch.stack([on_color(archive.read(name), background, resolution) for name in names])
    torch.testing.assert_close(data.samples.int(), expected.int(), rtol=0, atol=1)


def test_each_species_is_a_class(few):
    data = pokemon.load(str(few))
    with zipfile.ZipFile(few) as archive:
        species = sorted(name.split("/")[1] for name in archive.namelist())
    assert [data.classes[label] for label in data.labels] == species
    assert data.classes == tuple(sorted(set(species)))


def test_all_sprites_are_read_and_stand_on_white(sprites, caplog):
    data = pokemon.load(str(sprites))
    assert tuple(data.samples.shape) == (6188, 3, 64, 64)
    assert data.samples.dtype == torch.uint8
    assert caplog.records == []
    with zipfile.ZipFile(sprites) as archive:
        assert data.classes == tuple(sorted({name.split("/")[1] for name in archive.namelist()}))
    white = (data.samples[:, :, *CORNERS] == 255).all(1)
    assert white.float().mean() > 0.999
    blank = (data.samples == data.samples[:, :, :1, :1]).flatten(1).all(1)
    assert not blank.any()


def test_without_a_root_the_archive_that_was_fetched_is_read(few, monkeypatch):
    asked = []
    monkeypatch.setattr(pokemon, "fetch", lambda *arguments: asked.append(arguments) or few)
    assert torch.equal(pokemon.load().samples, pokemon.load(str(few)).samples)
    (url, known_hash, instead), *more = asked
    assert url.endswith("//d2l-data.s3-accelerate.amazonaws.com/pokemon.zip")  # d2l.DATA_HUB["pokemon"]
    assert known_hash == "sha1:c065c0e2593b8b161a2d7873e42418bf6a21106c"
    assert "data.root=" in instead
    assert more == []


def test_without_a_network_the_user_learns_how_to_go_on(tmp_path, monkeypatch):
    def offline(*_, **__):
        raise requests.ConnectionError("no network")

    monkeypatch.setenv("GAN_CLI_CACHE", str(tmp_path))
    monkeypatch.setattr(download.requests, "get", offline)
    with pytest.raises(Refused, match=r"(?s)cannot fetch pokemon\.zip from d2l-data\S+.*\n.*data\.root=PATH$"):
        pokemon.load()
    assert list(tmp_path.iterdir()) == []
