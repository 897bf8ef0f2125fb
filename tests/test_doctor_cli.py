"""gan-doctor as it is typed."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import TINY, Result
from omegaconf import OmegaConf

from gan_cli.command_schema import DoctorConf
from gan_cli.commands.doctor import doctor
from gan_cli.conf_dir import CONF_DIR
from gan_cli.doctor.diagnosis import summary_line
from gan_cli.doctor.run_files import findings_of

Cli = Callable[..., Result]


def test_run_is_told_of_with_what_was_looked_at_and_what_could_not_be_judged(cli: Cli) -> None:
    assert cli(*TINY, "train.log_every=1", "train.sample_every=0", "hydra.run.dir=a run=1, 2").code == 0
    before = {path: path.read_bytes() for path in Path("a run=1, 2").rglob("*") if path.is_file()}
    result = cli("run=a run=1, 2", command=doctor)
    assert (result.code, result.err) == (0, "")
    assert "looked at:\n  diverging: the largest size is that of" in result.out
    assert "could not be judged:\n" in result.out
    assert before == {path: path.read_bytes() for path in Path("a run=1, 2").rglob("*") if path.is_file()}
    assert {path.name for path in Path().iterdir()} == {"a run=1, 2"}


def test_verdict_has_its_evidence_and_what_to_try_and_exit_code_0(cli: Cli) -> None:
    lines = [{"step": step, "loss/D": 1e-5, "loss/G": 9.0} for step in range(1, 40)]
    Path("metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    Path("config.yaml").write_text("loss: {_target_: gan_cli.losses.bce.BCE}\noptim: {discriminator: {lr: 0.1}}\n")
    result = cli("run=.", command=doctor)
    assert result.code == 0
    assert result.out.splitlines()[0].startswith("discriminator saturated: ")
    assert "  evidence: loss/D 1e-05" in result.out
    assert "  try: " in result.out
    findings = findings_of(Path())
    assert findings is not None
    line = summary_line(findings)
    assert line is not None
    assert line.startswith("discriminator saturated (")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run=nowhere"], "there is no such directory"),
        (["run=."], "it holds no metrics.jsonl"),
        ([], "run must be given"),
        (["rnu=x"], "Did you mean: run?"),
        (["run=a", "-m"], "one run at a time"),
        (["run="], "run is empty"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_mistake_is_told_in_a_few_lines(arguments: list[str], words: str, cli: Cli) -> None:
    result = cli(*arguments, command=doctor)
    assert result.code == 2
    assert words in result.err
    assert "Traceback" not in result.err
    assert list(Path().iterdir()) == []


def test_torch_is_not_imported(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text("")
    code = (
        "import sys\nfrom gan_cli.commands.doctor import doctor\n"
        "try:\n    doctor()\nexcept SystemExit as end:\n    print(end.code, 'torch' in sys.modules)"
    )
    told = subprocess.run([sys.executable, "-c", code, f"run={tmp_path}"], capture_output=True, text=True, cwd=tmp_path)
    assert told.stdout.splitlines()[-1] == "0 False", told.stderr


def test_doctor_yaml_declares_what_the_schema_declares() -> None:
    declared = OmegaConf.load(Path(CONF_DIR, "doctor.yaml")).keys() - {"defaults", "hydra"}
    assert declared == OmegaConf.structured(DoctorConf).keys()
