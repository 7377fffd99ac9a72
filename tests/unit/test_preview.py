"""The plan that `check` shows, against the scheduler that carries it out."""

import json
import math

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bohb_service.api.preview import _plan, preview
from bohb_service.errors import WorkerSpecError
from bohb_service.master.plan import settings_for
from bohb_service.scheduler.commands import Ask, Suggest, Tell
from bohb_service.scheduler.outcomes import Completed
from bohb_service.scheduler.replies import Job, Wait
from bohb_service.scheduler.scheduler import Scheduler
from bohb_service.study import Study
from tests.acceptance.study_files import OBJECTIVES


def study_of(**keys):
    content = {"name": "small", "worker": "module:Class", "fidelity": {"min": 1, "max": 9}, **keys}
    return Study.from_json(json.dumps(content))


def plan_of(study):
    found = settings_for(study, offers_refit=False)
    cycle = [
        {"rungs": [{"size": rung.size, "budget": rung.budget} for rung in found.schedule.bracket(index)]}
        for index in range(found.schedule.cycle)
    ]
    return _plan(study, cycle, found.stop.brackets)


def carried_out(study):
    """What one worker does of a study when nothing fails."""
    scheduler = Scheduler(settings_for(study, offers_refit=False))
    while True:
        reply = scheduler.handle(Ask("w")).reply
        if isinstance(reply, Wait):
            number = len(scheduler.state.configurations)
            scheduler.handle(Suggest(number, {"x": number}, "prior"))
        elif isinstance(reply, Job):
            scheduler.handle(Tell(reply.lease, Completed(float(reply.lease))))
        else:
            return scheduler.state


@given(
    method=st.sampled_from(["bohb", "successive-halving", "random"]),
    eta=st.sampled_from([2, 3]),
    brackets=st.one_of(st.none(), st.integers(1, 7)),
    evaluations=st.one_of(st.none(), st.integers(1, 60)),
    full_budgets=st.one_of(st.none(), st.sampled_from([0.1, 1 / 9, 0.5, 1, 2, 3, 3.5, 7, 12.25])),
)
@example(method="bohb", eta=3, brackets=None, evaluations=13, full_budgets=None)
@example(method="bohb", eta=3, brackets=None, evaluations=14, full_budgets=None)
@example(method="bohb", eta=3, brackets=4, evaluations=None, full_budgets=3)
@settings(max_examples=60, deadline=None)
def test_the_plan_is_what_one_worker_carries_out(method, eta, brackets, evaluations, full_budgets):
    stop = {"brackets": brackets, "evaluations": evaluations, "full_budgets": full_budgets}
    stop = {key: value for key, value in stop.items() if value is not None} or {"brackets": 2}
    options = {} if method == "random" else {"eta": eta}
    study = study_of(method={"name": method, **options}, stop=stop, limits={"seconds": 10})
    plan, state = plan_of(study), carried_out(study)
    assert plan["evaluations"] == state.started
    assert plan["configurations"] == len(state.trials) - sum(trial.rung > 0 for trial in state.trials)
    assert plan["full_budgets"] == pytest.approx(state.spent)
    assert plan["budget"] == pytest.approx(math.fsum(t.budget for t in state.trials.values() if t.was_started))
    assert plan["brackets"] == len(state.brackets)
    assert plan["seconds_at_most"] == 10 * state.started


def test_a_study_without_a_bound_has_no_plan():
    for stop in ({"seconds": 5}, {"loss": 0.1}, {"seconds": 5, "loss": 0.1}):
        assert set(plan_of(study_of(stop=stop)).values()) == {None}


def test_without_a_limit_for_one_evaluation_there_is_none_for_all():
    plan = plan_of(study_of(stop={"brackets": 1}))
    assert plan == {
        "brackets": 1,
        "evaluations": 13,
        "configurations": 9,
        "budget": 27,
        "full_budgets": 3.0,
        "seconds_at_most": None,
    }


def test_everything_is_shown():
    study = study_of(
        worker=f"{OBJECTIVES}:Quadratic",
        space={"x": [0.0, 0.5], "y": [1, 3]},
        stop={"brackets": 4, "seconds": 60},
        limits={"seconds": 2},
        seed=5,
        refit=True,
    )
    facts = preview(study)
    space = facts.pop("space")
    assert list(space) == ["x", "y"]
    assert "[0.0, 0.5]" in space["x"]
    assert facts == {
        "study": "small",
        "worker": f"{OBJECTIVES}:Quadratic",
        "method": "bohb",
        "eta": 3.0,
        "fidelity": {"name": "budget", "min": 1.0, "max": 9.0, "integer": False},
        "seed": 5,
        "offers_refit": True,
        "stop": {"brackets": 4, "seconds": 60.0},
        "cycle": [
            {
                "rungs": [{"size": 9, "budget": 1}, {"size": 3, "budget": 3}, {"size": 1, "budget": 9}],
                "full_budgets": pytest.approx(3.0),
            },
            {"rungs": [{"size": 5, "budget": 3}, {"size": 1, "budget": 9}], "full_budgets": pytest.approx(8 / 3)},
            {"rungs": [{"size": 3, "budget": 9}], "full_budgets": pytest.approx(3.0)},
        ],
        "plan": {
            "brackets": 4,
            "evaluations": 13 + 6 + 3 + 13,
            "configurations": 9 + 5 + 3 + 9,
            "budget": pytest.approx(27 + 24 + 27 + 27),
            "full_budgets": pytest.approx(105 / 9),
            "seconds_at_most": 70.0,
        },
    }


def test_a_worker_class_that_cannot_be_loaded_is_said_so():
    with pytest.raises(WorkerSpecError, match="Missing"):
        preview(study_of(worker=f"{OBJECTIVES}:Missing", space={"x": [0.0, 1.0]}))
