"""What must hold in every state of a study, checked by the tests after every step."""

from bohb_service.scheduler.scheduler import Scheduler
from bohb_service.scheduler.trial import REFIT_RUNG, TrialId, TrialState


def check_invariants(scheduler: Scheduler) -> None:
    """Assert all invariants.

    Raises:
        AssertionError: One is broken; the message says which.
    """
    state, settings = scheduler.state, scheduler.settings
    leased = [trial for trial in state.trials.values() if trial.state is TrialState.LEASED]
    assert {trial.lease: trial for trial in leased} == state.current, "the current leases are wrong"
    assert len(leased) == state.running, "two trials share a lease"
    search = [trial for trial in state.trials.values() if trial.id.rung != REFIT_RUNG]
    for trial in state.trials.values():
        assert trial.attempts <= settings.max_attempts, f"trial {trial.id} had too many attempts"
        assert (trial.lease is not None) == (trial.state is TrialState.LEASED), f"trial {trial.id} holds a stale lease"
        if trial.lease is not None:
            assert state.leases[trial.lease] == trial.id, f"lease {trial.lease} is of another trial"
    assert state.started == sum(trial.was_started for trial in search), "the count of started trials is wrong"
    rules = settings.stop
    assert rules.evaluations is None or state.started <= rules.evaluations, "too many evaluations"
    assert rules.full_budgets is None or state.spent <= rules.full_budgets * (1 + 1e-6), "too much budget spent"
    assert rules.brackets is None or len(state.brackets) <= rules.brackets, "too many brackets"
    assert state.with_work == [b.index for b in state.brackets if b.has_work], "the list of work is stale"
    if state.stop_reason is not None:
        assert not any(trial.id.rung != REFIT_RUNG for trial in leased), "the search has stopped, yet trials run"
    if state.stop_reason in {"brackets", "evaluations", "full_budgets"}:
        begun = [t.id for t in search if t.was_started and t.state in {TrialState.QUEUED, TrialState.LEASED}]
        assert not begun, f"the search has stopped, but {begun} were begun and have no end"
    _check_brackets(scheduler)
    _check_incumbent(scheduler)


def _check_brackets(scheduler: Scheduler) -> None:
    state = scheduler.state
    taken: set[int] = set()
    for bracket in state.brackets:
        assert not taken & set(bracket.members[0]), "a configuration is in two brackets"
        taken |= set(bracket.members[0])
        for rung, members in enumerate(bracket.members):
            trials = [state.trials[TrialId(configuration, rung)] for configuration in members]
            assert len(members) <= bracket.plan[rung].size, f"rung {rung} of bracket {bracket.index} is overfull"
            final = [trial for trial in trials if trial.state not in {TrialState.QUEUED, TrialState.LEASED}]
            if rung < bracket.rung or bracket.is_over:
                assert len(final) == len(members), f"bracket {bracket.index} left rung {rung} unfinished"
            else:
                assert bracket.unsettled == len(members) - len(final), "the count of unsettled trials is wrong"
                assert not bracket.can_close, f"rung {rung} of bracket {bracket.index} should have been closed"
            if rung < bracket.rung:
                best = sorted((t.loss, t.id) for t in trials if t.state is TrialState.COMPLETED and t.loss is not None)
                size = bracket.plan[rung + 1].size
                assert bracket.members[rung + 1] == [t.configuration for _, t in best[:size]], "not the best went on"
        queued = {t.id for t in state.trials.values() if t.state is TrialState.QUEUED and t.bracket == bracket.index}
        assert sorted(bracket.queued) == sorted(queued), "the queue of a bracket is wrong"
    assert taken.isdisjoint(state.unassigned), "a configuration is in a bracket and unassigned"
    assert taken | set(state.unassigned) == set(range(len(state.configurations))), "a configuration is nowhere"


def _check_incumbent(scheduler: Scheduler) -> None:
    state = scheduler.state
    done = [
        (-t.budget, t.loss)
        for t in state.trials.values()
        if t.state is TrialState.COMPLETED and t.id.rung != REFIT_RUNG and t.loss is not None
    ]
    if state.incumbent is None:
        assert not done, "there are results, but no incumbent"
    else:
        assert min(done) == (-state.incumbent.budget, state.incumbent.loss), "the incumbent is not the best"
