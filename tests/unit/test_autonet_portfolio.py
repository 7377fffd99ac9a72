import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

from bohb_service.errors import StudyError
from bohb_service.space import SearchSpace
from bohb_service.worker.describe import describe
from bohb_service.workers.autonet import AutoNet
from bohb_service.workers.autonet.hyperparameters import Hyperparameters
from bohb_service.workers.autonet.portfolio import portfolio
from bohb_service.workers.autonet.spaces import BASES, build_space

SCRIPT = Path(__file__).parents[2] / "scripts" / "autonet_portfolio.py"


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("autonet_portfolio", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


@pytest.mark.parametrize("space", ["medium", "full"])
@pytest.mark.parametrize("kind", [None, "classification", "regression"])
def test_the_portfolio_belongs_to_the_space(space, kind):
    configurations = portfolio(space, kind)
    assert len(configurations) == 16
    checker = SearchSpace(build_space(space, kind))
    for number, configuration in enumerate(configurations):
        checker.check(configuration)
        assert configuration not in configurations[:number]


def test_a_configuration_means_the_same_in_every_space():
    for medium, full in zip(portfolio("medium"), portfolio("full"), strict=True):
        first = Hyperparameters.from_config(medium, BASES["medium"])
        second = Hyperparameters.from_config(full, BASES["full"])
        differing = {
            name for name in Hyperparameters.__dataclass_fields__ if getattr(first, name) != getattr(second, name)
        }
        # What is not active does nothing: the momentum of Adam, the width of a head of one layer.
        assert not differing & set(full)
        assert differing <= {"momentum", "head_units", "output_units"}


def test_the_worker_recommends_it():
    assert describe("autonet", {"space": "medium"}).recommended == portfolio("medium")
    assert AutoNet.initial_configurations(space="small") == []
    assert "weighted_loss" not in AutoNet.initial_configurations(space="full", task="regression")[0]
    with pytest.raises(StudyError, match=r"worker_options\.space"):
        AutoNet.initial_configurations(space="ful")


def test_greedy_takes_what_lowers_the_mean_of_the_best_and_begins_anew_when_nothing_does(script):
    errors = np.array(
        [
            [0.10, 0.90, 0.90],
            [0.90, 0.10, 0.90],
            [0.20, 0.20, 0.30],
            [0.90, 0.90, 0.10],
            [0.25, 0.25, 0.35],
            [0.90, 0.90, 0.90],
            [0.91, 0.91, 0.91],
        ]
    )
    # Scaled, 2 has the smallest mean, 1/6; with 3 it is 1/12, with 0 as well 1/24, with 1 as well 0.
    # Then nothing is left to gain, and of what remains 4 is the best one.
    assert script.greedy(errors, 7) == [2, 3, 0, 1, 4, 5, 6]
    assert script.greedy(errors, 2) == [2, 3]
    assert script.greedy(np.ones((3, 2)), 16) == [0, 1, 2]


def test_leaving_a_data_set_out_leaves_out_its_copies_and_what_was_found_on_them(script):
    data = [script.Data(name, digest, Path(name)) for name, digest in (("a", "1"), ("b", "2"), ("copy of a", "1"))]
    errors = np.array([[0.0, 0.9, 0.0], [0.9, 0.0, 0.9], [0.5, 0.5, 0.5], [0.0, 0.9, 0.0]])
    matrix = script.Matrix(data, [{}, {}, {}, {}], ["1", "2", "2", "1"], errors)
    assert set(matrix.portfolio()) == {0, 1, 2, 3}
    assert set(matrix.portfolio(without="1")) == {1, 2}
    poisoned = script.Matrix(data, matrix.configs, matrix.sources, np.where([[1, 0, 1]], 1 - errors, errors))
    assert poisoned.portfolio(without="1") == matrix.portfolio(without="1")


def test_a_cut_data_set_has_development_and_test_rows_apart(script, tmp_path):
    import pandas as pd

    frame = pd.DataFrame({"x": np.arange(100), "target": np.arange(100) % 2})
    frame.to_csv(tmp_path / "little.csv.gz", index=False)
    made = script.cut(tmp_path / "little.csv.gz", tmp_path, 2000, 0)
    rows = pd.read_csv(made.path)
    assert rows["split"].value_counts().to_dict() == {"train": 75, "test": 25}
    assert sorted(rows["x"]) == list(range(100))
    again = script.cut(tmp_path / "little.csv.gz", tmp_path, 2000, 0)
    assert again == made
    small = pd.read_csv(script.cut(tmp_path / "little.csv.gz", tmp_path, 20, 0).path)
    assert small["split"].value_counts().to_dict() == {"train": 20, "test": 80}


def test_random_configurations_are_of_medium_and_full_space(script):
    configurations = script.random_configurations(30, 1)
    assert configurations == script.random_configurations(30, 1)
    assert configurations != script.random_configurations(30, 2)
    checker = SearchSpace(build_space("medium"))
    for configuration in configurations:
        checker.check(configuration)
        assert configuration["units"] <= 256
        assert 32 <= configuration["batch_size"] <= 320
