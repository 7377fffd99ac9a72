"""What signals mean to the objective process: nothing, because its parent decides what becomes of a job."""

import os
import signal

_TERMINATION = {signal.SIGTERM}


def leave_signals_to_parent() -> None:
    """Let Ctrl-C, and what batch systems send to all processes of a job, decide nothing here."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    # A handler, since what is ignored stays so in programs that user code starts, which it may want to terminate.
    signal.signal(signal.SIGTERM, _do_nothing)
    # Copies too can be terminated; the signal waits meanwhile, or it would be lost right after the fork.
    os.register_at_fork(before=_hold_back, after_in_parent=_let_through, after_in_child=_end_on_termination)


def _do_nothing(_number: int, _frame: object) -> None:
    """Handle a signal that is for the parent."""


def _hold_back() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, _TERMINATION)


def _let_through() -> None:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _TERMINATION)


def _end_on_termination() -> None:
    if signal.getsignal(signal.SIGTERM) is _do_nothing:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
    _let_through()
