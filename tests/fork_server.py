"""Starts gan-train many times for the price of one import: each start is a fork of a process that has imported it all.

Run as a script it reads one JSON list of arguments a line, forks a child that is that command, prints the child's
process number, and prints its exit code (or minus the signal that killed it) when it has ended.
"""

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

from gan_cli.commands.train import train


class ForkServer:
    """The other side: start commands in a directory, and wait for them."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.process = subprocess.Popen(
            [sys.executable, "-W", "error", __file__],
            cwd=directory,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )

    def start(self, *arguments: str) -> int:
        """Start `gan-train *arguments`; returns its process number."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(arguments) + "\n")
        self.process.stdin.flush()
        return self._number()

    def wait(self) -> int:
        """The exit code of what was started, or minus the signal that killed it."""
        return self._number()

    def close(self) -> None:
        """End the server."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait(30)
        self.process.stdout.close()

    def output(self) -> str:
        """What the commands have printed."""
        return (self.directory / "output.txt").read_text()

    def _number(self) -> int:
        assert self.process.stdout is not None
        return int(self.process.stdout.readline())


def serve() -> None:
    for name in ("build", "history", "loop", "tracking"):
        importlib.import_module(f"gan_cli.{name}")
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            with open("output.txt", "a") as output:
                os.dup2(output.fileno(), 1)
                os.dup2(output.fileno(), 2)
            sys.argv[:] = ["gan-train", *json.loads(line)]
            train()
        print(child, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


if __name__ == "__main__":
    serve()
