"""What trials need, who gets which, and how far those run ahead who cannot do all."""

import json

import pytest

from bohb_service.errors import StudyError
from bohb_service.master.plan import needs_for
from bohb_service.optimizer.brackets import HyperbandSchedule
from bohb_service.scheduler.commands import Ask, Suggest, Tell
from bohb_service.scheduler.invariants import check_invariants
from bohb_service.scheduler.needs import NeedRule, Needs
from bohb_service.scheduler.outcomes import Completed, Released
from bohb_service.scheduler.replies import Job, Stop, Wait
from bohb_service.scheduler.scheduler import Scheduler
from bohb_service.scheduler.settings import Settings
from bohb_service.scheduler.stopping import StopRules
from bohb_service.scheduler.trial import REFIT_RUNG, TrialId
from bohb_service.study import Study, parse_study, study_schema

GPU_FROM_NINE = Needs((NeedRule(9.0, {"gpu": 1}),))
CPU, GPU = {"gpu": 0}, {"gpu": 1}


def make(needs=GPU_FROM_NINE, *, refit=False, **stop):
    rules = StopRules(**(stop or {"brackets": 3}))
    return Scheduler(Settings(HyperbandSchedule(1, 9), rules, 3, 9.0, seed=0, refit=refit, needs=needs))


def ask(scheduler, labels, **wishes):
    command = Ask("w", labels, **wishes)
    reply = scheduler.handle(command).reply
    if isinstance(reply, Wait) and reply.needs_suggestion:
        number = len(scheduler.state.configurations)
        scheduler.handle(Suggest(number, {"x": number}, "prior"))
        reply = scheduler.handle(command).reply
    check_invariants(scheduler)
    return reply


def work(scheduler, labels):
    """Evaluate all that a worker can take; the trials in order."""
    done = []
    while isinstance(job := ask(scheduler, labels), Job):
        done.append((job.trial, job.budget))
        scheduler.handle(Tell(job.lease, Completed(float(job.trial.configuration))))
        check_invariants(scheduler)
    return done, job


@pytest.mark.parametrize(
    ("need", "label", "fits"),
    [
        *((1, 1, True), (1, 2.0, True), (2, 1, False), (1, None, False), (0, None, True), (1, "many", False)),
        *(("a100", "a100", True), ("a100", "h100", False), ("a100", None, False), ("a100", 1, False)),
    ],
)
def test_a_worker_has_enough_of_a_quantity_or_the_very_label(need, label, fits):
    needs = Needs((NeedRule(0.0, {"it": need}),))

    assert needs.fits(1.0, {} if label is None else {"it": label}) is fits


def test_later_rules_overrule_earlier_ones_from_their_budget_on():
    needs = Needs((NeedRule(0.0, {"memory_mb": 100, "gpu": 0}), NeedRule(3.0, {"gpu": 1})))

    assert [needs.at(budget) for budget in (1.0, 3.0)] == [
        {"memory_mb": 100, "gpu": 0},
        {"memory_mb": 100, "gpu": 1},
    ]


def test_whoever_cannot_take_the_next_trial_gets_the_one_after_it():
    scheduler = make()
    done, reply = work(scheduler, CPU)

    assert reply == Wait(needs_suggestion=False)
    assert {budget for _, budget in done} == {1.0, 3.0}
    assert scheduler.outlook.work() == {9.0: 5}  # the tops of the first two brackets, and the third one
    done, reply = work(scheduler, GPU)
    assert reply == Stop("brackets")
    assert [budget for _, budget in done] == [9.0] * 5


def test_workers_that_can_take_all_see_the_order_of_a_study_without_needs():
    assert work(make(), GPU) == work(make(Needs()), {})


def test_how_far_small_budgets_run_ahead_is_bounded():
    scheduler = make(evaluations=100_000)
    done, reply = work(scheduler, CPU)

    assert reply == Wait(needs_suggestion=False)
    assert len(done) < 100
    assert len(scheduler.state.with_work) == 7
    # No more brackets are opened, so nothing in them waits for anybody.
    assert set(scheduler.outlook.work(n_cycles=100)) == {9.0}


def test_a_study_that_nobody_can_take_waits():
    scheduler = make(Needs((NeedRule(0.0, {"gpu": 1}),)))

    assert ask(scheduler, CPU) == Wait(needs_suggestion=False)
    assert scheduler.state.brackets == []


def test_the_final_training_needs_what_the_largest_budget_needs():
    scheduler = make(refit=True)
    work(scheduler, CPU)
    while scheduler.state.stop_reason is None:
        job = ask(scheduler, GPU)
        scheduler.handle(Tell(job.lease, Completed(0.5)))
    assert ask(scheduler, CPU) == Wait(needs_suggestion=False)
    assert scheduler.outlook.work() == {9.0: 1}

    assert ask(scheduler, GPU).trial.rung == REFIT_RUNG


def test_a_preempted_trial_is_done_again_by_one_that_can_even_where_nothing_new_may_start():
    scheduler = make(Needs((NeedRule(0.0, {"gpu": 1}),)), evaluations=1)
    job = ask(scheduler, GPU)
    scheduler.handle(Tell(job.lease, Released("preempted", "evicted")))

    assert ask(scheduler, CPU) == Wait(needs_suggestion=False)
    assert ask(scheduler, GPU).trial == job.trial


def test_a_worker_gets_first_what_it_holds_and_leaves_to_others_what_they_hold():
    scheduler = make(Needs())
    jobs = [ask(scheduler, {}) for _ in range(9)]
    for job in jobs:
        scheduler.handle(Tell(job.lease, Completed(float(job.trial.configuration))))
    zero, one, two = (TrialId(number, 1) for number in range(3))

    assert ask(scheduler, {}, first=frozenset({two}), later=frozenset({zero})).trial == two
    assert ask(scheduler, {}, later=frozenset({zero})).trial == one
    # Rather than nothing it gets something else.
    assert ask(scheduler, {}, later=frozenset({zero})).trial == TrialId(9, 0)
    assert ask(scheduler, {}).trial == zero


# -- the study file ---------------------------------------------------------------------------------------------


def study(tmp_path, needs):
    (tmp_path / "w.py").touch()
    keys = {"name": "s", "worker": "w.py:W", "fidelity": {"min": 1, "max": 9}, "needs": needs}
    return parse_study(keys, base=tmp_path, source="test")


def test_needs_are_one_rule_or_several(tmp_path):
    assert needs_for(study(tmp_path, {"gpu": 1, "kind": "a100"})) == Needs((NeedRule(0.0, {"gpu": 1, "kind": "a100"}),))
    several = study(tmp_path, [{"memory_mb": 100}, {"gpu": 1, "min_budget": 9}])
    assert needs_for(several) == Needs((NeedRule(0.0, {"memory_mb": 100}), NeedRule(9, {"gpu": 1})))
    assert Study.from_json(several.to_json()) == several
    assert needs_for(study(tmp_path, None)) == Needs()


def test_machines_may_change_when_a_run_goes_on(tmp_path):
    assert study(tmp_path, {"gpu": 1}).identity() == study(tmp_path, None).identity()


def test_the_schema_knows_both_forms():
    forms = study_schema()["properties"]["needs"]["anyOf"]

    assert [form["type"] for form in forms] == ["object", "array"]
    assert json.dumps(forms)


@pytest.mark.parametrize(
    ("needs", "words"),
    [
        (5, "must be a mapping"),
        ("gpu", "must be a mapping"),
        ([5], "write mappings"),
        ({"g p u": 1}, "has the name 'g p u'"),
        ({"gpu": True}, "has true for 'gpu'"),
        ({"gpu": -1}, "has -1 for 'gpu'"),
        ({"memory_mb": "16G"}, "has '16G' for 'memory_mb'; write how many MiB, as a number alone"),
        ({"cpus": "two"}, "has 'two' for 'cpus'; write how many cores, as a number alone"),
        ({"gpu": [1]}, "for 'gpu'"),
        ({"gpu": 1, "min_budget": "nine"}, "for 'min_budget'"),
    ],
)
def test_needs_that_cannot_be_are_told(tmp_path, needs, words):
    with pytest.raises(StudyError, match=r"needs: ") as caught:
        study(tmp_path, needs)
    assert words in str(caught.value)
