"""Pictures through the commands: trained on, gone on with, evaluated, and what of them cannot be used is named."""

from pathlib import Path

import pytest
from dogs_files import as_archives, few_dogs
from picture_files import BAD, make_bad, make_good

from gan_cli.commands.evaluate import evaluate
from gan_cli.data import pictures

NARROW = ("model=dcgan64", "model.generator.widths=[8,8,8,8]", "model.discriminator.widths=[8,8,8,8]")


def test_the_command_trains_on_the_good_and_names_the_bad(tmp_path, cli, monkeypatch):
    monkeypatch.setenv("GAN_CLI_CACHE", str(tmp_path / "cache"))
    read, decoded = pictures.read, []
    monkeypatch.setattr(pictures, "read", lambda *given, **options: decoded.append("") or read(*given, **options))
    make_bad(tmp_path / "mixed")
    make_good(tmp_path / "mixed", 100)
    run = ("data=folder", f"data.root={tmp_path / 'mixed'}", *NARROW, "train.batch_size=16", "train.steps=2")
    result = cli(*run, "hydra.run.dir=run")
    assert (result.code, "Traceback" in result.out + result.err) == (0, False), result.err
    assert result.out.count("skipped ") == 25
    assert f"{tmp_path / 'mixed'}: 100 pictures read, 25 skipped" in result.out
    assert all(f"skipped {name}".replace("\udce9", r"\udce9") in result.out for name in BAD)
    assert len(decoded) == 100 + sum(isinstance(made, bytes) and bool(made) for made, _ in BAD.values()) - 2
    result = cli(*run, "data.strict=true", "hydra.run.dir=refused")
    assert (result.code, "data.strict=true, and 25 of the pictures" in result.err) == (2, True)
    assert not Path("refused").exists()


@pytest.mark.slow
def test_a_run_trains_on_them_goes_on_and_is_evaluated(tmp_path, cli, monkeypatch):
    monkeypatch.setenv("GAN_CLI_CACHE", str(tmp_path / "cache"))
    root = as_archives(tmp_path / "dogs", few_dogs(34))  # 102: fewer than a hundred are not measured
    run = ("data=stanford_dogs", f"data.root={root}", *NARROW, "train.batch_size=8")
    result = cli(*run, "train.steps=2", "train.evaluate_every=0", "hydra.run.dir=run")
    assert result.code == 0, result.err
    assert cli("resume=run", "train.steps=3").code == 0
    result = cli("checkpoint=run", "num_images=100", "out=evaluated", command=evaluate)
    assert result.code == 0, result.err
    assert Path("evaluated/evaluation.json").exists()
    (root / "annotation.tar").unlink()
    result = cli("checkpoint=run", "num_images=100", "out=again", command=evaluate)
    assert (result.code, "holds neither Annotation/" in result.err) == (2, True)
