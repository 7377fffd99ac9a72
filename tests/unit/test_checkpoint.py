"""Checkpoints of objectives: whole or not there, of the right configuration, and not too far."""

import math
from pathlib import Path

import pytest

from bohb_service.worker.base import EvaluationContext
from bohb_service.worker.checkpoint import NAME, Checkpoint, CheckpointFile, discard


def context(folder, budget=9.0, config=None, seed=1, lease=0):
    return EvaluationContext("3.1", 3, budget, 3.0, seed, folder / "3", config=config or {"x": 0.5}, lease=lease)


def test_what_was_saved_is_loaded_at_the_next_budget(tmp_path):
    assert context(tmp_path).load() is None
    context(tmp_path, budget=3.0).save(b"weights", spent=3)

    later = context(tmp_path, lease=7)

    assert later.load() == Checkpoint(b"weights", 3.0)
    assert later.continued_from == 3.0
    assert [path.name for path in (tmp_path / "3").iterdir()] == [NAME]


def test_the_last_one_counts(tmp_path):
    one = context(tmp_path)
    for epoch in range(3):
        one.save(b"x" * epoch, spent=epoch)

    assert one.load() == Checkpoint(b"xx", 2.0)


@pytest.mark.parametrize("change", [{"budget": 2.0}, {"config": {"x": 0.6}}, {"seed": 2}])
def test_what_cannot_be_continued_is_not_given(tmp_path, change):
    context(tmp_path).save(b"weights", spent=3)

    other = context(tmp_path, **change)

    assert other.load() is None
    assert other.continued_from == 0.0


def test_an_obstacle_in_the_place_of_a_checkpoint_costs_no_evaluation(tmp_path):
    (tmp_path / "3" / NAME).mkdir(parents=True)

    assert context(tmp_path).load() is None
    assert not context(tmp_path).save(b"weights", spent=3)


def test_a_damaged_file_is_never_read_as_good(tmp_path, capsys):
    context(tmp_path).save(b"weights", spent=3)
    file = tmp_path / "3" / NAME
    whole = file.read_bytes()

    for length in range(len(whole)):
        file.write_bytes(whole[:length])
        assert context(tmp_path).load() is None
    for place in range(len(whole)):
        file.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        assert context(tmp_path).load() is None
    assert f"{file} is damaged, so the evaluation begins anew" in capsys.readouterr().err
    file.write_bytes(whole)
    assert context(tmp_path).load() == Checkpoint(b"weights", 3.0)
    assert capsys.readouterr().err == ""


def test_a_save_that_fails_costs_no_evaluation_and_leaves_the_last_good_one(tmp_path, monkeypatch, capsys):
    one = context(tmp_path)
    assert one.save(b"good", spent=1)

    def full(_descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    assert not one.save(b"better", spent=2)

    assert "checkpoint of configuration 3 was not kept: [Errno 28] No space left on device" in capsys.readouterr().err
    assert one.load() == Checkpoint(b"good", 1.0)
    assert [path.name for path in (tmp_path / "3").iterdir()] == [NAME]


def test_a_checkpoint_is_durable_before_it_has_its_name_and_so_is_the_name(tmp_path, monkeypatch):
    synced = []

    def note(descriptor):
        synced.append((Path(f"/proc/self/fd/{descriptor}").readlink(), (tmp_path / "3" / NAME).exists()))

    monkeypatch.setattr("os.fsync", note)
    context(tmp_path).save(b"weights", spent=1)

    assert synced == [(tmp_path / "3" / ".checkpoint.0", False), (tmp_path / "3", True)]


def test_what_killed_attempts_left_is_removed_by_later_ones_only(tmp_path):
    folder = tmp_path / "3"
    CheckpointFile(folder, "m", 4).save(b"weights", 1.0)
    for lease in (2, 3, 5):
        (folder / f".checkpoint.{lease}").write_bytes(b"half a")

    CheckpointFile(folder, "m", 4).save(b"weights", 2.0)

    assert sorted(path.name for path in folder.iterdir()) == [".checkpoint.5", NAME]


def test_a_discarded_checkpoint_takes_nothing_of_the_user_with_it(tmp_path):
    for number in (3, 4):
        CheckpointFile(tmp_path / str(number), "m", 1).save(b"weights", 1.0)
        (tmp_path / str(number) / ".checkpoint.0").write_bytes(b"half a")
    (tmp_path / "3" / "notes").touch()

    for number in (3, 4, 5):
        discard(tmp_path / str(number))

    assert [str(path.relative_to(tmp_path)) for path in sorted(tmp_path.rglob("*"))] == ["3", "3/notes"]


@pytest.mark.parametrize("spent", [-1.0, math.nan, math.inf])
def test_a_budget_that_cannot_be_spent_is_refused(tmp_path, spent):
    with pytest.raises(ValueError, match="give the budget"):
        context(tmp_path).save(b"", spent=spent)


def test_only_bytes_are_taken(tmp_path):
    with pytest.raises(TypeError, match=r"takes bytes, not dict; write it into an io\.BytesIO first"):
        context(tmp_path).save({"weights": [1.0]}, spent=1.0)
