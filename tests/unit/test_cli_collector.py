import gc

import pytest

from bohb_service.cli import collector


@pytest.fixture(autouse=True)
def _as_before():
    callbacks = list(gc.callbacks)
    yield
    gc.callbacks[:] = callbacks
    gc.unfreeze()
    gc.enable()


def test_what_is_there_when_serving_begins_is_never_looked_at_again():
    collector.pause_collector()
    assert not gc.isenabled()
    kept = [[] for _ in range(1000)]
    collector.spare_survivors()
    assert gc.isenabled()
    assert gc.get_freeze_count() >= len(kept)
    assert not any(item is kept[0] for item in gc.get_objects())


def test_what_piles_up_is_spared_too_and_garbage_is_still_collected(monkeypatch):
    monkeypatch.setattr(collector, "_MOST_LOOKED_AT", 5000)
    collector.spare_survivors()
    before = gc.get_freeze_count()
    few = [[] for _ in range(100)]
    gc.collect()
    assert gc.get_freeze_count() <= before
    many = [[] for _ in range(10_000)]
    gc.collect()
    assert gc.get_freeze_count() >= before + len(few) + len(many)

    cycle = []
    cycle.append(cycle)
    del cycle
    assert gc.collect() >= 1
