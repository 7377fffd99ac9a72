"""What is going on in a study, as plain values: one form for the live view, the admin call and scripts."""

import math
from typing import TYPE_CHECKING, Any

from bohb_service._version import VERSION
from bohb_service.master.unfit import unfit_work
from bohb_service.scheduler.bracket import Bracket
from bohb_service.scheduler.scheduler import Scheduler
from bohb_service.scheduler.state import StudyState
from bohb_service.scheduler.trial import TrialId, TrialState

if TYPE_CHECKING:
    from bohb_service.master.books import Books
    from bohb_service.master.master import Master
    from bohb_service.master.sessions import Session

_SHOWN_BRACKETS = 12
_TELLING_SHARE = 0.02


def status_of(master: "Master", now: float) -> dict[str, Any]:
    """The status of a running master.

    Args:
        master: The master.
        now: Monotonic time, seconds.

    Returns:
        Plain values with the keys ``study``, ``study_id``, ``version`` (of this package), ``state`` (``running``,
        ``draining``, ``refitting`` or ``finished``), ``stop_reason``, ``elapsed_s``, ``eta_s`` (None when unknown),
        those of `progress_of`,
        ``min_workers`` (how many workers must join before the study begins; 0 once they have), ``workers``, the last
        ``lost_workers`` and ``failures``, ``unfit`` (what `unfit_work` returns), and ``foreign_leases`` (those of
        another history of the study that workers have told of).
    """
    scheduler = master.scheduler
    state = scheduler.state
    elapsed_s = master.elapsed_s
    done = share_done(scheduler, elapsed_s, master.facts.seconds_limit)
    return {
        "study": master.facts.study,
        "study_id": master.facts.study_id,
        "version": VERSION,
        "state": phase_of(master),
        "stop_reason": state.stop_reason,
        "elapsed_s": elapsed_s,
        "eta_s": elapsed_s * (1 - done) / done if done >= _TELLING_SHARE and state.stop_reason is None else None,
        "share_done": done,
        **progress_of(scheduler),
        "min_workers": master.min_workers,
        "workers": [_worker(session, master.books, now) for session in master.sessions],
        "lost_workers": [{"name": event.worker, "reason": event.reason} for event in state.lost_workers],
        "unfit": unfit_work(master),
        "foreign_leases": master.n_foreign,
        "failures": [
            {"trial": str(event.trial), "reason": event.reason, "message": event.message}
            for event in master.books.failures
        ],
    }


def phase_of(master: "Master") -> str:
    """What a master is at: ``running``, ``draining``, ``refitting`` or ``finished``."""
    if master.scheduler.is_finished:
        return "finished"
    if master.scheduler.state.stop_reason is not None:
        return "refitting"
    return "draining" if master.is_draining else "running"


def progress_of(scheduler: Scheduler) -> dict[str, Any]:
    """How far a study is.

    Returns:
        Plain values: ``evaluations`` (started, completed, failed, abandoned, running, requeued), ``spent`` in full
        budgets, ``configurations`` and how many ``from_model``, ``incumbent`` (None before the first result) and
        the last ``brackets`` with their rungs.
    """
    state = scheduler.state
    return {
        "evaluations": {
            "started": state.started,
            "completed": state.n_completed,
            "failed": state.n_failed,
            "abandoned": state.n_abandoned,
            "running": state.running,
            "requeued": state.n_requeued,
        },
        "spent": state.spent,
        "configurations": len(state.configurations),
        "from_model": state.n_from_model,
        "incumbent": _incumbent(state),
        "refit": dict(state.refit) if state.refit is not None else None,
        "brackets": [_bracket(bracket, state) for bracket in state.brackets[-_SHOWN_BRACKETS:]],
    }


def _incumbent(state: StudyState) -> dict[str, Any] | None:
    best = state.incumbent
    if best is None:
        return None
    configuration = state.configurations[best.trial.configuration]
    return {
        "trial": str(best.trial),
        "config": dict(configuration.values),
        "origin": configuration.origin,
        "budget": best.budget,
        "loss": best.loss,
    }


def _bracket(bracket: Bracket, state: StudyState) -> dict[str, Any]:
    rungs = []
    for number, rung in enumerate(bracket.plan):
        members = bracket.members[number] if number < len(bracket.members) else []
        trials = [state.trials[TrialId(configuration, number)] for configuration in members]
        losses = [trial.loss for trial in trials if trial.state is TrialState.COMPLETED and trial.loss is not None]
        rungs.append(
            {
                "budget": rung.budget,
                "size": rung.size,
                "best": min(losses, default=None),
                **{kind.value: sum(trial.state is kind for trial in trials) for kind in TrialState},
            }
        )
    return {"bracket": bracket.index, "is_over": bracket.is_over, "rungs": rungs}


def _worker(session: "Session", books: "Books", now: float) -> dict[str, Any]:
    current = books.scheduler.state.current
    trials = [
        (current[lease], books.reports.get(lease), now - books.leases.granted_at(lease))
        for lease in sorted(session.running)
        if lease in current
    ]
    doing = "busy" if trials else "idle"
    return {
        "name": session.name,
        "host": session.info.host,
        "pid": session.info.pid,
        "version": session.info.version,
        "state": "lost" if session.lost_since is not None else doing,
        "trials": [
            {
                "trial": str(trial.id),
                "budget": trial.budget,
                "step": report.step if report else None,
                "loss": report.loss if report and math.isfinite(report.loss) else None,
                "leased_s": leased_s,
            }
            for trial, report, leased_s in trials
        ],
        "seen_s": now - session.seen,
        "finished": session.n_finished,
        "busy_s": session.busy_s,
    }


def share_done(scheduler: Scheduler, elapsed_s: float, seconds_limit: float | None) -> float:
    """How much of the study is done, by the stopping rule that is nearest; 0 when nothing says.

    Args:
        scheduler: State of the study.
        elapsed_s: Its working time so far, in seconds.
        seconds_limit: Working time after which the search ends, or None.
    """
    rules, state = scheduler.settings.stop, scheduler.state
    shares = []
    if rules.brackets:
        shares.append(state.spent / _planned_budgets(scheduler, rules.brackets))
    if rules.evaluations:
        shares.append(state.started / rules.evaluations)
    if rules.full_budgets:
        shares.append(state.spent / rules.full_budgets)
    if seconds_limit:
        shares.append(elapsed_s / seconds_limit)
    return min(1.0, max(shares, default=0.0))


def _planned_budgets(scheduler: Scheduler, n_brackets: int) -> float:
    """Cost of the first brackets in full budgets, if nothing fails."""
    schedule, largest = scheduler.settings.schedule, scheduler.settings.max_budget
    whole, rest = divmod(n_brackets, schedule.cycle)
    costs = [math.fsum(r.size * r.budget / largest for r in schedule.bracket(i)) for i in range(schedule.cycle)]
    return whole * math.fsum(costs) + math.fsum(costs[:rest])
