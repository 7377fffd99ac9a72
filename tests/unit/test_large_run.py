"""Guards against growth of the costs that a large journal has; far from tight, so that no busy machine fails them."""

import time

import pytest

from bohb_service.clock import SystemClock
from bohb_service.journal.run_directory import RunDirectory
from bohb_service.master.opening import open_run
from bohb_service.results.run import load_run
from bohb_service.scheduler.invariants import check_invariants
from tests.large_run import large_study, write_run

N_TRIALS = 10_000
MOST_CPU_S = 5.0


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    study, directory = large_study(N_TRIALS), RunDirectory(tmp_path_factory.mktemp("large"))
    write_run(study, directory, N_TRIALS)
    return study, directory


def test_ten_thousand_trials_are_replayed_in_a_moment(run):
    study, directory = run
    began = time.process_time()
    opened = open_run(study, directory, lambda: None, SystemClock())
    assert time.process_time() - began < MOST_CPU_S
    opened.journal.close()
    assert opened.scheduler.state.started >= N_TRIALS
    check_invariants(opened.scheduler)


def test_so_are_their_results(run):
    _, directory = run
    began = time.process_time()
    found = load_run(directory.path)
    assert time.process_time() - began < MOST_CPU_S
    assert len(found.trials) >= N_TRIALS


def test_what_occurs_again_and_again_is_one_object(run):
    study, directory = run
    opened = open_run(study, directory, lambda: None, SystemClock())
    opened.journal.close()
    state = opened.scheduler.state
    assert len({id(name) for name in state.holders}) == len(set(state.holders))
    strings = [value for c in state.configurations for value in c.values.values() if isinstance(value, str)]
    assert len({id(text) for text in strings}) == len(set(strings)) == 4
    n_names = len({id(name) for c in state.configurations for name in c.values})
    assert n_names < len(state.configurations) / 4
