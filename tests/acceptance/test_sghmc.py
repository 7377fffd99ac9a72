"""The target `sghmc` as users run it: a study, and the evidence for its fidelity."""

import json

import numpy as np
import pytest
import yaml
from sklearn.datasets import load_diabetes

from bohb_service.workers.sghmc import load

WORKER = "bohb_service.workers.sghmc:SGHMC"


def test_a_study_ends_with_a_model_that_knows_how_sure_it_is(run_cli, tmp_path):
    study = {
        "name": "diabetes",
        "worker": WORKER,
        "worker_options": {"data": "diabetes", "task": "regression", "adaptation": 40, "keep_every": 20},
        "fidelity": {"name": "steps", "min": 40, "max": 360, "integer": True},
        "stop": {"brackets": 1},
    }
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(study))

    run = run_cli("bohb-master", "run", "study.yaml", "--workers", 1, "--run-dir", "run", cwd=tmp_path, timeout=100)

    assert run.returncode == 0, run.stderr
    results = json.loads(run_cli("bohb-master", "results", "run", "--json", cwd=tmp_path).stdout)
    told = results["refit"]
    assert told["metric"] == "nll"
    assert told["test_loss"] <= told["baseline"]["test_loss"] + 0.2
    features, _ = load_diabetes(return_X_y=True, as_frame=True)
    mean, variance = load(told["model"]).predict_dist(features)
    assert 100 < mean.mean() < 200
    assert 30 < np.sqrt(variance).mean() < 110


@pytest.mark.slow
def test_the_fidelity_is_worth_using(run_cli):
    options = ["--option", "data=diabetes", "--option", "adaptation=100"]
    result = run_cli(
        "bohb-worker", "bench", WORKER, "--budgets", "100,300,900", "--configurations", 6, *options, "--json"
    )
    report = json.loads(result.stdout)
    assert all(each["is_equal"] for each in report["continuations"])
    assert len(report["continuations"]) == 9
    assert 0.3 < report["cost_exponent"] < 1.5
    assert [budget["evaluated"] for budget in report["budgets"]] == [6, 6, 6]
