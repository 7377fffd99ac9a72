"""How a worker ends."""

from enum import IntEnum


class WorkerExit(IntEnum):
    """Exit codes of a worker process."""

    STUDY_ENDED = 0
    """The master said that the worker shall end."""
    UNUSABLE = 2
    """The worker class, its options, its set-up or a folder cannot be used on this machine."""
    NO_MASTER = 4
    """There was no master for too long, or it refused this worker."""
    PREEMPTED = 75
    """SIGTERM or SIGUSR1: everything was given back."""
    INTERRUPTED = 130
    """SIGINT."""
