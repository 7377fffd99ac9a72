"""The edge of the commands: results become JSON, errors one message and an exit code, never a traceback."""

import json
import os
import sys
import traceback
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, ParamSpec, TypeVar

import click

from bohb_service.errors import AuthenticationError, BohbError, JournalError, StudyError, TransportError
from bohb_service.exit_codes import FINAL, ExitCode

if TYPE_CHECKING:
    from bohb_service.results.run import Run

P = ParamSpec("P")
R = TypeVar("R")

DEBUG_VARIABLE = "BOHB_DEBUG"


def exit_code_of(error: BohbError) -> ExitCode:
    """The exit code that tells this kind of error."""
    match error:
        case StudyError() | AuthenticationError():
            return ExitCode.USAGE
        case JournalError():
            return ExitCode.RUN_DIRECTORY
        case TransportError():
            return ExitCode.UNREACHABLE
    return ExitCode.FAILURE


def guarded(command: Callable[P, R]) -> Callable[P, R]:
    """A command whose errors are told in one message; with BOHB_DEBUG=1 also where they come from."""

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        # Closed by whoever started us: there is nobody to tell.
        sys.stdout = sys.stdout or Path(os.devnull).open("w")  # noqa: SIM115  (open to the end of the process)
        sys.stderr = sys.stderr or Path(os.devnull).open("w")  # noqa: SIM115
        try:
            return command(*args, **kwargs)
        except BohbError as error:
            _leave(str(error), exit_code_of(error))
        except KeyboardInterrupt:
            _leave("interrupted", ExitCode.INTERRUPTED)
        except BrokenPipeError:
            # Whoever read our output has left; there is nobody to tell.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(ExitCode.OK)
        except OSError as error:
            _leave(
                f"cannot read or write {error.filename or 'the output'}: {error.strerror or error}", ExitCode.FAILURE
            )
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except Exception as error:  # noqa: BLE001  (the outermost edge)
            told = f"internal error: {type(error).__name__}: {error}; this is a bug, please report it"
            _leave(f"{told} (set {DEBUG_VARIABLE}=1 to see where it comes from)", ExitCode.FAILURE)

    return run


def supervisable(command: Callable[..., R]) -> Callable[..., R]:
    """A command with one parameter more, ``supervised``: with it, ends are success that must not be repeated."""

    @wraps(command)
    def run(*, supervised: bool, **settings: Any) -> R:
        try:
            return command(**settings)
        except SystemExit as end:
            if not supervised or end.code not in FINAL:
                raise
            stopped = end.code == ExitCode.TRY_AGAIN
            why = "it was stopped on request" if stopped else "the same command would not get further by itself"
            click.echo(f"this ended with exit code {end.code:d}; that is 0 with --supervised, since {why}", err=True)
            sys.exit(ExitCode.OK)

    return run


def print_json(value: Any) -> None:
    """Print plain values as strict JSON on stdout."""
    click.echo(_pretty(value))


def print_run(run: "Run") -> None:
    """Print `Run.to_dict` as strict JSON on stdout: one line for each trial, and never all of it in memory."""
    from bohb_service.results.export import run_outline, trial_to_dict

    outline = _pretty(run_outline(run)).removesuffix("\n}")
    trials = (_in_line(trial_to_dict(trial)) for trial in run.trials)
    sys.stdout.write(f'{outline},\n  "trials": [\n    {next(trials, "")}')
    sys.stdout.writelines(f",\n    {trial}" for trial in trials)
    sys.stdout.write("\n  ]\n}\n")


_pretty = json.JSONEncoder(indent=2, allow_nan=False, ensure_ascii=False).encode
_in_line = json.JSONEncoder(allow_nan=False, ensure_ascii=False).encode


def _leave(message: str, code: ExitCode) -> NoReturn:
    if os.environ.get(DEBUG_VARIABLE):
        traceback.print_exc()
    click.echo(f"error: {message}", err=True)
    sys.exit(code)
