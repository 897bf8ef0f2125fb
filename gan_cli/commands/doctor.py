"""gan-doctor: say in plain words what the log of a run shows."""

import sys
from pathlib import Path

import hydra
from omegaconf import DictConfig

from gan_cli.command_schema import DoctorConf
from gan_cli.commands import entry
from gan_cli.conf_dir import CONF_DIR
from gan_cli.doctor.diagnosis import examine, report
from gan_cli.doctor.run_files import read
from gan_cli.parse import resolved, typed_as


def doctor() -> None:
    """The console command."""
    sys.exit(entry.run(main, "gan-doctor", entry.alone("gan-doctor looks at one run at a time")))


@hydra.main(version_base="1.3", config_path=CONF_DIR, config_name="doctor")
def main(composed: DictConfig) -> None:
    """One job."""
    with entry.job():
        conf: DoctorConf = typed_as(DoctorConf, resolved(composed))
        log = read(Path(conf.run).expanduser())
        for line in report(log, examine(log)):
            print(line)
