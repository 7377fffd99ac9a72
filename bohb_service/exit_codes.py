"""What the commands' exit codes mean; scripts and cluster schedulers act on them."""

from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes of both commands."""

    OK = 0
    """Done."""
    FAILURE = 1
    """An error that is none of the following."""
    USAGE = 2
    """The command line, the study file, the credentials or the worker class is wrong."""
    NO_RESULT = 3
    """The study ended without a single successful evaluation."""
    UNREACHABLE = 4
    """No master answers, or the port is taken."""
    RUN_DIRECTORY = 5
    """The run directory or its journal cannot be used."""
    NO_MODEL = 6
    """The search ended, but the final training failed."""
    TRY_AGAIN = 75
    """Stopped on request before the end; the same command goes on (EX_TEMPFAIL)."""
    INTERRUPTED = 130
    """Ended by SIGINT; the same command goes on."""
    TERMINATED = 143
    """Ended by SIGTERM; the same command goes on."""


FINAL = (ExitCode.USAGE, ExitCode.NO_RESULT, ExitCode.RUN_DIRECTORY, ExitCode.NO_MODEL, ExitCode.TRY_AGAIN)
"""Ends of a master after which nothing should start it again: the same would happen, or it was stopped on request."""
