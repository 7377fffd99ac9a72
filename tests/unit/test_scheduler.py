import hashlib

import pytest

from bohb_service.optimizer.brackets import Rung
from bohb_service.optimizer.observation import Observation
from bohb_service.scheduler.commands import Ask, Halt, Reopen, Suggest, Tell, WarmStart
from bohb_service.scheduler.events import (
    BracketOpened,
    ConfigurationSuggested,
    MasterStarted,
    RungClosed,
    StudyReopened,
    StudyStopped,
    TrialAbandoned,
    TrialCompleted,
    TrialFailed,
    TrialLeased,
    TrialRequeued,
)
from bohb_service.scheduler.invariants import check_invariants
from bohb_service.scheduler.lease_table import LeaseTable
from bohb_service.scheduler.outcomes import Completed, Failed, Released
from bohb_service.scheduler.replies import Accepted, Job, Stop, Wait
from bohb_service.scheduler.scheduler import Scheduler
from bohb_service.scheduler.settings import Settings
from bohb_service.scheduler.stopping import StopRules
from bohb_service.scheduler.trial import LEGAL, REFIT_RUNG, Trial, TrialId, TrialState


class Table:
    """Brackets written down by hand."""

    def __init__(self, *brackets):
        self.brackets = [tuple(Rung(size, budget) for size, budget in rungs) for rungs in brackets]

    @property
    def cycle(self):
        return len(self.brackets)

    def bracket(self, index):
        return self.brackets[index % self.cycle]


def make(*brackets, attempts=3, refit=False, **stop):
    rules = StopRules(**(stop or {"brackets": len(brackets)}))
    largest = max(budget for rungs in brackets for _, budget in rungs)
    return Scheduler(Settings(Table(*brackets), rules, attempts, largest, seed=7, refit=refit))


def ask(scheduler, worker="w"):
    reply = scheduler.handle(Ask(worker)).reply
    if isinstance(reply, Wait) and reply.needs_suggestion:
        number = len(scheduler.state.configurations)
        scheduler.handle(Suggest(number, {"x": number}, "prior"))
        reply = scheduler.handle(Ask(worker)).reply
    check_invariants(scheduler)
    return reply


def tell(scheduler, job, outcome):
    transition = scheduler.handle(Tell(job.lease, outcome))
    check_invariants(scheduler)
    return transition


def play(scheduler, loss, limit=1000):
    """One worker that evaluates everything; returns the order of the trials."""
    order = []
    for _ in range(limit):
        job = ask(scheduler)
        if not isinstance(job, Job):
            return order, job
        order.append(str(job.trial))
        tell(scheduler, job, loss(job))
    raise AssertionError("the study does not end")


def test_the_best_go_on_and_their_order_is_that_of_their_losses():
    scheduler = make([(4, 1), (2, 3), (1, 9)])
    order, end = play(scheduler, lambda job: Completed([3.0, 1.0, 2.0, 9.0][job.trial.configuration]))
    assert order == ["0.0", "1.0", "2.0", "3.0", "1.1", "2.1", "1.2"]
    assert end == Stop("brackets")
    assert scheduler.state.incumbent.trial == TrialId(1, 2)


def test_ties_go_to_the_older_configuration():
    scheduler = make([(3, 1), (1, 3)])
    order, _ = play(scheduler, lambda job: Completed(1.0))
    assert order[-1] == "0.1"


def test_failed_trials_never_go_on_and_places_stay_empty():
    scheduler = make([(4, 1), (2, 3)])
    fail = Failed("exception", "boom")
    order, _ = play(scheduler, lambda job: Completed(5.0) if job.trial.configuration == 2 else fail)
    assert order == ["0.0", "1.0", "2.0", "3.0", "2.1"]
    assert [o.loss for o in scheduler.state.observations].count(float("inf")) == 3


def test_a_study_in_which_all_fails_ends():
    scheduler = make([(4, 1), (2, 3)], [(2, 3)], refit=True)
    order, end = play(scheduler, lambda job: Failed("exception", "boom"))
    assert len(order) == 6
    assert end == Stop("brackets")
    assert scheduler.state.incumbent is None


def test_a_lost_trial_is_done_again_although_nothing_new_may_be_started_in_an_older_bracket():
    scheduler = make([(2, 1), (1, 3)], [(2, 1), (1, 3)], evaluations=4)
    jobs = [ask(scheduler, f"w{i}") for i in range(4)]
    for number in (0, 1, 3):
        tell(scheduler, jobs[number], Completed(float(number)))
    tell(scheduler, jobs[2], Released("lost", "gone"))
    assert scheduler.state.stop_reason is None
    again = ask(scheduler)
    assert str(again.trial) == "2.0"
    tell(scheduler, again, Completed(0.5))
    assert scheduler.state.stop_reason == "evaluations"


def test_brackets_overlap_so_that_nobody_waits():
    scheduler = make([(2, 1), (1, 3)], [(2, 1), (1, 3)])
    jobs = [ask(scheduler, f"w{i}") for i in range(4)]
    assert [job.trial for job in jobs] == [TrialId(i, 0) for i in range(4)]
    assert [scheduler.state.trials[job.trial].bracket for job in jobs] == [0, 0, 1, 1]
    assert ask(scheduler, "w4") == Wait(needs_suggestion=False)
    for job in jobs[:2]:
        tell(scheduler, job, Completed(float(job.lease)))
    assert ask(scheduler, "w4").trial == TrialId(0, 1)


def test_promoted_trials_know_their_previous_budget_and_keep_their_seed():
    scheduler = make([(2, 1), (1, 3)], refit=True)
    first = ask(scheduler)
    assert first.previous_budget is None
    tell(scheduler, first, Completed(1.0))
    tell(scheduler, ask(scheduler), Completed(2.0))
    second = ask(scheduler)
    assert (second.trial, second.previous_budget, second.budget) == (TrialId(0, 1), 1, 3)
    assert second.seed == first.seed
    assert 0 <= first.seed < 2**31
    tell(scheduler, second, Completed(1.5))
    final = ask(scheduler)
    assert (final.trial, final.previous_budget) == (TrialId(0, REFIT_RUNG), 3)


def test_a_lost_worker_is_no_bad_result():
    scheduler = make([(2, 1), (1, 3)])
    job = ask(scheduler, "a")
    tell(scheduler, job, Released("lost", "gone"))
    again = ask(scheduler, "b")
    assert again.trial == job.trial
    assert again.attempt == 2
    assert not scheduler.state.observations


def test_attempts_run_out_and_the_model_never_hears_of_it():
    scheduler = make([(1, 1)], attempts=2)
    tell(scheduler, ask(scheduler), Released("lost", "gone"))
    events = tell(scheduler, ask(scheduler), Released("lost", "gone")).events
    assert isinstance(events[0], TrialAbandoned)
    assert not scheduler.state.observations
    assert isinstance(ask(scheduler), Stop)


@pytest.mark.parametrize("reason", ["preempted", "unstarted"])
def test_preemption_uses_up_no_attempt(reason):
    scheduler = make([(1, 1)], attempts=1)
    for _ in range(5):
        job = ask(scheduler)
        assert job.attempt == 1
        tell(scheduler, job, Released(reason, "evicted"))
    tell(scheduler, ask(scheduler), Completed(1.0))
    assert scheduler.state.n_completed == 1
    assert scheduler.state.started == 1


def test_the_first_result_wins_even_from_an_expired_lease():
    scheduler = make([(1, 1)])
    slow = ask(scheduler, "slow")
    tell(scheduler, slow, Released("lost", "silent"))
    fast = ask(scheduler, "fast")
    assert tell(scheduler, slow, Completed(0.5)).events
    assert not scheduler.state.holds(fast.lease, "fast")
    assert tell(scheduler, fast, Completed(0.1)).reply == Accepted(duplicate=True)
    assert scheduler.state.incumbent.loss == 0.5


def test_a_late_result_of_an_abandoned_trial_counts_while_its_rung_is_open():
    scheduler = make([(2, 1), (1, 3)], attempts=1)
    lost = ask(scheduler, "a")
    other = ask(scheduler, "b")
    tell(scheduler, lost, Released("lost", "silent"))
    assert scheduler.state.n_abandoned == 1
    tell(scheduler, lost, Completed(0.1))
    assert scheduler.state.n_abandoned == 0
    tell(scheduler, other, Completed(0.2))
    assert ask(scheduler).trial == TrialId(0, 1)


def test_a_late_result_after_its_rung_closed_is_ignored():
    scheduler = make([(2, 1), (1, 3)], attempts=1)
    lost, other = ask(scheduler, "a"), ask(scheduler, "b")
    tell(scheduler, lost, Released("lost", "silent"))
    assert any(isinstance(event, RungClosed) for event in tell(scheduler, other, Completed(0.2)).events)
    assert tell(scheduler, lost, Completed(0.1)).reply == Accepted(duplicate=True)


def test_unknown_leases_and_repeated_results_change_nothing():
    scheduler = make([(1, 1)])
    job = ask(scheduler)
    for lease in (-1, 5, 10**9):
        assert scheduler.handle(Tell(lease, Completed(0.0))).reply == Accepted(duplicate=True)
    tell(scheduler, job, Completed(1.0))
    assert not tell(scheduler, job, Completed(0.0)).events
    assert not tell(scheduler, job, Released("lost", "x")).events


def test_evaluations_are_counted_once_however_often_they_are_tried():
    scheduler = make([(9, 1)], evaluations=2)
    first = ask(scheduler)
    tell(scheduler, first, Released("unstarted", "left"))
    order, end = play(scheduler, lambda job: Completed(1.0))
    assert order == ["0.0", "1.0"]
    assert end == Stop("evaluations")


def test_full_budgets_are_never_exceeded():
    scheduler = make([(3, 1), (1, 3)], full_budgets=2.5)
    play(scheduler, lambda job: Completed(1.0))
    assert scheduler.state.spent == pytest.approx(2 + 1 / 3)
    assert scheduler.state.stop_reason == "full_budgets"


def test_the_target_loss_counts_at_the_largest_budget_only_and_ends_all_at_once():
    scheduler = make([(2, 1), (1, 3)], [(3, 3)], loss=0.5)
    running = []
    for _ in range(2):
        tell(scheduler, ask(scheduler), Completed(0.1))
    top = ask(scheduler)
    running = [ask(scheduler, f"w{i}") for i in range(2)]
    assert top.budget == 3
    tell(scheduler, top, Completed(0.4))
    assert scheduler.state.stop_reason == "loss"
    assert scheduler.state.running == 0
    assert tell(scheduler, running[0], Completed(0.0)).reply == Accepted(duplicate=True)
    assert isinstance(ask(scheduler), Stop)


def test_the_incumbent_is_the_best_at_the_largest_budget():
    scheduler = make([(3, 1), (1, 3)])
    losses = {"0.0": 0.1, "1.0": 0.2, "2.0": 0.3, "0.1": 0.9}
    play(scheduler, lambda job: Completed(losses[str(job.trial)]))
    assert (scheduler.state.incumbent.trial, scheduler.state.incumbent.loss) == (TrialId(0, 1), 0.9)


def test_the_refit_comes_last_once_and_never_counts():
    scheduler = make([(2, 1), (1, 3)], refit=True)
    order, end = play(scheduler, lambda job: Completed(2.0, {"test_error": 0.5}))
    assert order[-1] == "0.refit"
    assert end == Stop("brackets")
    assert scheduler.state.refit == {"test_error": 0.5}
    assert len(scheduler.state.observations) == scheduler.state.started == 3


def test_others_wait_while_one_refits_and_take_over_when_it_dies():
    scheduler = make([(1, 1)], refit=True)
    tell(scheduler, ask(scheduler), Completed(1.0))
    refit = ask(scheduler, "a")
    assert refit.trial.rung == REFIT_RUNG
    assert ask(scheduler, "b") == Wait(needs_suggestion=False)
    assert not scheduler.is_finished
    tell(scheduler, refit, Released("lost", "gone"))
    tell(scheduler, ask(scheduler, "b"), Failed("exception", "boom"))
    assert scheduler.is_finished
    assert scheduler.state.refit is None
    assert scheduler.state.n_failed == 0


def test_halt_requeues_what_runs_and_reopening_goes_on():
    scheduler = make([(3, 1)], [(3, 1)], refit=True)
    tell(scheduler, ask(scheduler), Completed(1.0))
    job = ask(scheduler)
    scheduler.handle(Halt("seconds"))
    check_invariants(scheduler)
    assert not scheduler.state.holds(job.lease, "w")
    tell(scheduler, ask(scheduler), Completed(1.0, {"test_error": 0.1}))
    assert scheduler.is_finished
    assert scheduler.handle(Reopen()).reply == Accepted(duplicate=True)
    scheduler.handle(Reopen(frozenset({"seconds"})))
    order, _ = play(scheduler, lambda job: Completed(1.0))
    assert order == ["1.0", "2.0", "3.0", "4.0", "5.0", "0.refit"]


def test_wider_rules_reopen_a_finished_study():
    scheduler = make([(1, 1)], [(1, 1)], brackets=1)
    play(scheduler, lambda job: Completed(1.0))
    wider = make([(1, 1)], [(1, 1)], brackets=2)
    wider.state = scheduler.state
    assert wider.handle(Reopen()).events
    order, _ = play(wider, lambda job: Completed(1.0))
    assert order == ["1.0"]


def test_warm_start_comes_first_or_not_at_all():
    scheduler = make([(2, 1)])
    observations = (Observation(-1, {"x": 1}, 1.0, 0.5),)
    assert scheduler.handle(WarmStart(observations)).events
    assert not scheduler.handle(WarmStart(observations)).events
    assert scheduler.state.observations == list(observations)
    assert scheduler.state.incumbent is None


def test_suggestions_ahead_never_exceed_what_can_be_used():
    scheduler = make([(3, 1), (1, 3)], [(2, 1)], brackets=2)
    assert scheduler.outlook.missing_suggestions(100) == 5
    for number in range(4):
        scheduler.handle(Suggest(number, {"x": number}, "prior"))
    assert scheduler.outlook.missing_suggestions(100) == 1
    assert scheduler.outlook.missing_suggestions(3) == 0
    limited = make([(9, 1)], evaluations=4)
    assert limited.outlook.missing_suggestions(100) == 4


def test_events_out_of_turn_are_refused():
    scheduler = make([(1, 1)])
    with pytest.raises(ValueError, match="lease 3"):
        scheduler.state.apply(TrialLeased(TrialId(0, 0), 0, 1.0, 3, 1, "w"))


@pytest.mark.parametrize("before", TrialState)
@pytest.mark.parametrize("after", TrialState)
def test_only_transitions_of_the_table_are_possible(before, after):
    trial = Trial(TrialId(0, 0), 0, 1.0, before)
    if after in LEGAL[before]:
        trial.move(after)
        assert trial.state is after
    else:
        with pytest.raises(ValueError, match="cannot go from"):
            trial.move(after)


def test_trial_ids_are_read_as_they_are_written():
    for trial in (TrialId(0, 0), TrialId(12, 3), TrialId(4, REFIT_RUNG)):
        assert TrialId.parse(str(trial)) == trial


def test_leases_expire_unless_renewed():
    table = LeaseTable(10.0)
    table.grant(2, "a", 0.0)
    table.grant(1, "b", 0.0)
    table.grant(3, "a", 5.0)
    assert table.expired(9.9) == []
    assert table.expired(10.0) == [1, 2]
    table.renew(1, 10.0)
    table.drop(2)
    table.drop(2)
    assert table.expired(15.0) == [3]
    assert table.expired(20.0) == [1, 3]
    assert len(table) == 2


def test_a_lease_that_has_ended_is_not_renewed():
    table = LeaseTable(10.0)
    table.grant(1, "a", 0.0)
    table.drop(1)
    table.renew(1, 5.0)
    table.renew(2, 5.0)
    assert (len(table), table.expired(1e9), table.held_by("a")) == (0, [], [])


def test_the_table_knows_who_holds_what():
    table = LeaseTable(10.0)
    for lease, worker in ((5, "a"), (2, "a"), (3, "b")):
        table.grant(lease, worker, 0.0)
    assert [table.held_by(worker) for worker in ("a", "b", "c")] == [[2, 5], [3], []]
    table.drop(5)
    table.drop(3)
    table.renew(2, 100.0)
    assert [table.held_by(worker) for worker in ("a", "b", "c")] == [[2], [], []]
    table.grant(7, "b", 0.0)
    assert table.held_by("b") == [7]


def kinds(transition):
    return [type(event) for event in transition.events]


def test_what_was_told_is_written_down_in_full():
    scheduler = make([(9, 1)], attempts=1)
    jobs = [ask(scheduler, f"w{i}") for i in range(4)]
    told = [
        tell(scheduler, jobs[0], Completed(0.5, {"a": 1}, 2.0, ((1.0, 0.75),))),
        tell(scheduler, jobs[1], Failed("timeout", "too slow", "where it was", 3.0, ((1.0, 0.25),))),
        tell(scheduler, jobs[2], Released("lost", "gone")),
        tell(scheduler, jobs[3], Released("preempted", "evicted")),
    ]
    assert [transition.events for transition in told] == [
        (TrialCompleted(TrialId(0, 0), 0, 0.5, {"a": 1}, 2.0, ((1.0, 0.75),)),),
        (TrialFailed(TrialId(1, 0), 1, "timeout", "too slow", "where it was", 3.0, ((1.0, 0.25),)),),
        (TrialAbandoned(TrialId(2, 0), 2, "lost", "gone"),),
        (TrialRequeued(TrialId(3, 0), 3, "preempted", "evicted", used_attempt=False),),
    ]
    assert {transition.reply for transition in told} == {Accepted()}
    running = ask(scheduler)
    assert scheduler.handle(Halt("seconds")).events == (
        TrialRequeued(TrialId(3, 0), running.lease, "stopped", "the search ended (seconds)", used_attempt=False),
        StudyStopped("seconds"),
    )


def test_a_lease_is_written_down_in_full():
    scheduler = make([(1, 1)], refit=True)
    scheduler.handle(Ask("a"))
    scheduler.handle(Suggest(0, {"x": 1}, "prior"))
    first = scheduler.handle(Ask("a"))
    assert first.events == (TrialLeased(TrialId(0, 0), 0, 1, 0, 1, "a"),)
    tell(scheduler, first.reply, Released("lost", "gone"))
    assert scheduler.handle(Ask("b")).events == (TrialLeased(TrialId(0, 0), 0, 1, 1, 2, "b"),)
    scheduler.handle(Tell(1, Completed(0.5)))
    refit = scheduler.handle(Ask("c"))
    assert refit.events == (TrialLeased(TrialId(0, REFIT_RUNG), -1, 1, 2, 1, "c"),)
    assert refit.reply == Job(2, TrialId(0, REFIT_RUNG), 1, {"x": 1}, 1, 1, first.reply.seed)


def test_everything_is_counted_once():
    scheduler = make([(3, 1), (1, 3)], attempts=1)
    for origin in ("model", "prior", "model"):
        scheduler.handle(Suggest(len(scheduler.state.configurations), {"x": 0}, origin))
    tell(scheduler, ask(scheduler), Released("preempted", "evicted"))
    tell(scheduler, ask(scheduler), Completed(1.0))
    tell(scheduler, ask(scheduler), Failed("exception", "boom"))
    tell(scheduler, ask(scheduler), Released("lost", "gone"))
    ask(scheduler)
    for _ in range(2):
        scheduler.state.apply(MasterStarted("0", "head", 1))
    state = scheduler.state
    assert (state.n_completed, state.n_failed, state.n_abandoned, state.n_requeued) == (1, 1, 1, 1)
    assert (state.n_from_model, state.n_masters, state.running, state.started) == (2, 2, 1, 4)
    assert state.trials[TrialId(1, 0)].loss == float("inf")
    fresh = make([(1, 1)]).state
    assert not any((fresh.n_completed, fresh.n_failed, fresh.n_abandoned, fresh.n_requeued, fresh.n_masters))
    assert not any((fresh.n_from_model, fresh.running, fresh.started, fresh.spent))


def test_a_lease_is_held_by_its_worker_alone_and_only_while_it_is_current():
    scheduler = make([(2, 1)])
    job = ask(scheduler, "a")
    assert scheduler.state.holds(job.lease, "a")
    assert not scheduler.state.holds(job.lease, "b")
    assert not scheduler.state.holds(job.lease + 1, "a")
    assert not scheduler.state.holds(-1, "a")
    tell(scheduler, job, Completed(1.0))
    assert not scheduler.state.holds(job.lease, "a")


def test_who_was_given_a_lease_is_remembered():
    scheduler = make([(2, 1)])
    job = ask(scheduler, "a")
    tell(scheduler, job, Released("lost", "gone"))
    again = ask(scheduler, "b")
    assert scheduler.state.was_granted(job.lease, "a")
    assert scheduler.state.was_granted(again.lease, "b")
    for lease, worker in ((job.lease, "b"), (again.lease, "a"), (2, "a"), (-1, "b"), (-2, "a")):
        assert not scheduler.state.was_granted(lease, worker)


def test_seeds_are_those_of_study_and_configuration():
    scheduler = make([(3, 1)])
    digests = [hashlib.sha256(f"7:{number}".encode()).hexdigest() for number in range(3)]
    assert [ask(scheduler).seed for _ in range(3)] == [int(digest[:8], 16) // 2 for digest in digests]


def test_a_late_result_takes_a_waiting_trial_out_of_its_queue():
    scheduler = make([(2, 1), (1, 3)])
    slow, other = ask(scheduler, "slow"), ask(scheduler, "other")
    tell(scheduler, slow, Released("lost", "silent"))
    tell(scheduler, slow, Completed(0.5))
    assert ask(scheduler, "fast") == Wait(needs_suggestion=False)
    tell(scheduler, other, Completed(1.0))
    assert ask(scheduler, "fast").trial == TrialId(0, 1)


def test_a_rung_closes_once_however_late_a_result_comes():
    scheduler = make([(1, 1)], [(1, 1)], attempts=1)
    lost = ask(scheduler)
    running = ask(scheduler)
    events = tell(scheduler, lost, Released("lost", "silent")).events
    assert RungClosed(0, 0, ()) in events
    late = tell(scheduler, lost, Completed(0.5)).events
    assert late == ()
    tell(scheduler, running, Completed(1.0))
    assert [bracket.is_over for bracket in scheduler.state.brackets] == [True, True]


def test_after_the_end_nothing_happens_any_more():
    scheduler = make([(1, 1)])
    play(scheduler, lambda job: Completed(1.0))
    for command in (Ask("w"), Halt("seconds"), Tell(0, Completed(0.0)), Reopen()):
        assert scheduler.handle(command).events == ()
    assert scheduler.handle(Ask("w")).reply == Stop("brackets")
    assert scheduler.outlook.missing_suggestions(10) == 0


def test_a_search_that_goes_on_cannot_be_reopened():
    scheduler = make([(3, 1)])
    ask(scheduler)
    transition = scheduler.handle(Reopen(frozenset({"seconds"})))
    assert (transition.events, transition.reply) == ((), Accepted(duplicate=True))


def test_a_better_loss_must_be_wanted_to_go_on_after_one_was_reached():
    found = make([(1, 1)], [(1, 1)], loss=0.5, brackets=2)
    tell(found, ask(found), Completed(0.25))
    assert found.state.stop_reason == "loss"
    for loss, goes_on in ((0.5, False), (0.25, False), (0.125, True)):
        again = make([(1, 1)], [(1, 1)], loss=loss, brackets=2)
        again.state = found.state
        transition = again.handle(Reopen())
        assert transition.reply == Accepted(duplicate=not goes_on)
        assert kinds(transition) == ([StudyReopened] if goes_on else [])
    assert ask(again).trial == TrialId(1, 0)


def test_a_reopened_search_that_may_start_nothing_ends_at_once():
    found = make([(1, 1)], loss=0.5, evaluations=1)
    tell(found, ask(found), Completed(0.25))
    again = make([(1, 1)], loss=0.0, evaluations=1)
    again.state = found.state
    assert again.handle(Reopen()).events == (StudyReopened(), StudyStopped("evaluations"))


def test_reopening_forgets_the_refit_and_takes_it_back_from_its_worker():
    scheduler = make([(1, 1)], refit=True)
    tell(scheduler, ask(scheduler), Completed(1.0))
    tell(scheduler, ask(scheduler), Completed(1.0, {"test_error": 0.5}))
    longer = make([(1, 1)], [(1, 1)], refit=True)
    longer.state = scheduler.state
    longer.handle(Reopen())
    assert longer.state.refit is None
    tell(longer, ask(longer), Completed(0.5))
    running = ask(longer)
    assert running.trial == TrialId(1, REFIT_RUNG)
    longest = make([(1, 1)], [(1, 1)], [(1, 1)], refit=True)
    longest.state = longer.state
    longest.handle(Reopen())
    check_invariants(longest)
    assert longest.state.running == 0
    assert tell(longest, running, Completed(0.0)).reply == Accepted(duplicate=True)


@pytest.mark.parametrize("rule", [{"full_budgets": 1.9}, {"evaluations": 4}])
def test_a_promoted_trial_that_may_not_start_waits_for_those_that_run(rule):
    scheduler = make([(3, 1), (1, 3)], [(3, 1)], **rule)
    jobs = [ask(scheduler, f"w{i}") for i in range(4)]
    for job in jobs[:3]:
        tell(scheduler, job, Completed(1.0))
    assert ask(scheduler) == Wait(needs_suggestion=False)
    assert scheduler.state.started == 4
    tell(scheduler, jobs[3], Completed(1.0))
    assert scheduler.state.stop_reason == next(iter(rule))


def test_an_empty_warm_start_is_none():
    scheduler = make([(1, 1)])
    transition = scheduler.handle(WarmStart(()))
    assert (transition.events, transition.reply) == ((), Accepted(duplicate=True))


def test_a_warm_start_after_the_first_suggestion_comes_too_late():
    scheduler = make([(1, 1)])
    scheduler.handle(Ask("w"))
    scheduler.handle(Suggest(0, {"x": 0}, "prior"))
    transition = scheduler.handle(WarmStart((Observation(-1, {"x": 1}, 1.0, 0.5),)))
    assert (transition.events, transition.reply) == ((), Accepted(duplicate=True))


def test_a_lease_that_has_ended_cannot_be_given_back():
    scheduler = make([(1, 1)])
    first = ask(scheduler, "a")
    tell(scheduler, first, Released("preempted", "evicted"))
    second = ask(scheduler, "b")
    transition = tell(scheduler, first, Released("lost", "gone"))
    assert (transition.events, transition.reply) == ((), Accepted(duplicate=True))
    assert scheduler.state.holds(second.lease, "b")


def test_suggestions_ahead_shrink_with_what_was_started():
    scheduler = make([(9, 1)], evaluations=4)
    ask(scheduler)
    assert scheduler.outlook.missing_suggestions(100) == 3
    scheduler.handle(Suggest(1, {"x": 1}, "prior"))
    assert scheduler.outlook.missing_suggestions(100) == 2
    assert scheduler.outlook.missing_suggestions(2) == 1


def test_many_rungs_and_brackets_promote_by_their_own_sizes():
    scheduler = make([(5, 1), (3, 2), (2, 4)], [(2, 2), (1, 4)])
    losses = {configuration: (configuration * 3) % 7 for configuration in range(7)}
    order, _ = play(scheduler, lambda job: Completed(float(losses[job.trial.configuration])))
    assert order == ["0.0", "1.0", "2.0", "3.0", "4.0", "0.1", "3.1", "1.1", "0.2", "3.2", "5.0", "6.0", "5.1"]


@pytest.mark.parametrize(
    ("event", "match"),
    [
        (BracketOpened(2, (Rung(1, 1.0),)), "bracket 2 was opened, but 1 is next"),
        (ConfigurationSuggested(2, {}, "prior"), "configuration 2 was suggested, but 1 is next"),
        (ConfigurationSuggested(0, {}, "prior"), "configuration 0 was suggested, but 1 is next"),
        (TrialLeased(TrialId(1, 0), 0, 1.0, 0, 1, "w"), "trial 1.0 was leased out of turn"),
    ],
)
def test_records_of_another_study_are_refused(event, match):
    scheduler = make([(2, 1)])
    scheduler.handle(Ask("w"))
    scheduler.handle(Suggest(0, {"x": 0}, "prior"))
    with pytest.raises(ValueError, match=match):
        scheduler.state.apply(event)


def test_a_lease_without_a_configuration_is_refused():
    scheduler = make([(2, 1)])
    scheduler.handle(Ask("w"))
    with pytest.raises(ValueError, match="out of turn"):
        scheduler.state.apply(TrialLeased(TrialId(0, 0), 0, 1.0, 0, 1, "w"))


@pytest.mark.parametrize(
    ("rules", "started", "spent", "share", "reason"),
    [
        (StopRules(), 10**9, 1e9, 1.0, None),
        (StopRules(evaluations=3), 2, 0.0, 1.0, None),
        (StopRules(evaluations=3), 3, 0.0, 1.0, "evaluations"),
        (StopRules(full_budgets=1.0), 0, 0.5, 0.5, None),
        (StopRules(full_budgets=0.3), 0, 0.1 + 0.1, 0.1, None),  # the sum is above 0.3 by rounding alone
        (StopRules(full_budgets=1.0), 0, 0.5, 0.500001, "full_budgets"),
        (StopRules(full_budgets=1.0), 0, 1.0, 0.001, "full_budgets"),
        (StopRules(evaluations=3, full_budgets=1.0), 3, 1.0, 1.0, "evaluations"),
        (StopRules(evaluations=9, full_budgets=1.0), 3, 1.0, 1.0, "full_budgets"),
    ],
)
def test_what_may_start(rules, started, spent, share, reason):
    assert rules.forbids_start(started, spent, share) == reason


def test_which_brackets_may_open_and_which_loss_is_enough():
    assert [StopRules(brackets=2).forbids_bracket(index) for index in range(3)] == [False, False, True]
    assert not StopRules().forbids_bracket(10**9)
    assert [StopRules(loss=0.5).is_reached_by(loss) for loss in (0.4, 0.5, 0.6)] == [True, True, False]
    assert StopRules(loss=0.0).is_reached_by(-1.0)
    assert not StopRules().is_reached_by(-1e9)


def test_a_loss_that_is_not_low_enough_ends_nothing():
    scheduler = make([(1, 1)], [(1, 1)], loss=0.5, brackets=2)
    tell(scheduler, ask(scheduler), Completed(0.625))
    assert scheduler.state.stop_reason is None
    tell(scheduler, ask(scheduler), Completed(0.5))
    assert scheduler.state.stop_reason == "loss"


@pytest.mark.parametrize("text", ["", "1", "1.", ".1", "a.b", "1.refits", "1.2.3"])
def test_what_names_no_trial_is_refused(text):
    with pytest.raises(ValueError, match="invalid literal"):
        TrialId.parse(text)


def test_only_results_are_final():
    assert {state for state in TrialState if state.is_final} == {TrialState.COMPLETED, TrialState.FAILED}


def test_a_study_that_may_not_start_anything_ends_at_the_first_question():
    transition = make([(1, 9)], full_budgets=0.5).handle(Ask("w"))
    assert (transition.events, transition.reply) == ((StudyStopped("full_budgets"),), Stop("full_budgets"))


def test_a_late_result_of_a_finished_trial_changes_nothing_while_its_rung_is_open():
    scheduler = make([(3, 1), (1, 3)])
    first, _ = ask(scheduler, "a"), ask(scheduler, "b")
    tell(scheduler, first, Completed(1.0))
    for outcome in (Completed(0.0), Failed("exception", "boom"), Released("lost", "gone")):
        transition = tell(scheduler, first, outcome)
        assert (transition.events, transition.reply) == ((), Accepted(duplicate=True))


def test_a_search_that_goes_on_is_not_finished():
    scheduler = make([(1, 1)])
    assert not scheduler.is_finished
    play(scheduler, lambda job: Completed(1.0))
    assert scheduler.is_finished


def test_a_failed_refit_is_tried_again_when_the_study_is_reopened():
    scheduler = make([(1, 1)], refit=True)
    play(scheduler, lambda job: Failed("exception", "typo") if job.trial.rung == REFIT_RUNG else Completed(1.0))
    assert scheduler.is_finished
    assert scheduler.handle(Reopen()).events
    assert not scheduler.is_finished
    order, end = play(scheduler, lambda job: Completed(1.0, {"test_error": 0.1}))
    assert (order, end) == (["0.refit"], Stop("brackets"))
    assert scheduler.state.refit == {"test_error": 0.1}
    assert not scheduler.handle(Reopen()).events
