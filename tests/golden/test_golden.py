"""Journals of every released format are read by every later version, with the same results."""

import json
import shutil
from pathlib import Path

import pytest

from bohb_service.journal.sqlite import SqliteJournal
from bohb_service.master.plan import settings_for
from bohb_service.results.run import load_run
from bohb_service.scheduler.invariants import check_invariants
from bohb_service.scheduler.scheduler import Scheduler
from bohb_service.space import SearchSpace
from bohb_service.study import Study

HERE = Path(__file__).parent


@pytest.fixture(params=sorted(HERE.glob("*.sqlite")), ids=lambda path: path.stem)
def golden(request, tmp_path):
    shutil.copy(request.param, tmp_path / "journal.sqlite")
    return tmp_path, json.loads(request.param.with_suffix(".json").read_text())


def test_the_results_are_those_of_its_time(golden):
    directory, expected = golden
    found = load_run(directory).to_dict()
    # What was not known then may have been added.
    pairs = zip(found["trials"], expected["trials"], strict=True)
    found["trials"] = [{key: trial[key] for key in then} for trial, then in pairs]
    assert {key: found[key] for key in expected} == expected


def test_it_can_be_gone_on_with(golden):
    directory, _ = golden
    journal = SqliteJournal.open(directory / "journal.sqlite")
    study = Study.from_json(journal.meta["study"])
    scheduler = Scheduler(settings_for(study, offers_refit=journal.meta["refit"] == "true"))
    for record in journal.read():
        scheduler.state.apply(record.event)
    check_invariants(scheduler)
    assert scheduler.is_finished
    space = SearchSpace.from_json(journal.meta["space"])
    for configuration in scheduler.state.configurations:
        space.check(configuration.values)
    journal.close()
