"""Workers of every style, called as they are written."""

from pathlib import Path

import pytest
from ConfigSpace import ConfigurationSpace

from bohb_service.errors import WorkerSpecError
from bohb_service.scheduler.outcomes import Completed
from bohb_service.testing.clock import ManualClock
from bohb_service.worker.base import EvaluationContext, Worker
from bohb_service.worker.objective import Objective, check_options, overrides_refit, own_space

CONFIG = {"x": 0.5}
CONTEXT = EvaluationContext("4.1", 4, 9.0, 3.0, 11, Path("/there"))


def evaluated(worker, **options):
    outcome = Objective(worker, options).evaluate(CONFIG, CONTEXT)
    assert isinstance(outcome, Completed), outcome
    return outcome.info


class Ours(Worker):
    def compute(self, config, budget, context):
        return {"loss": 0, "info": {"config": config, "budget": budget, "trial": context.trial_id}}


class OursOtherwiseNamed(Worker):
    def compute(self, params, epochs, ctx):
        return {"loss": 0, "info": {"config": params, "budget": epochs, "trial": ctx.trial_id}}


class OursWithAnything(Worker):
    def compute(self, *args):
        config, budget, context = args
        return {"loss": 0, "info": {"config": config, "budget": budget, "trial": context.trial_id}}


class OursWithContextByName(Worker):
    def compute(self, config, budget, *, context):
        return {"loss": 0, "info": {"config": config, "budget": budget, "trial": context.trial_id}}


class DuckTyped:
    def compute(self, config, budget, context):
        return {"loss": 0, "info": {"config": config, "budget": budget, "trial": context.trial_id}}


@pytest.mark.parametrize("worker", [Ours, OursOtherwiseNamed, OursWithAnything, OursWithContextByName, DuckTyped])
def test_our_own_style_gets_a_context(worker):
    assert evaluated(worker) == {"config": CONFIG, "budget": 9.0, "trial": "4.1"}


def test_a_compute_of_two_arguments_gets_two():
    class Short(Worker):
        def compute(self, config, budget):
            return {"loss": 0, "info": [config, budget]}

    assert evaluated(Short) == {"value": [CONFIG, 9.0]}


class Legacy:
    def compute(self, config_id, config, budget, working_directory, **kwargs):
        return {"loss": 0, "info": {"id": config_id, "folder": working_directory, "others": kwargs}}


class LegacyInAnotherOrder:
    def compute(self, config, budget, working_directory, config_id=None):
        return {"loss": 0, "info": {"id": config_id, "folder": working_directory, "others": {}}}


class LegacyWithKeywordsOnly:
    def compute(self, config, budget, **kwargs):
        return {
            "loss": 0,
            "info": {"id": kwargs.pop("config_id"), "folder": kwargs.pop("working_directory"), "others": kwargs},
        }


class LegacyUnderOurBase(Worker):
    def compute(self, config_id, config, budget, working_directory, *args, **kwargs):
        return {"loss": 0, "info": {"id": config_id, "folder": working_directory, "others": kwargs}}


@pytest.mark.parametrize("worker", [Legacy, LegacyInAnotherOrder, LegacyWithKeywordsOnly, LegacyUnderOurBase])
def test_the_predecessors_style_gets_keywords(worker):
    assert evaluated(worker) == {"id": [0, 0, 4], "folder": "/there", "others": {}}


def test_a_base_class_that_demands_a_run_id_gets_one():
    class PredecessorsBase:
        def __init__(self, run_id, nameserver=None):
            self.run_id = run_id

    class Legacy(PredecessorsBase):
        def __init__(self, *args, sleep_interval=0, **kwargs):
            super().__init__(*args, **kwargs)
            self.sleep_interval = sleep_interval

        def compute(self, config, budget, **kwargs):
            return {"loss": 0, "info": {"run_id": self.run_id, "sleep": self.sleep_interval}}

    assert evaluated(Legacy, sleep_interval=2) == {"run_id": "bohb", "sleep": 2}


def test_a_compute_that_cannot_be_called_is_refused_when_it_is_loaded():
    class Odd(Worker):
        def compute(self, config):
            return 0

    with pytest.raises(WorkerSpecError, match=r"Odd.compute\(config\) cannot be called; write compute\(self, config"):
        Objective(Odd, {})


def test_options_reach_the_constructor():
    class WithOptions(Worker):
        def __init__(self, depth, width=3):
            super().__init__(depth=depth, width=width)

        def compute(self, config, budget, context):
            return {"loss": 0, "info": self.options}

    assert evaluated(WithOptions, depth=2) == {"depth": 2, "width": 3}
    with pytest.raises(WorkerSpecError) as refused:
        Objective(WithOptions, {"dept": 2})
    assert "WithOptions does not take worker_options {'dept': 2}" in str(refused.value)
    assert "did you mean 'depth'?" in str(refused.value)
    assert "WithOptions(depth, width=3)" in str(refused.value)
    assert check_options(WithOptions, {"depth": 2}) == {"depth": 2}


def test_a_constructor_that_raises_is_named():
    class Picky(Worker):
        def __init__(self, path):
            raise FileNotFoundError(path)

        def compute(self, config, budget, context):
            return 0

    with pytest.raises(
        WorkerSpecError, match=r"constructing Picky with worker_options .* raised FileNotFoundError: /no"
    ):
        Objective(Picky, {"path": "/no"})


def test_evaluations_are_timed():
    clock = ManualClock()

    class Slow(Worker):
        def compute(self, config, budget, context):
            clock.advance(2.5)
            return 0

    assert Objective(Slow, {}, clock).evaluate(CONFIG, CONTEXT).seconds == 2.5


def test_what_judging_the_result_raises_is_the_objectives_fault_too():
    class Trap(dict):
        def items(self):
            raise RuntimeError("trapped")

    class Sly(Worker):
        def compute(self, config, budget, context):
            return {"loss": 0, "info": {"a": Trap(b=1)}}

    failed = Objective(Sly, {}).evaluate(CONFIG, CONTEXT)
    assert (failed.reason, failed.message) == ("exception", "RuntimeError: trapped")


class WithRefit(Ours):
    def refit(self, config, budget, context):
        return {"test_error": 0.5, "trial": context.trial_id}


def test_refit_is_found_and_called():
    assert overrides_refit(WithRefit)
    assert not overrides_refit(Ours)
    assert not overrides_refit(Legacy)
    outcome = Objective(WithRefit, {}).evaluate(CONFIG, CONTEXT, refit=True)
    assert outcome.info == {"test_error": 0.5, "trial": "4.1"}


@pytest.mark.parametrize("worker", [Ours, Legacy])
def test_a_refit_that_is_not_there_is_a_failure(worker):
    failed = Objective(worker, {}).evaluate(CONFIG, CONTEXT, refit=True)

    assert "does not define one" in failed.message


def test_the_space_is_found_in_either_style():
    class New(Ours):
        @staticmethod
        def configuration_space(size=1.0, **_options):
            return ConfigurationSpace({"x": (0.0, size)})

    class FewOptions(Ours):
        @classmethod
        def configuration_space(cls):
            return ConfigurationSpace({"x": (0.0, 1.0)})

    class Old(Legacy):
        @staticmethod
        def get_configspace():
            return ConfigurationSpace({"x": (0.0, 1.0)})

    assert own_space(New, {"size": 4.0, "other": 1})["x"].upper == 4.0
    assert list(own_space(FewOptions, {"size": 4.0})) == ["x"]
    assert list(own_space(Old, {"size": 4.0})) == ["x"]
    assert own_space(Ours, {}) is None
    assert own_space(Legacy, {}) is None


def test_a_space_that_cannot_be_built_is_told():
    class Raises(Ours):
        @staticmethod
        def configuration_space():
            raise KeyError("x")

    class ReturnsDict(Ours):
        @staticmethod
        def configuration_space():
            return {"x": (0, 1)}

    class NeedsInstance(Ours):
        def configuration_space(self):
            return ConfigurationSpace()

    with pytest.raises(WorkerSpecError, match=r"Raises.configuration_space raised KeyError: 'x'"):
        own_space(Raises, {})
    with pytest.raises(WorkerSpecError, match=r"return a ConfigSpace.ConfigurationSpace"):
        own_space(ReturnsDict, {})
    with pytest.raises(WorkerSpecError, match="make it a @staticmethod"):
        own_space(NeedsInstance, {})


def test_setup_and_teardown_are_optional():
    calls = []

    class Tidy(Ours):
        def setup(self):
            calls.append("setup")

        def teardown(self):
            calls.append("teardown")

    for worker in (Tidy, Ours, Legacy):
        objective = Objective(worker, {})
        objective.set_up()
        objective.tear_down()
    assert calls == ["setup", "teardown"]
