"""Journals that are made, taken up again, or refused."""

import contextlib
import json
import os
import shutil
import socket
import sqlite3
import sys
from dataclasses import dataclass
from typing import Any

import psutil
import pytest

from bohb_service.errors import JournalCorruptError, JournalError, RunMismatchError, StudyError
from bohb_service.journal.run_directory import RunDirectory
from bohb_service.journal.sqlite import SqliteJournal
from bohb_service.master.opening import ground_of, open_run
from bohb_service.master.plan import sampler_for
from bohb_service.results.run import load_run
from bohb_service.scheduler.commands import Ask, Halt, Suggest, Tell
from bohb_service.scheduler.events import (
    ConfigurationSuggested,
    MasterStarted,
    StudyReopened,
    StudyStopped,
    TrialLeased,
    WarmStarted,
)
from bohb_service.scheduler.outcomes import Completed, Failed, Released
from bohb_service.scheduler.replies import Job, Wait
from bohb_service.scheduler.trial import TrialId
from bohb_service.study import Study
from bohb_service.testing.clock import ManualClock

SPACE = {"x": [0.0, 1.0]}


@dataclass(frozen=True)
class Told:
    """What a worker class says of itself."""

    space: dict[str, Any] | None = None
    refit: bool = False
    recommended: list[dict[str, Any]] | None = None


def study_of(**keys):
    return Study.from_json(
        json.dumps(
            {
                "name": "small",
                "worker": "module:Class",
                "space": SPACE,
                "fidelity": {"min": 1, "max": 9},
                "stop": {"brackets": 1},
                **keys,
            }
        )
    )


class Place:
    """A run directory, and a clock that the masters of it share."""

    def __init__(self, path):
        self.directory = RunDirectory(path)
        self.directory.prepare()
        self.clock = ManualClock(1000.0)
        self.asked = 0

    def open(self, study, told=Told()):
        def describe():
            self.asked += 1
            return told

        run = open_run(study, self.directory, describe, self.clock)
        run.journal._connection.execute("PRAGMA synchronous = OFF")  # no test cuts the power
        return run

    def do(self, run, command, after_s=1.0):
        """What a master does with a command, and when."""
        self.clock.advance(after_s)
        transition = run.scheduler.handle(command)
        run.journal.append([(self.clock.now(), event) for event in transition.events])
        return transition.reply

    def work(self, run, outcome_of, n):
        """One worker that evaluates so many trials."""
        for _ in range(n):
            reply = self.do(run, Ask("w"), 0.0)
            if isinstance(reply, Wait) and reply.needs_suggestion:
                number = len(run.scheduler.state.configurations)
                self.do(run, Suggest(number, {"x": (number * 0.381966) % 1.0}, "prior"), 0.0)
                reply = self.do(run, Ask("w"), 0.0)
            if not isinstance(reply, Job):
                return
            self.do(run, Tell(reply.lease, outcome_of(reply)))

    def records(self):
        journal = SqliteJournal.open(self.directory.journal, read_only=True)
        records = list(journal.read())
        journal.close()
        return records


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path / "run")


def complete(job):
    return Completed(job.config["x"])


def test_a_new_run_is_written_down_with_its_first_master(place):
    run = place.open(study_of(), Told(refit=True))
    assert (run.is_resumed, run.seconds_before, place.asked) == (False, 0.0, 1)
    epoch = run.scheduler.state.epoch
    assert len(epoch) == 16
    assert [(record.at, record.event) for record in place.records()] == [
        (1000.0, MasterStarted("0.1.0", socket.gethostname(), os.getpid(), epoch))
    ]
    assert run.scheduler.state.n_masters == 1
    assert run.scheduler.settings.refit
    assert run.scheduler.settings.max_budget == 9
    meta = run.journal.meta
    assert Study.from_json(meta["study"]) == study_of()
    assert (meta["refit"], meta["version"], meta["space"]) == ("true", "0.1.0", run.space_json)
    assert len(run.study_id) == 32
    assert meta["study_id"] == run.study_id == (place.directory.configurations / "id").read_text()
    assert [h["name"] for h in json.loads(run.space_json)["hyperparameters"]] == ["x"]
    run.journal.close()


def test_every_run_has_an_identity_of_its_own(place, tmp_path):
    one, other = place.open(study_of()), Place(tmp_path / "other").open(study_of())
    assert one.study_id != other.study_id
    one.journal.close()
    other.journal.close()


@pytest.mark.parametrize(("offered", "wanted"), [(True, True), (True, False), (False, True), (False, False)])
def test_a_refit_must_be_offered_and_wanted(place, offered, wanted):
    run = place.open(study_of(refit=wanted), Told(refit=offered))
    assert run.scheduler.settings.refit is (offered and wanted)
    assert run.journal.meta["refit"] == ("true" if offered else "false")
    run.journal.close()


def test_a_run_goes_on_where_it_was_without_asking_the_worker_class_again(place):
    first = place.open(study_of())
    place.work(first, complete, 4)
    first.journal.close()
    place.clock.advance(500)
    again = place.open(study_of())
    assert (again.is_resumed, place.asked) == (True, 1)
    assert (again.study_id, again.space_json) == (first.study_id, first.space_json)
    assert again.scheduler.state.observations == first.scheduler.state.observations
    assert again.scheduler.state.n_masters == 2
    place.work(again, complete, 99)
    assert again.scheduler.is_finished
    assert again.scheduler.state.n_completed == 13
    again.journal.close()


def test_the_time_in_which_no_master_was_there_does_not_count(place):
    study = study_of(stop={"evaluations": 99})
    for number, expected in enumerate([0.0, 4.0, 8.0]):
        run = place.open(study)
        assert run.seconds_before == expected, number
        place.work(run, complete, 4)
        run.journal.close()
        place.clock.advance(1e6)
    run = place.open(study)
    assert run.seconds_before == 12.0
    run.journal.close()
    place.clock.advance(7)
    run = place.open(study)
    assert run.seconds_before == 12.0
    run.journal.close()


def test_a_clock_that_is_set_back_takes_nothing_from_the_working_time(place):
    run = place.open(study_of(stop={"evaluations": 99}))
    place.work(run, complete, 4)
    suggested = run.scheduler.handle(Suggest(len(run.scheduler.state.configurations), {"x": 0.5}, "prior"))
    run.journal.append([(place.clock.now() - 500.0, event) for event in suggested.events])
    run.journal.close()
    assert load_run(place.directory.path).wall_s == 4.0
    run = place.open(study_of(stop={"evaluations": 99}))
    assert run.seconds_before == 4.0
    run.journal.close()


def test_a_clock_that_was_set_back_takes_no_working_time_away(place):
    study = study_of(stop={"evaluations": 9, "seconds": 100})
    run = place.open(study)
    place.work(run, complete, 2)
    place.clock._now -= 3600.0
    place.work(run, complete, 1)
    run.journal.close()
    run = place.open(study)
    assert run.seconds_before == load_run(place.directory.path).wall_s == 2.0
    run.journal.close()


def test_a_finished_run_is_opened_without_a_trace(place):
    run = place.open(study_of())
    place.work(run, complete, 99)
    run.journal.close()
    before = place.records()
    again = place.open(study_of())
    assert again.scheduler.is_finished
    assert again.scheduler.state.stop_reason == "brackets"
    again.journal.close()
    assert place.records() == before


def test_wider_rules_go_on_with_a_finished_run(place):
    run = place.open(study_of())
    place.work(run, complete, 99)
    run.journal.close()
    n_records = len(place.records())
    place.clock.advance(10)
    again = place.open(study_of(stop={"brackets": 2}))
    assert not again.scheduler.is_finished
    assert [type(record.event) for record in place.records()[n_records:]] == [MasterStarted, StudyReopened]
    place.work(again, complete, 99)
    assert again.scheduler.state.n_completed == 13 + 6
    again.journal.close()


@pytest.mark.parametrize(("limit", "goes_on"), [(3.0, False), (2.0, False), (3.5, True), (None, True)])
def test_a_search_that_ran_out_of_time_goes_on_if_there_is_more_of_it(place, limit, goes_on):
    run = place.open(study_of(stop={"seconds": 3, "evaluations": 9}))
    place.work(run, complete, 2)
    place.do(run, Halt("seconds"))
    run.journal.close()
    again = place.open(study_of(stop={"evaluations": 9, **({"seconds": limit} if limit else {})}))
    assert again.scheduler.is_finished is not goes_on
    assert again.seconds_before == 3.0
    again.journal.close()
    assert isinstance(place.records()[-1].event, StudyReopened if goes_on else StudyStopped)


@pytest.mark.parametrize(
    ("keys", "change"),
    [
        ({"seed": 1}, "seed was 0, now 1"),
        ({"refit": False}, "refit was true, now false"),
        ({"space": {"x": [0.0, 2.0]}}, 'space was {"x": [0.0, 1.0]}, now {"x": [0.0, 2.0]}'),
        ({"worker_options": {"a": "b" * 80}}, f'worker_options was {{}}, now {{"a": "{"b" * 50}...'),
        ({"worker_options": {"ä": "b" * 51}}, f'now {{"ä": "{"b" * 51}"}})'),
        ({"worker_options": {"ä": "b" * 52}}, f'now {{"ä": "{"b" * 50}...)'),
        ({"name": "other", "worker": "module:Other"}, "name was"),
        ({"name": "other", "worker": "module:Other"}, 'worker was "module:Class", now "module:Other"'),
    ],
)
def test_another_study_is_refused_with_what_is_different(place, keys, change):
    place.open(study_of()).journal.close()
    before = place.directory.journal.read_bytes()
    with pytest.raises(RunMismatchError) as caught:
        place.open(study_of(**keys))
    assert change in str(caught.value)
    assert "stop was" not in str(caught.value)
    assert str(place.directory.journal) not in {file.path for file in psutil.Process().open_files()}
    assert place.directory.journal.read_bytes() == before


def test_limits_and_stop_may_change_and_nothing_else(place):
    place.open(study_of()).journal.close()
    changed = study_of(stop={"evaluations": 5, "loss": 0.0}, limits={"attempts": 7})
    run = place.open(changed)
    assert run.scheduler.settings.max_attempts == 7
    assert run.scheduler.settings.stop.evaluations == 5
    run.journal.close()
    with pytest.raises(RunMismatchError) as caught:
        place.open(study_of(stop={"evaluations": 6}, limits={"attempts": 2}, refit=False, seed=1))
    assert str(caught.value).partition("(")[2].partition(")")[0] == "seed was 0, now 1; refit was true, now false"


OWN = {
    "name": None,
    "hyperparameters": [
        {
            "type": "uniform_float",
            "name": "own",
            "lower": 0.0,
            "upper": 1.0,
            "default_value": 0.5,
            "log": False,
            "meta": None,
        }
    ],
    "conditions": [],
    "forbiddens": [],
    "python_module_version": "1.2.0",
    "format_version": 0.4,
}


@pytest.mark.parametrize(("given", "name"), [(None, "own"), (SPACE, "x")])
def test_the_study_files_space_comes_before_the_workers_own(given, name):
    ground = ground_of(study_of(space=given), lambda: Told(OWN, refit=True))
    assert [h["name"] for h in json.loads(ground.space_json)["hyperparameters"]] == [name]
    assert ground.offers_refit
    assert ground_of(study_of(space=given), lambda: Told(OWN)).offers_refit is False


RECOMMENDED = [{"x": 0.25}, {"x": 0.5}]


def test_a_portfolio_comes_after_the_initial_configurations_and_without_those(place):
    study = study_of(initial=[{"x": 0.75}, {"x": 0.5}], portfolio=True)
    run = place.open(study, Told(recommended=RECOMMENDED))
    assert run.initial == [{"x": 0.75}, {"x": 0.5}, {"x": 0.25}]
    sampler = sampler_for(study, run.space_json, run.initial)
    proposed = [sampler.suggest(number, (), ()) for number in range(4)]
    assert [(p.values, p.origin) for p in proposed[:3]] == [(config, "initial") for config in run.initial]
    assert proposed[3].origin == "prior"
    run.journal.close()


def test_a_resumed_run_has_the_portfolio_that_it_began_with(place):
    study = study_of(portfolio=True)
    place.open(study, Told(recommended=RECOMMENDED)).journal.close()
    run = place.open(study, Told(recommended=[{"x": 0.9}]))
    assert run.initial == RECOMMENDED
    run.journal.close()


def test_without_the_key_a_portfolio_is_left_alone(place):
    run = place.open(study_of(), Told(recommended=RECOMMENDED))
    assert run.initial == []
    run.journal.close()


def test_a_journal_of_an_earlier_version_has_the_initial_configurations_of_its_study(place):
    study = study_of(initial=[{"x": 0.75}])
    place.open(study).journal.close()
    with contextlib.closing(sqlite3.connect(place.directory.journal)) as connection, connection:
        connection.execute("DELETE FROM meta WHERE key = 'initial'")
    run = place.open(study)
    assert run.initial == [{"x": 0.75}]
    run.journal.close()


@pytest.mark.parametrize(
    ("recommended", "match"),
    [
        (None, "portfolio: worker 'module:Class' recommends no configurations"),
        ([], "portfolio: worker 'module:Class' recommends no configurations"),
        ([{"x": 0.5}, {"x": 1.5}], r"portfolio: configuration 1 of worker 'module:Class' .*1\.5"),
    ],
)
def test_a_portfolio_that_cannot_be_had_leaves_no_journal(place, recommended, match):
    with pytest.raises(StudyError, match=match):
        place.open(study_of(portfolio=True), Told(recommended=recommended))
    assert not place.directory.journal.exists()


@pytest.mark.parametrize(
    ("keys", "match"),
    [
        ({"space": None}, r"space: worker 'module:Class' has no search space of its own"),
        ({"space": {"x": [1.0, 0.0]}}, "space.x"),
        ({"initial": [{"x": 0.5}, {"x": 1.5}]}, r"initial\.1: .*1\.5"),
        ({"initial": [{"x": 0.5}, {"x": 0.1}, {"x": 0.5}]}, r"initial\[2\] is the same configuration as initial\[0\]"),
    ],
)
def test_a_study_that_cannot_begin_leaves_no_journal(place, keys, match):
    with pytest.raises(StudyError, match=match):
        place.open(study_of(**keys))
    assert not place.directory.journal.exists()


def test_a_method_without_its_package_is_said_before_anything_is_written(place, monkeypatch):
    for name in {"statsmodels", *(name for name in sys.modules if name.startswith("statsmodels."))}:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(StudyError, match="statsmodels"):
        place.open(study_of(method={"name": "bohb", "density": "statsmodels"}))
    assert not place.directory.journal.exists()


@pytest.mark.parametrize("key", ["study", "study_id", "space", "refit"])
def test_a_journal_without_what_identifies_it_is_refused(place, key):
    run = place.open(study_of())
    meta = {name: value for name, value in run.journal.meta.items() if name != key}
    run.journal.close()
    place.directory.journal.unlink()
    SqliteJournal.create(place.directory.journal, meta).close()
    with pytest.raises(JournalCorruptError, match=rf"lacks {key};"):
        place.open(study_of())


@pytest.mark.parametrize(
    "event",
    [
        ConfigurationSuggested(7, {"x": 0.5}, "prior"),
        TrialLeased(TrialId(0, 0), 0, 1.0, 9, 1, "w"),
        TrialLeased(TrialId(0, 1), 4, 1.0, 0, 1, "w"),
    ],
    ids=["number", "lease", "bracket"],
)
def test_a_record_that_contradicts_those_before_it_is_named(place, event):
    run = place.open(study_of())
    run.journal.append([(1.0, event)])
    run.journal.close()
    with pytest.raises(JournalCorruptError, match="record 2 contradicts those before it"):
        place.open(study_of())
    with pytest.raises(JournalError, match="contradicts"):
        load_run(place.directory.path)


def earlier(path, outcomes):
    """A run of budgets 1 to 9 that was cut off after these outcomes, one more being under way."""
    place = Place(path)
    run = place.open(study_of(limits={"attempts": 1}))
    pending = iter(outcomes)
    place.work(run, lambda job: next(pending), len(outcomes))
    number = len(run.scheduler.state.configurations)
    place.do(run, Suggest(number, {"x": 0.9}, "prior"))
    assert isinstance(place.do(run, Ask("w")), Job)
    run.journal.close()
    return path


def test_a_warm_start_gives_results_and_failures_of_earlier_runs_to_the_model(place, tmp_path):
    one = earlier(tmp_path / "one", [Completed(0.5), Failed("exception", "boom"), Released("lost", "gone")])
    two = earlier(tmp_path / "two", [Released("lost", "gone"), Completed(0.25)])
    run = place.open(study_of(warm_start=[str(one), str(two)]))
    found = run.scheduler.state.observations
    assert [(o.loss, o.budget) for o in found] == [(0.5, 1.0), (float("inf"), 1.0), (0.25, 1.0)]
    assert [o.values["x"] for o in found] == pytest.approx([0.0, 0.381966, 0.381966])
    numbers = [o.configuration for o in found]
    assert len(set(numbers)) == 3
    assert max(numbers) == -1
    assert numbers == sorted(numbers, reverse=True)
    assert [type(record.event) for record in place.records()] == [MasterStarted, WarmStarted]
    assert run.scheduler.state.incumbent is None
    run.journal.close()
    shutil.rmtree(two)  # what was taken from it is in the journal
    again = place.open(study_of(warm_start=[str(one), str(two)]))
    assert again.scheduler.state.observations == found
    again.journal.close()


def test_a_warm_start_that_a_kill_prevented_is_made_up_for(place, tmp_path):
    one = earlier(tmp_path / "one", [Completed(0.5)])
    study = study_of(warm_start=[str(one)])
    run = place.open(study)
    meta = run.journal.meta
    run.journal.close()
    place.directory.journal.unlink()
    SqliteJournal.create(place.directory.journal, meta).close()  # killed before it wrote its first event
    again = place.open(study)
    assert again.is_resumed
    assert [o.loss for o in again.scheduler.state.observations] == [0.5]
    again.journal.close()


def test_a_warm_start_from_another_space_is_refused_before_anything_is_written(place, tmp_path):
    one = earlier(tmp_path / "one", [Completed(0.5)])
    two = earlier(tmp_path / "two", [Completed(0.5), Completed(0.5), Completed(0.5)])
    narrow = study_of(space={"x": [0.0, 0.5]}, warm_start=[str(one), str(two)])
    with pytest.raises(StudyError, match=r"warm_start\.1: configuration 2 of .*two does not belong"):
        place.open(narrow)
    with pytest.raises(JournalError, match="nowhere"):
        place.open(study_of(warm_start=[str(tmp_path / "nowhere")]))
    assert not place.directory.journal.exists()


def test_numbers_of_earlier_results_are_unique(place, tmp_path):
    one = earlier(tmp_path / "one", [Released("lost", "gone"), Completed(0.5)])
    two = earlier(tmp_path / "two", [Completed(0.25)])
    run = place.open(study_of(warm_start=[str(one), str(two)]))
    numbers = [observation.configuration for observation in run.scheduler.state.observations]
    run.journal.close()
    assert len(set(numbers)) == 2


def test_a_stored_study_that_this_version_cannot_read_is_the_journals_fault(place):
    run = place.open(study_of())
    meta = run.journal.meta
    run.journal.close()
    place.directory.journal.unlink()
    study = {**json.loads(meta["study"]), "new_key": 1}
    SqliteJournal.create(place.directory.journal, {**meta, "study": json.dumps(study)}).close()
    with pytest.raises(JournalCorruptError, match="use the version that wrote it"):
        place.open(study_of())
