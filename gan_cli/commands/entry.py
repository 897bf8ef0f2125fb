"""How every command starts and ends: free text quoted for Hydra, mistakes told in a few lines, exit codes kept."""

import errno
import os
import re
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from omegaconf import OmegaConf

from gan_cli import __version__, run_directory
from gan_cli.commands.hydra_messages import causes, configuration_message
from gan_cli.console import silence_stdout
from gan_cli.errors import GanCliError, Refused, Stopped
from gan_cli.ranks.ranks import Ranks

FREE_KEYS = (
    "run",
    "runs",
    "checkpoint",
    "input",
    "out",
    "evaluation",
    "indices",
    "label",
    "inception_weights",
    "evaluate.inception_weights",
    "data.root",
    "data.a",
    "data.b",
    "resume",
    "init_from",
    "hydra.run.dir",
    "hydra.sweep.dir",
    "sweep.resume",
)
"""Keys whose value is a path or other text: typed as it is, with `=`, commas and spaces in it."""

REFUSED, FAILED, INTERRUPTED = 2, 1, 130
_NOT_OURS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO)
_FULL_ERROR = "HYDRA_FULL_ERROR"
_PARTING = 5.0  # seconds in which another process can tell why it ends


def run(
    main: Callable[[], Any],
    program: str,
    prepare: Callable[[Sequence[str]], Sequence[str]] = lambda arguments: arguments,
    aside: Callable[[BaseException, str], bool] | None = None,
) -> int:
    """Run a Hydra main function as a command; returns the exit code.

    0 done, 2 refused before anything was started, 1 failed, 130 Ctrl-C, 143 SIGTERM. A foreseen failure prints its
    message, a bug of ours its traceback. With HYDRA_FULL_ERROR=1 every failure prints its traceback.

    Args:
        aside: of a command that torchrun may start: takes a failure and what there is to tell of it, and returns
            whether it is told elsewhere. A command without one is refused there.
    """
    if aside is None and Ranks.of_environment().size > 1:
        return _one_process_is_enough(program)
    OmegaConf.register_new_resolver("new_run_dir", _once(run_directory.create), replace=True)
    if "--version" in sys.argv[1:]:
        print(f"gan-cli {__version__}")
        return 0
    wants_traceback = os.environ.get(_FULL_ERROR) == "1"
    os.environ[_FULL_ERROR] = "1"  # Hydra raises instead of printing and exiting by its own rules
    try:
        with _terminable():
            arguments = quote_free(prepare([_expanded(argument) for argument in sys.argv[1:]]))
            sys.argv[1:] = options_first(arguments)
            main()
    except SingleRunFailed as failed:
        return _report(failed.error, program, wants_traceback, aside)
    except Stopped as stopped:
        return stopped.exit_code
    except KeyboardInterrupt:
        print(f"{program}: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # whoever read our output has seen enough
        silence_stdout()
    except SystemExit as stop:  # Hydra's way of refusing some of its own options
        return REFUSED if stop.code else 0
    except Exception as error:
        return _report(error, program, wants_traceback, aside)
    finally:
        if not wants_traceback:
            os.environ.pop(_FULL_ERROR, None)
    return 0


def _once(create: Callable[[str], str]) -> Callable[[str], str]:
    """`create`, which Hydra calls more than once, making a directory the first time alone.

    No functools.cache, which cannot be sent to the processes of a parallel sweep.
    """
    made: dict[str, str] = {}

    def new(parent: str) -> str:
        if parent not in made:
            made[parent] = create(parent)
        return made[parent]

    return new


_WITH_VALUE = ("--config-dir", "-cd", "--config-path", "-cp", "--config-name", "-cn", "--package", "-p", "--cfg", "-c")


def options_first(arguments: Sequence[str]) -> list[str]:
    """Options, with their values, before overrides: argparse takes overrides that are next to each other alone."""
    options: list[str] = []
    overrides: list[str] = []
    takes_value = False
    for argument in arguments:
        of_option = takes_value or argument.startswith("-")
        (options if of_option else overrides).append(argument)
        takes_value = argument in _WITH_VALUE and not takes_value
    return options + overrides


@contextmanager
def _terminable() -> Iterator[None]:
    """SIGTERM unwinds what is under way, as Ctrl-C does, and a full disk is told of once and not by threads too."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise Stopped(number)

    def quiet(failed: threading.ExceptHookArgs) -> None:
        if not (isinstance(failed.exc_value, OSError) and failed.exc_value.errno in _NOT_OURS):
            threading.__excepthook__(failed)

    before, threading.excepthook = signal.signal(signal.SIGTERM, stop), quiet
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
        threading.excepthook = threading.__excepthook__


def _expanded(argument: str) -> str:
    """`~` in a path as the home directory, which a shell leaves alone behind a `=`.

    Raises:
        Refused: the path is empty, as an unset variable makes it; it would mean the current directory.
    """
    key, equals, value = argument.partition("=")
    if not equals or key not in FREE_KEYS:
        return argument
    if not value.strip("'\""):
        raise Refused(f"{key} is empty: {key}=...")
    return f"{key}={os.path.expanduser(value)}"


def is_sweep(arguments: Sequence[str]) -> bool:
    """Whether a command line asks for several runs."""
    return "-m" in arguments or "--multirun" in arguments


def alone(why: str) -> Callable[[Sequence[str]], Sequence[str]]:
    """A `prepare` for `run` that refuses sweeps.

    Args:
        why: the command cannot be swept.
    """

    def checked(arguments: Sequence[str]) -> Sequence[str]:
        if is_sweep(arguments):
            raise Refused(f"{why}: leave out -m")
        return arguments

    return checked


@contextmanager
def writing_to(out: Path) -> Iterator[None]:
    """Make the directory of a command's results, and let the block prepare it.

    Raises:
        Refused: it cannot be made or written.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise Refused(f"cannot write to out={out}: {error.strerror}") from error


def quote_free(arguments: Sequence[str]) -> list[str]:
    """The arguments with the values of free keys in quotes, which Hydra's grammar needs for `=`, spaces and the like.

    In a sweep (-m) a comma still separates values.
    """
    sweep = is_sweep(arguments)

    def quoted(argument: str) -> str:
        key, equals, value = argument.partition("=")
        plain = value in ("", "null") or value[0] in "'\"" or "${" in value
        if not equals or key.lstrip("+") not in FREE_KEYS or plain:
            return argument
        values = value.split(",") if sweep else [value]
        return f"{key}=" + ",".join("'" + re.sub(r"(\\*)'", r"\1\1\\'", part) + "'" for part in values)

    return [quoted(argument) for argument in arguments]


class SingleRunFailed(BaseException):
    """A foreseen failure of the only job: not an Exception, because Hydra would report that in words of its own."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


@contextmanager
def job() -> Iterator[None]:
    """Around a command's work: a foreseen failure ends it quietly."""
    try:
        yield
    except (GanCliError, OSError) as error:
        if isinstance(error, OSError) and error.errno not in _NOT_OURS:
            raise
        raise SingleRunFailed(error) from error


def _one_process_is_enough(program: str) -> int:
    ranks = Ranks.of_environment()
    if ranks.leads:
        print(f"{program}: {ranks.size} processes would each do all of it: run it without torchrun", file=sys.stderr)
    else:
        time.sleep(_PARTING)  # torchrun ends the others, too, as soon as one of them has ended
    return REFUSED


def _report(
    error: Exception, program: str, with_traceback: bool, aside: Callable[[BaseException, str], bool] | None
) -> int:
    code, message = _explain(error, program)
    if aside is not None and aside(error, message or run_directory.reason_of(error)) and message is not None:
        return code
    if message is None or with_traceback:
        traceback.print_exception(error)
    else:
        print(f"{program}: " + message.replace("\n", "\n  "), file=sys.stderr)
    return code


def foreseen(error: BaseException) -> str | None:
    """What to tell of an exception that is no bug; None where it is one."""
    if isinstance(error, GanCliError):
        return str(error)
    if isinstance(error, OSError) and error.errno in _NOT_OURS:
        return f"cannot write {error.filename or 'a file'}: {error.strerror}"
    return None


def _explain(error: Exception, program: str) -> tuple[int, str | None]:
    """The exit code, and the message if the failure was foreseen."""
    for cause in causes(error):
        if isinstance(cause, GanCliError):
            return cause.exit_code, str(cause)
    functions = {frame.f_code.co_name for frame, _ in traceback.walk_tb(error.__traceback__)}
    started = "main" in functions  # the command's own function, below Hydra's
    if isinstance(error, OSError) and error.errno is not None and (not started or error.errno in _NOT_OURS):
        where = f"cannot write {error.filename or 'a file'}: {error.strerror}"
        return (FAILED, where) if started else (REFUSED, f"{where}; set hydra.run.dir=PATH")
    if not started:  # while the configuration was composed: it is about what was typed
        return REFUSED, f"{configuration_message(error)}\n({program} --help lists groups and keys)"
    return FAILED, None
