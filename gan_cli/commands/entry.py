"""How every command starts and ends: paths quoted for Hydra, mistakes told in a few lines, exit codes kept."""

import errno
import functools
import os
import re
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.errors import MissingConfigException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from gan_cli import run_directory
from gan_cli.errors import GanCliError, Stopped
from gan_cli.suggest import nearest

FREE_KEYS = ("checkpoint", "out", "indices", "data.root", "resume", "init_from", "hydra.run.dir", "hydra.sweep.dir")
"""Keys whose value is a path or other text: typed as it is, with `=`, commas and spaces in it."""

REFUSED, FAILED, INTERRUPTED = 2, 1, 130
_NOT_OURS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO)
_FULL_ERROR = "HYDRA_FULL_ERROR"


def run(
    main: Callable[[], Any],
    program: str,
    prepare: Callable[[Sequence[str]], Sequence[str]] = lambda arguments: arguments,
) -> int:
    """Run a Hydra main function as a command; returns the exit code.

    0 done, 2 refused before anything was started, 1 failed, 130 Ctrl-C, 143 SIGTERM. A foreseen failure prints its
    message, a bug of ours its traceback. With HYDRA_FULL_ERROR=1 every failure prints its traceback.
    """
    # Cached, because Hydra resolves it more than once and each time would make another directory.
    OmegaConf.register_new_resolver("new_run_dir", functools.cache(run_directory.create), replace=True)
    wants_traceback = os.environ.get(_FULL_ERROR) == "1"
    os.environ[_FULL_ERROR] = "1"  # Hydra raises instead of printing and exiting by its own rules
    try:
        arguments = quote_free(prepare(sys.argv[1:]))
        sys.argv[1:] = sorted(arguments, key=lambda argument: argument != "-m")  # argparse wants it before the keys
        main()
    except SingleRunFailed as failed:
        return _report(failed.error, program, wants_traceback)
    except Stopped as stopped:
        return stopped.exit_code
    except KeyboardInterrupt:
        print(f"{program}: interrupted", file=sys.stderr)
        return INTERRUPTED
    except Exception as error:
        return _report(error, program, wants_traceback)
    finally:
        if not wants_traceback:
            os.environ.pop(_FULL_ERROR, None)
    return 0


def is_sweep(arguments: Sequence[str]) -> bool:
    """Whether a command line asks for several runs."""
    return "-m" in arguments or "--multirun" in arguments


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
    """Around a command's work: a foreseen failure ends a single run quietly, while a sweep goes on to its next job."""
    try:
        yield
    except (GanCliError, OSError) as error:
        if isinstance(error, OSError) and error.errno not in _NOT_OURS:
            raise
        if HydraConfig.get().mode == RunMode.MULTIRUN:
            raise
        raise SingleRunFailed(error) from error


def _report(error: Exception, program: str, with_traceback: bool) -> int:
    code, message = _explain(error, program)
    if message is None or with_traceback:
        traceback.print_exception(error)
    else:
        print(f"{program}: " + message.replace("\n", "\n  "), file=sys.stderr)
    return code


def _explain(error: Exception, program: str) -> tuple[int, str | None]:
    """The exit code, and the message if the failure was foreseen."""
    for cause in _causes(error):
        if isinstance(cause, GanCliError):
            return cause.exit_code, str(cause)
    functions = {frame.f_code.co_name for frame, _ in traceback.walk_tb(error.__traceback__)}
    started = "main" in functions  # the command's own function, below Hydra's
    if isinstance(error, OSError) and error.errno is not None and (not started or error.errno in _NOT_OURS):
        where = f"cannot write {error.filename or 'a file'}: {error.strerror}"
        return (FAILED, where) if started else (REFUSED, f"{where}; set hydra.run.dir=PATH")
    if "run_job" not in functions:  # while the configuration was composed: it is about what was typed
        return REFUSED, f"{_configuration_message(error)}\n({program} --help lists groups and keys)"
    return FAILED, None


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _configuration_message(error: Exception) -> str:
    """Hydra's message without its internals, and the nearest names that exist."""
    causes = [cause for cause in _causes(error) if isinstance(cause, OmegaConfBaseException)]
    noise = re.compile(r"provider=|Config search path|_type=|full_key:|^See https")
    lines = [line.strip() for line in str(error).splitlines() if line.strip() and not noise.search(line)]
    if causes and causes[0] is not error:
        lines.append(str(causes[0]).splitlines()[0])
    near = _near(error, causes[0] if causes else None)
    if near:
        lines.append(f"Did you mean: {', '.join(near)}?")
    return "\n".join(dict.fromkeys(lines))


def _near(error: Exception, cause: OmegaConfBaseException | None) -> list[str]:
    if isinstance(error, MissingConfigException) and error.options:
        return nearest((error.missing_cfg_file or "").rsplit("/", 1)[-1], error.options)
    if cause is None or cause.key is None or not isinstance(cause.parent_node, DictConfig):
        return []
    wanted, parent = str(cause.key), cause.parent_node
    before = str(cause.full_key or wanted).removesuffix(wanted)
    near = [before + name for name in nearest(wanted, [str(key) for key in parent])]
    return near or [key for key in _leaves(parent._get_root()) if key.rsplit(".", 1)[-1] == wanted][:3]


def _leaves(node: Any, prefix: str = "") -> Iterator[str]:
    for key in node:
        if prefix or key != "hydra":
            yield f"{prefix}{key}"
            child = node._get_node(key)
            if isinstance(child, DictConfig) and not (child._is_none() or child._is_missing()):
                yield from _leaves(child, f"{prefix}{key}.")
