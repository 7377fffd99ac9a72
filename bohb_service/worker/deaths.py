"""Why an objective process died, as an outcome."""

import signal
from dataclasses import dataclass

from bohb_service.scheduler.outcomes import Completed, Curve, Failed, Outcome, Released
from bohb_service.worker.events import Broken
from bohb_service.worker.verdicts import shorten

_FAULTS: dict[int, str] = {
    signal.SIGSEGV: "segmentation fault",
    signal.SIGABRT: "aborted",
    signal.SIGBUS: "bus error",
    signal.SIGFPE: "arithmetic fault",
    signal.SIGILL: "illegal instruction",
    signal.SIGXCPU: "limit of processor time passed",
    signal.SIGXFSZ: "limit of file size passed",
}
_FROM_OUTSIDE = frozenset(
    {
        signal.SIGKILL,
        signal.SIGTERM,
        signal.SIGHUP,
        signal.SIGINT,
        signal.SIGQUIT,
        signal.SIGUSR1,
        signal.SIGUSR2,
    }
)
_LIMITS = frozenset({"timeout", "memory"})


@dataclass(frozen=True, slots=True)
class Verdict:
    """Why a process is killed or dead, and what that means for one job.

    Attributes:
        lease: The job, or None if nobody is to blame.
        outcome: Its outcome; None if it is dropped.
        broken: The worker is given up.
    """

    lease: int | None = None
    outcome: Failed | Released | None = None
    broken: Broken | None = None


def explain_death(
    code: int, *, oom_struck: bool, peak_mib: float, output: str, seconds: float, curve: Curve
) -> Failed | Released:
    """The outcome of an evaluation whose process died without being killed by us.

    Args:
        code: Exit code; negative for the signal that killed it.
        oom_struck: The kernel's OOM killer was at work while it ran.
        peak_mib: Largest resident size measured, 0 if none was.
        output: Last lines that it printed.
        seconds: How long the evaluation had taken.
        curve: Points reported before.
    """
    detail = shorten(output)
    if code >= 0:
        return Failed(
            "exit",
            f"the objective ended its process with exit code {code}; return or raise instead",
            detail,
            seconds,
            curve,
        )
    number = -code
    name = signal_name(number)
    if number == signal.SIGKILL and oom_struck:
        peak = f" at {peak_mib:.0f} MiB or more" if peak_mib else ""
        message = f"the kernel's out-of-memory killer ended the objective{peak}; it needs less memory or a larger node"
        return Failed("memory", message, detail, seconds, curve)
    if number in _FROM_OUTSIDE:
        return Released("lost", f"the objective's process was killed from outside ({name})")
    return Failed("crash", f"{_FAULTS.get(number, 'killed')} ({name})", detail, seconds, curve)


def excuse_preempted(outcome: Outcome, preemption: str) -> Outcome:
    """The outcome of an evaluation that ran when its worker heard that its machine is taken away.

    Batch systems tell all processes of a job: programs that the evaluation has started end, and it fails for that. So
    a failure is nobody's, and neither is a death; only limits of the study are passed by nobody else.

    Args:
        outcome: How it ended.
        preemption: What the worker heard, for people.
    """
    is_its_own = isinstance(outcome, Failed) and outcome.reason in _LIMITS
    if isinstance(outcome, Completed) or is_its_own or (isinstance(outcome, Released) and outcome.reason != "lost"):
        return outcome
    return Released("preempted", f"{preemption}; then {outcome.reason}: {outcome.message}")


def signal_name(number: int) -> str:
    """``SIGSEGV`` for 11, or ``signal 64`` for one without a name."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
