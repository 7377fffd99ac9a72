"""What a worker class says of itself, asked in a process of its own."""

import sys
from pathlib import Path

import pytest
from ConfigSpace import ConfigurationSpace

from bohb_service.errors import WorkerSpecError
from bohb_service.space import SearchSpace
from bohb_service.worker.describe import Plan, describe

OBJECTIVES = Path(__file__).parents[1] / "objectives.py"

NOISY = """
import os, subprocess, sys
from bohb_service.worker.base import Worker
print("hello from the import")
os.write(1, b'{"space": "wrong"}')
sys.stdout.write("unfinished")
subprocess.Popen(["sleep", "60"])

class Noisy(Worker):
    def compute(self, config, budget, context):
        return 0
"""


def test_space_and_refit_are_found():
    description = describe(f"{OBJECTIVES}:Quadratic", {"sleep_per_unit": 0.5})

    assert description.refit
    space = ConfigurationSpace.from_serialized_dict(description.space)
    assert sorted(space) == ["x", "y"]
    assert "objectives" not in sys.modules


def test_a_worker_of_the_predecessors_style_has_a_space_too():
    description = describe("objectives.py:LegacyWorker", {}, base=OBJECTIVES.parent)

    assert description.space is not None
    assert not description.refit


def test_output_of_user_code_and_processes_left_running_do_no_harm(tmp_path):
    (tmp_path / "noisy.py").write_text(NOISY)

    description = describe(f"{tmp_path}/noisy.py:Noisy", {})

    assert description.space is None
    assert not description.refit


RECOMMENDING = """
from bohb_service.worker.base import Worker

class Base(Worker):
    def compute(self, config, budget, context):
        return 0

class Wise(Base):
    @staticmethod
    def initial_configurations(kind="a"):
        import numpy as np
        return ({"x": np.float64(0.5), "kind": kind}, {"x": 1, "kind": "b"})

class Silent(Base):
    @staticmethod
    def initial_configurations(**options):
        raise NotImplementedError

class Failing(Base):
    @staticmethod
    def initial_configurations():
        raise ValueError("no file")

class Odd(Base):
    @staticmethod
    def initial_configurations():
        return [3]
"""


def test_configurations_that_a_worker_recommends_are_found(tmp_path):
    (tmp_path / "wise.py").write_text(RECOMMENDING)

    assert describe(f"{tmp_path}/wise.py:Wise", {"kind": "c", "other": 1}).recommended == [
        {"x": 0.5, "kind": "c"},
        {"x": 1, "kind": "b"},
    ]
    assert describe(f"{tmp_path}/wise.py:Base", {}).recommended is None
    assert describe(f"{tmp_path}/wise.py:Silent", {}).recommended is None


@pytest.mark.parametrize(
    ("worker", "words"),
    [
        ("Failing", "Failing.initial_configurations raised ValueError: no file"),
        ("Odd", "Odd.initial_configurations has 3 in its list; return mappings"),
    ],
)
def test_recommendations_that_cannot_be_had_are_told(tmp_path, worker, words):
    (tmp_path / "wise.py").write_text(RECOMMENDING)

    with pytest.raises(WorkerSpecError) as refused:
        describe(f"{tmp_path}/wise.py:{worker}", {})

    assert words in str(refused.value)


@pytest.mark.parametrize(
    ("worker", "options", "words"),
    [
        ("NotThere", {}, "has no class 'NotThere'"),
        ("NotAWorker", {}, "does not define compute"),
        ("Quadratic", {"sleep_per_units": 1}, "did you mean 'sleep_per_unit'?"),
    ],
)
def test_what_is_wrong_is_told(worker, options, words):
    with pytest.raises(WorkerSpecError) as refused:
        describe(f"{OBJECTIVES}:{worker}", options)

    assert words in str(refused.value)


SMALL = SearchSpace(ConfigurationSpace({"x": (0.0, 0.5)})).to_json()


def test_a_plan_that_the_worker_can_do_is_accepted():
    assert describe(f"{OBJECTIVES}:Picky", {}, plan=Plan((1, 3, 9), SMALL)).space is not None
    assert describe(f"{OBJECTIVES}:Quadratic", {}, plan=Plan((1, 3, 1e9))).space is not None
    assert describe("objectives.py:LegacyWorker", {}, base=OBJECTIVES.parent, plan=Plan((1,))).space is not None


@pytest.mark.parametrize(
    ("plan", "words"),
    [
        (Plan((1, 3, 27), SMALL), "Picky: budget 27 is above worker_options.most, 9; raise that"),
        (Plan((1, 3, 9)), "Picky: check_trial raised ValueError: x = 1"),
    ],
)
def test_a_plan_that_the_worker_refuses_is_told(plan, words):
    with pytest.raises(WorkerSpecError) as refused:
        describe(f"{OBJECTIVES}:Picky", {}, plan=plan)

    assert str(refused.value) == words


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("import os; os._exit(3)", "ended with exit code 3"),
        ("import os; os.write(2, b'out of luck\\n'); os.abort()", "ended with exit code -6: out of luck"),
    ],
)
def test_an_import_that_ends_the_process_is_told(tmp_path, source, words):
    (tmp_path / "deadly.py").write_text(source)

    with pytest.raises(WorkerSpecError) as refused:
        describe(f"{tmp_path}/deadly.py:A", {})

    assert words in str(refused.value)


def test_an_import_that_takes_too_long_is_ended(tmp_path):
    (tmp_path / "slow.py").write_text("import time; time.sleep(60)")

    with pytest.raises(WorkerSpecError, match=r"took longer than 0.5 s; move slow work"):
        describe(f"{tmp_path}/slow.py:A", {}, timeout_s=0.5)
