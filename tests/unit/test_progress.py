import time

import numpy as np
import pytest

from bohb_service.workers.common import progress
from bohb_service.workers.common.checkpoint import Checkpoint
from bohb_service.workers.common.progress import Preempted, Progress
from bohb_service.workers.common.unfinished import Unfinished, leave


def test_questions_reach_the_evaluation_now_and_then_until_one_is_answered_with_yes(monkeypatch):
    now, asked = [100.0], []
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    door = Progress(lambda: asked.append(now[0]) or len(asked) == 3)

    answers = []
    for _ in range(8):
        answers.append([door.must_leave(), door.must_leave()])
        now[0] += 0.06

    assert asked == pytest.approx([100.0, 100.12, 100.24])
    assert answers == [[False, False]] * 4 + [[True, True]] * 4
    assert door.leaves


def test_asking_is_cheap():
    door = Progress()
    began = time.process_time()
    for _ in range(100_000):
        door.must_leave()
    assert time.process_time() - began < 1.0


def test_what_is_spared_is_a_whole_number_where_it_can_be_one():
    door = Progress()
    assert door.spared(27.0) == 0.0
    for done in range(50):
        door.took_over(done, 49)
        assert door.spared(49.0) == done


def test_what_cannot_be_kept_ends_as_well_and_says_what_is_lost(tmp_path):
    (tmp_path / "fold-0").write_text("mine")
    with pytest.raises(Preempted, match=r"what was done is lost .*fold-0"):
        leave(tmp_path / "fold-0" / "checkpoint.bin", "mark", Checkpoint(np.zeros(1), {}))


def test_what_is_unfinished_is_durable_when_the_training_ends(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr("os.fsync", synced.append)
    file = Unfinished(tmp_path / "unfinished.bin", "mark")
    with pytest.raises(Preempted, match="what was done is kept"):
        file.leave({"a": np.arange(3)})
    assert len(synced) == 1
    assert file.load()["a"].tolist() == [0, 1, 2]
    assert Unfinished(file.path, "other").load() is None
    file.drop()
    file.drop()
    assert file.load() is None
