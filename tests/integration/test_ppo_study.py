"""Studies of the target `ppo` with real worker processes."""

import json
from pathlib import Path

import numpy as np

from bohb_service import run
from bohb_service.workers.ppo import load
from tests.ppo_synthetic import NOISY, STEADY, is_noisy

SYNTHETIC = f"{Path(__file__).parents[1] / 'ppo_synthetic.py'}:DrawnPPO"
TRIALS = {"name": "trials", "min": 1, "max": 9, "integer": True}


def test_a_noisy_configuration_that_one_trial_likes_is_unmasked_by_nine(tmp_path):
    results = run(
        SYNTHETIC,
        fidelity=TRIALS,
        run_dir=tmp_path / "run",
        method={"name": "hyperband", "sizes": "hpbandster"},
        stop={"brackets": 3},
        refit=False,
        seed=9,
    )

    by_budget = {budget: [trial for trial in results.trials if trial.budget == budget] for budget in (1, 3, 9)}
    liked = min(by_budget[1], key=lambda trial: trial.loss)
    assert is_noisy(liked.config["discount"])
    assert liked.loss < STEADY[0] - NOISY[1]
    (unmasked,) = (trial for trial in by_budget[9] if trial.config == liked.config)
    assert unmasked.loss > STEADY[0]
    assert not is_noisy(results.incumbent.config["discount"])
    assert results.incumbent.loss < unmasked.loss
    for trial in results.trials:
        assert len(trial.info["all_runs"]) == trial.budget
        assert trial.loss == np.mean(trial.info["all_runs"])


def test_a_study_leaves_an_agent_that_acts(tmp_path):
    results = run(
        "ppo",
        worker_options={"max_episodes": 40, "fixed": {"n_units_1": 8, "n_units_2": 8}},
        fidelity={**TRIALS, "max": 3},
        run_dir=tmp_path / "run",
        stop={"brackets": 1},
    )

    assert [trial.info["trials_run"] for trial in results.trials if trial.budget == 3] == [2]
    assert load(results.refit["model"]).act([0.0, 0.0, 0.0, 0.0]) in {0, 1}
    assert results.refit["test_loss"] <= 40


def test_a_bench_shows_cost_and_that_continuing_is_fresh(run_cli):
    options = [text for key in ("loss=area", "steps=800", "fixed={rollout_steps: 100}") for text in ("--option", key)]

    done = run_cli("bohb-worker", "bench", "ppo", "--configurations", 3, "--budgets", "1,3", "--json", *options)

    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert [each["budget"] for each in told["evaluations"]] == [1, 3] * 3
    assert len(told["continuations"]) == 6
    assert all(each["is_equal"] for each in told["continuations"])
    assert told["correlations"]
