"""What Dask's workers do with units that are told to end before they are there."""

import subprocess

import pytest

from bohb_service.fleet import dask_task
from bohb_service.fleet.dask_task import Order, end_units, held_units, hold_worker

ORDER = Order("unit", ("--nameserver", "127.0.0.1:9", "--study", "s", "--insecure"))


@pytest.fixture(autouse=True)
def _nothing_has_ended(monkeypatch):
    monkeypatch.setattr(dask_task, "_ended", set())


def test_a_unit_that_was_told_to_end_is_not_started(monkeypatch):
    monkeypatch.setattr(subprocess, "Popen", None)
    end_units(["unit", "another"])
    assert hold_worker(ORDER) == 75


def test_a_unit_that_is_told_to_end_while_it_starts_ends(monkeypatch):
    start = subprocess.Popen

    def be_late(*arguments, **options):
        end_units(["unit"])
        return start(*arguments, **options)

    monkeypatch.setattr(subprocess, "Popen", be_late)
    assert hold_worker(ORDER) != 0  # which without that waits an hour for the master
    assert held_units() == []
