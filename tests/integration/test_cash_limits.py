"""Time and memory limits of a study hold for estimators that know nothing of them."""

from pathlib import Path

import pytest

from bohb_service import run

ESTIMATORS = Path(__file__).parents[1] / "estimators.py"


@pytest.mark.slow
def test_an_estimator_that_sleeps_and_one_that_hoards_are_failed_evaluations(tmp_path):
    results = run(
        "sklearn-estimator",
        name="limits",
        run_dir=tmp_path / "run",
        worker_options={"data": "iris", "estimator": f"{ESTIMATORS}:Greedy"},
        space={"mood": {"type": "categorical", "choices": ["good", "sleepy", "hungry"]}},
        initial=[{"mood": mood} for mood in ("sleepy", "hungry", "good")],
        fidelity={"name": "percent", "min": 50, "max": 100},
        method={"name": "random"},
        stop={"evaluations": 3},
        limits={"seconds": 10, "memory_mb": 1000, "attempts": 1},
        refit=False,
    )
    found = {trial.config["mood"]: trial for trial in results.trials}
    for mood, words in (("sleepy", "limit of 10 s"), ("hungry", "limit of 1000 MiB")):
        assert found[mood].state == "failed"
        assert words in found[mood].message, found[mood].message
    assert found["good"].loss < 0.5
    assert results.incumbent.config == {"mood": "good"}
