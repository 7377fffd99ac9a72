"""What a target can never evaluate is told by `check`, before anything is begun."""

import pytest
import yaml
from click.testing import CliRunner

from bohb_service.cli.master import main as master
from bohb_service.cli.worker import main as worker

WHOLE = {"min": 1, "max": 9, "integer": True}

PLANS = {
    "horizon": (
        {"worker": "autonet", "worker_options": {"data": "iris", "horizon": 3}, "fidelity": WHOLE},
        "AutoNet: budget 9 is beyond the horizon of 3 epochs",
    ),
    "network of an unknown name": (
        {"worker": "autonet", "worker_options": {"data": "iris"}, "fidelity": WHOLE, "space": {"unitss": [4, 8]}},
        "hyperparameter 'unitss' is unknown to autonet; did you mean 'units'?",
    ),
    "network of an impossible value": (
        {"worker": "autonet", "worker_options": {"data": "iris"}, "fidelity": WHOLE, "space": {"momentum": [0.0, 1.5]}},
        "'momentum'",
    ),
    "seconds within the horizon": (
        {
            "worker": "autonet",
            "worker_options": {"data": "iris", "fidelity": "seconds", "horizon": 3},
            "fidelity": WHOLE,
        },
        None,
    ),
    "more than all rows": (
        {
            "worker": "sklearn",
            "worker_options": {"data": "iris", "task": "classification"},
            "fidelity": {"min": 10, "max": 200},
        },
        "SklearnPipeline: budget 200.0 is no percentage",
    ),
    "more rows than there are": (
        {
            "worker": "autonet",
            "worker_options": {"data": "iris", "fidelity": "subsample"},
            "fidelity": {"min": 10, "max": 200},
        },
        "AutoNet: budget 200.0 is no percentage of rows",
    ),
    "more folds than there are": (
        {
            "worker": "sghmc",
            "worker_options": {"data": "iris", "resampling": "cv", "folds": 3, "fidelity": "folds"},
            "fidelity": WHOLE,
        },
        "SGHMC: budget 9 is no number of folds from 1 to 3",
    ),
    "adaptation": (
        {"worker": "sghmc", "worker_options": {"data": "iris", "adaptation": 5}, "fidelity": WHOLE},
        "SGHMC: budget 1 is below the 5 steps of worker_options.adaptation",
    ),
    "learner that is not there": (
        {
            "worker": "sklearn",
            "worker_options": {"data": "iris", "task": "classification"},
            "fidelity": {"min": 10, "max": 90},
            "space": {"learner": ["random_forest", "random_forst"]},
        },
        "learner: 'random_forst' is not in the space",
    ),
    "parameter of no estimator": (
        {
            "worker": "sklearn-estimator",
            "worker_options": {"data": "iris", "estimator": "sklearn.svm:SVC"},
            "fidelity": {"min": 10, "max": 90},
            "space": {"CC": [0.1, 1.0]},
        },
        "hyperparameter 'CC' is no parameter of SVC",
    ),
    "estimator that is not there": (
        {
            "worker": "sklearn-estimator",
            "worker_options": {"data": "iris", "estimator": "sklearn.svm:SCV"},
            "fidelity": {"min": 10, "max": 90},
            "space": {"C": [0.1, 1.0]},
        },
        "worker_options.estimator: sklearn.svm has no class or function 'SCV'",
    ),
    "layers of an unknown name": (
        {"worker": "sklearn-mlp", "fidelity": WHOLE, "space": {"widht": [4, 8]}},
        "hyperparameter 'widht' is unknown to sklearn-mlp; did you mean 'width'?",
    ),
    "parts of a trial": (
        {"worker": "ppo", "fidelity": {"min": 1, "max": 7}},
        "PPO: budget 2.3333333333333335 is not a whole number of trials",
    ),
    "agent of an impossible value": (
        {"worker": "ppo", "fidelity": WHOLE, "space": {"learning_rate": [0.1, 1.5]}},
        "hyperparameter 'learning_rate' must be a number from 0 to 1, not 1.5",
    ),
    "fixed and searched": (
        {
            "worker": "ppo",
            "worker_options": {"fixed": {"n_units_1": 8}},
            "fidelity": WHOLE,
            "space": {"n_units_1": [4, 8]},
        },
        "hyperparameter 'n_units_1' is in the configuration and in `fixed`",
    ),
    "searched without effect": (
        {"worker": "ppo", "fidelity": WHOLE, "space": {"rollout_steps": [4, 8]}},
        "hyperparameter 'rollout_steps' has no effect",
    ),
}


@pytest.mark.parametrize("name", PLANS)
def test_what_a_target_cannot_do_is_told_by_check(tmp_path, name):
    study, words = PLANS[name]
    file = tmp_path / "study.yaml"
    file.write_text(yaml.safe_dump({"name": "test", **study}))

    result = CliRunner().invoke(master, ["check", str(file)])

    assert result.exit_code == (0 if words is None else 2), result.output
    assert (words or "") in result.stderr
    assert "Traceback" not in result.stderr


def test_budgets_of_a_bench_are_checked_too():
    result = CliRunner().invoke(worker, ["bench", "autonet", "--budgets", "1,60", "--option", "data=iris"])

    assert result.exit_code == 2
    assert "AutoNet: budget 60 is beyond the horizon of 50 epochs" in result.stderr
