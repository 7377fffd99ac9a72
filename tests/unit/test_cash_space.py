import subprocess
import sys
from functools import cache

import numpy as np
import pytest

from bohb_service.errors import SpaceError, StudyError
from bohb_service.space.search_space import SearchSpace
from bohb_service.workers.sklearn import SklearnPipeline
from bohb_service.workers.sklearn.cash.features import PREPROCESSORS
from bohb_service.workers.sklearn.cash.learners import registry
from bohb_service.workers.sklearn.cash.learners.registry import LEARNERS, choose_learners
from bohb_service.workers.sklearn.cash.model import quiet_single_thread
from bohb_service.workers.sklearn.cash.parameters import Choice
from bohb_service.workers.sklearn.cash.recipes import make_recipe
from bohb_service.workers.sklearn.cash.space import CLEANING, WEIGHTING, build_space
from bohb_service.workers.sklearn.cash.storage import dump, restore
from tests.tables import mixed_table

KINDS = ("classification", "regression")


@cache
def space_of(kind):
    return build_space(kind, choose_learners(kind), PREPROCESSORS)


def drawn(kind, number, seed=0):
    """Random configurations, as the service draws them."""
    space = SearchSpace(space_of(kind))
    return space.decode(space.sample(number, np.random.default_rng(seed)))


def test_there_are_at_least_15_learners_of_each_kind_without_boosting():
    for kind in KINDS:
        names = [learner.name for learner in LEARNERS if kind in learner.kinds and learner.package is None]
        assert len(names) == len(set(names)) >= 15
        boosting = {learner.name for learner in LEARNERS if kind in learner.kinds and learner.package is not None}
        assert boosting == {"xgboost", "lightgbm"}
    assert len(PREPROCESSORS) == 14


@pytest.mark.parametrize("kind", KINDS)
def test_the_default_is_a_random_forest_on_features_as_they_are(kind):
    default = dict(space_of(kind).get_default_configuration())
    assert (default["learner"], default["preprocessor"]) == ("random_forest", "none")
    assert default["random_forest:bootstrap"] is True


@pytest.mark.parametrize("kind", KINDS)
def test_every_hyperparameter_is_reachable(kind):
    """Each is active in some configuration, each choice of each categorical is drawn, and learners by their weight."""
    space, seen = space_of(kind), {}
    for config in drawn(kind, 6000):
        for name, value in config.items():
            seen.setdefault(name, set()).add(value)
    assert set(seen) == set(space)
    for name, hyperparameter in space.items():
        if hasattr(hyperparameter, "choices"):
            assert seen[name] == set(hyperparameter.choices), name
        else:
            assert len(seen[name]) > 1, name


@pytest.mark.parametrize("kind", KINDS)
def test_trees_never_meet_features_of_a_kernel(kind):
    kernels = {step.name for step in PREPROCESSORS if step.makes_kernel}
    trees = {learner.name for learner in choose_learners(kind) if learner.is_trees}
    assert len(kernels) == 4
    assert len(trees) == 8
    for config in drawn(kind, 1500):
        assert not (config["learner"] in trees and config["preprocessor"] in kernels)


def walk(kind):
    """Configurations that together have each value of each choice, and both ends of each range, of each component."""
    learners = choose_learners(kind)
    cleaning = CLEANING if kind == "regression" else (*CLEANING, WEIGHTING)
    yield from (
        (parameter, "", {"learner": "ridge" if kind == "regression" else "logistic_regression"})
        for parameter in cleaning
    )
    for learner in learners:
        yield from ((parameter, f"{learner.name}:", {"learner": learner.name}) for parameter in learner.parameters)
    plain = {"learner": "k_nearest_neighbours"}
    for step in PREPROCESSORS:
        yield from ((p, f"{step.name}:", {**plain, "preprocessor": step.name}) for p in step.parameters)


def cases(kind):
    for parameter, prefix, config in walk(kind):
        base = dict(config)
        if parameter.when is not None:
            base[prefix + parameter.when[0]] = parameter.when[1][0]
        values = parameter.options if isinstance(parameter, Choice) else (parameter.low, parameter.high)
        for value in values:
            yield {**base, prefix + parameter.name: value}


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_every_value_fits_a_table_with_gaps_and_categories(kind):
    table = mixed_table(kind)
    learners = choose_learners(kind)
    reached = set()
    for config in cases(kind):
        recipe = make_recipe(config, kind, learners, PREPROCESSORS, seed=0)
        reached |= set(recipe.config)
        with quiet_single_thread():
            fitted = recipe.train(table.train, table.encoder.columns, table.task, recipe.iterations(2))
            prediction = fitted.predict(table.judge.features)
        assert np.isfinite(prediction).all(), config
        if kind == "classification":
            assert prediction.shape == (len(table.judge), table.task.n_outputs)
            assert np.allclose(prediction.sum(axis=1), 1), config
    assert reached == set(space_of(kind))


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_random_configurations_fit_and_can_be_saved(kind):
    """Pairs of learner and preprocessor that nobody has thought of together."""
    table, learners = mixed_table(kind), choose_learners(kind)
    for config in drawn(kind, 80):
        recipe = make_recipe(config, kind, learners, PREPROCESSORS, seed=0)
        assert recipe.config == config
        with quiet_single_thread():
            fitted = recipe.train(table.train, table.encoder.columns, table.task, recipe.iterations(2))
            prediction = fitted.predict(table.judge.features)
            assert np.isfinite(prediction).all(), config
            assert np.array_equal(restore(dump(fitted)).predict(table.judge.features), prediction), config


def test_options_choose_learners_and_preprocessors():
    options = {"data": "iris", "learners": ["ridge"], "preprocessors": ["pca"]}
    with pytest.raises(StudyError, match=r"learners: ridge cannot do a classification; choose from: random_forest"):
        SklearnPipeline.configuration_space(**options)
    space = SklearnPipeline.configuration_space(**{**options, "data": "diabetes"})
    assert list(space["learner"].choices) == ["ridge"]
    assert list(space["preprocessor"].choices) == ["none", "pca"]
    space = SklearnPipeline.configuration_space(data="iris", exclude_learners=["random_forest", "ridge"])
    assert "random_forest" not in space["learner"].choices


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"learners": ["random_forests"]}, "no learner 'random_forests'; did you mean 'random_forest'"),
        ({"learners": "ridge"}, "must be a list of names, not 'ridge'"),
        ({"exclude_learners": ["lda", "lad"]}, "exclude_learners: no learner 'lad'"),
        ({"learners": ["lda"], "exclude_learners": ["lda"]}, "no learner is left"),
        ({"preprocessors": ["pcb"]}, "no preprocessor 'pcb'; did you mean 'pca'"),
        ({"learner": ["lda"]}, "no such option; did you mean 'learners'"),
    ],
)
def test_a_wrong_option_says_what_to_do(options, words):
    with pytest.raises(StudyError, match=words):
        SklearnPipeline.configuration_space(data="iris", **options)


def test_what_is_not_installed_is_left_out_unless_it_is_asked_for(monkeypatch):
    monkeypatch.setattr(registry, "find_spec", lambda _: None)
    assert {learner.package for learner in choose_learners("classification")} == {None}
    with pytest.raises(StudyError, match=r"lightgbm needs the package lightgbm; install it with: pip install"):
        choose_learners("classification", ["lightgbm"])


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"learner": "forest"}, "learner: 'forest' is not in the space"),
        ({"preprocessor": "pca", "kernel_pca:kernel": "rbf"}, "'kernel_pca:kernel' has no meaning with"),
        ({"learner": "lda", "weighting": "balanced"}, "'weighting' has no meaning with learner lda"),
        ({"random_forest:max_feature": 0.5}, "did you mean 'random_forest:max_features'"),
    ],
)
def test_a_configuration_from_outside_is_checked(config, words):
    with pytest.raises(SpaceError, match=words):
        make_recipe(config, "classification", choose_learners("classification"), PREPROCESSORS, 0)


def test_making_the_space_needs_no_scikit_learn():
    code = (
        "import sys; from bohb_service.workers.sklearn.cash import space, features, recipes\n"
        "from bohb_service.workers.sklearn.cash.learners.registry import choose_learners\n"
        "space.build_space('classification', choose_learners('classification'), features.PREPROCESSORS)\n"
        "assert 'sklearn' not in sys.modules, 'scikit-learn was imported'"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_first_configurations_are_complete_and_of_the_space():
    for data, least in (("iris", 7), ("diabetes", 7)):
        space = SklearnPipeline.configuration_space(data=data)
        first = SklearnPipeline.initial_configurations(data=data)
        assert len(first) >= least
        assert first[0] == dict(space.get_default_configuration())
        for config in first:
            SearchSpace(space).check(config)
    only = SklearnPipeline.initial_configurations(data="iris", learners=["mlp", "lda"])
    assert [config["learner"] for config in only] == ["mlp"]
