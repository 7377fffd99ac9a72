"""BOHB's sampler: when there is a model, of what, and what it proposes."""

import math

import numpy as np
import pytest
from ConfigSpace import (
    CategoricalHyperparameter,
    ConfigurationSpace,
    EqualsCondition,
    ForbiddenAndConjunction,
    ForbiddenEqualsClause,
    OrdinalHyperparameter,
    UniformFloatHyperparameter,
    UniformIntegerHyperparameter,
)

from bohb_service.optimizer.methods import sampler_of
from bohb_service.optimizer.model_options import ModelOptions
from bohb_service.optimizer.model_sampler import ModelSampler
from bohb_service.optimizer.observation import Observation
from bohb_service.space import SearchSpace
from bohb_service.testing.sampler_conformance import conditional_space, mixed_space


def floats(n):
    space = ConfigurationSpace()
    space.add([UniformFloatHyperparameter(f"x{i}", 0.0, 1.0) for i in range(n)])
    return SearchSpace(space)


def of(*hyperparameters):
    space = ConfigurationSpace()
    space.add(list(hyperparameters))
    return SearchSpace(space)


def evaluated(space, n, loss, budget=9.0, seed=0):
    """Observations of draws from the prior."""
    configurations = space.decode(space.sample(n, np.random.Generator(np.random.PCG64(seed))))
    return [Observation(i, values, budget, loss(values)) for i, values in enumerate(configurations)]


def suggestions(sampler, observations, n, start=1000):
    """Each after the same observations, with nothing taken."""
    return [sampler.suggest(number, observations, []) for number in range(start, start + n)]


def always(space, **options):
    """A sampler that asks the model whenever there is one."""
    return ModelSampler(space, 0, ModelOptions(random_fraction=0, **options))


def total(values):
    return sum(values.values())


@pytest.mark.parametrize("d", [1, 2, 6, 16])
def test_first_model_after_twice_the_dimensions_and_two(d):
    space = floats(d)
    observations = evaluated(space, 2 * (d + 1), total)
    sampler = always(space)

    assert sampler.suggest(0, observations[:-1], []).origin == "prior"
    assert sampler.suggest(0, observations, []).origin == "model"


def test_only_dimensions_that_are_active_at_once_need_points():
    """Ten branches of three dimensions: 31 dimensions, 4 of them active."""
    space = ConfigurationSpace()
    branch = CategoricalHyperparameter("branch", [str(i) for i in range(10)])
    space.add(branch)
    for i in range(10):
        inner = [UniformFloatHyperparameter(f"x{i}{j}", 0.0, 1.0) for j in range(3)]
        space.add(inner)
        space.add([EqualsCondition(x, branch, str(i)) for x in inner])
    space = SearchSpace(space)
    observations = evaluated(space, 40, lambda values: float(values["branch"] != "3"))

    assert always(space).suggest(0, observations[:9], []).origin == "prior"
    assert always(space).suggest(0, observations[:10], []).origin == "model"
    proposed = suggestions(always(space), observations, 20)
    assert sum(s.values["branch"] == "3" for s in proposed) > 10


def test_observations_of_several_budgets_are_not_mixed():
    space = floats(2)
    observations = evaluated(space, 5, total, budget=3.0) + evaluated(space, 5, total, budget=9.0, seed=1)

    assert always(space).suggest(0, observations, []).origin == "prior"


def test_two_thirds_of_the_suggestions_come_from_the_model():
    space = floats(3)
    origins = [s.origin for s in suggestions(ModelSampler(space, 0), evaluated(space, 50, total), 600)]

    assert 0.6 <= origins.count("model") / 600 <= 0.733


def test_the_largest_budget_with_a_model_counts():
    space = floats(1)
    small = evaluated(space, 40, lambda values: values["x0"], budget=3.0)
    large = evaluated(space, 40, lambda values: -values["x0"], budget=9.0, seed=1)
    few = evaluated(space, 3, lambda values: values["x0"], budget=27.0, seed=2)
    sampler = always(space)

    assert np.mean([s.values["x0"] for s in suggestions(sampler, small, 20)]) < 0.2
    assert np.mean([s.values["x0"] for s in suggestions(sampler, small + large, 20)]) > 0.8
    assert np.mean([s.values["x0"] for s in suggestions(sampler, large + small, 20)]) > 0.8
    assert np.mean([s.values["x0"] for s in suggestions(sampler, large + few, 20)]) > 0.8


def test_the_model_finds_the_good_region_of_every_kind_of_dimension():
    space = of(
        UniformFloatHyperparameter("rate", 1e-6, 1.0, log=True),
        UniformIntegerHyperparameter("layers", 1, 5),
        UniformIntegerHyperparameter("units", 1, 1000),
        OrdinalHyperparameter("size", ["s", "m", "l", "xl"]),
        CategoricalHyperparameter("kind", ["a", "b", "c", "d"]),
    )

    def loss(values):
        return (
            abs(math.log10(values["rate"]) + 3)
            + abs(values["layers"] - 2)
            + abs(values["units"] - 700) / 200
            + abs(["s", "m", "l", "xl"].index(values["size"]) - 2)
            + 2 * (values["kind"] != "b")
        )

    found = suggestions(always(space), evaluated(space, 300, loss), 50)
    prior = evaluated(space, 200, loss, seed=1)

    assert np.mean([loss(s.values) for s in found]) < 0.4 * np.mean([o.loss for o in prior])
    assert np.mean([s.values["kind"] == "b" for s in found]) > 0.8


def test_candidates_scatter_with_the_bandwidth_factor():
    space = floats(2)
    observations = evaluated(space, 60, total)
    good = np.array([list(o.values.values()) for o in sorted(observations, key=lambda o: o.loss)[:9]])

    def distance(factor):
        found = np.array(
            [list(s.values.values()) for s in suggestions(always(space, bandwidth_factor=factor), observations, 20)]
        )
        return np.abs(found[:, np.newaxis] - good).max(axis=2).min(axis=1).mean()

    assert distance(1e-6) < 1e-5
    assert distance(1e-6) < distance(0.3) < distance(3)


def test_interactions_are_seen():
    """Either both high or both low: no dimension alone says anything."""
    space = floats(2)
    observations = evaluated(space, 200, lambda v: (v["x0"] - v["x1"]) ** 2)
    differences = [abs(s.values["x0"] - s.values["x1"]) for s in suggestions(always(space), observations, 60)]

    assert np.mean(differences) < 0.15  # 1/3 for independent coordinates


def test_ranking_ignores_the_scale_of_losses():
    space = floats(2)
    plain = evaluated(space, 40, total)
    scaled = evaluated(space, 40, lambda values: math.exp(30 * total(values)))

    assert suggestions(always(space), plain, 10) == suggestions(always(space), scaled, 10)


def test_ties_rank_in_order_of_arrival():
    space = floats(1)
    tied = evaluated(space, 40, lambda _values: 1.0)
    ranked = [Observation(o.configuration, o.values, o.budget, float(i)) for i, o in enumerate(tied)]

    assert suggestions(always(space), tied, 10) == suggestions(always(space), ranked, 10)


@pytest.mark.parametrize("failure", [math.inf, -math.inf, math.nan])
def test_failures_are_bad_points(failure):
    space = floats(1)
    observations = evaluated(space, 60, lambda v: failure if v["x0"] > 0.5 else 0.0)
    sampler = always(space)

    assert np.mean([s.values["x0"] > 0.5 for s in suggestions(sampler, observations, 100)]) < 0.05


@pytest.mark.parametrize("failure", [math.inf, -math.inf, math.nan])
def test_failures_are_never_good_points(failure):
    space = floats(2)
    observations = evaluated(space, 40, lambda _values: failure)
    good = evaluated(space, 2, lambda _values: 0.0, seed=1)
    enough = evaluated(space, 3, lambda _values: 0.0, seed=1)

    assert always(space).suggest(0, observations, []).origin == "prior"
    assert always(space).suggest(0, observations + good, []).origin == "prior"
    # Six good points are wanted of 43, and three are enough for a model.
    assert always(space, top_n_percent=5).suggest(0, observations + enough, []).origin == "model"


def test_forbidden_combinations_are_avoided_and_the_model_is_still_used():
    """The good corner is forbidden; what is next to it is proposed, by the model."""
    space = ConfigurationSpace()
    space.add([CategoricalHyperparameter(name, ["a", "b"], default_value="b") for name in "pq"])
    space.add(UniformFloatHyperparameter("x", 0.0, 1.0))
    space.add(ForbiddenAndConjunction(ForbiddenEqualsClause(space["p"], "a"), ForbiddenEqualsClause(space["q"], "a")))
    space = SearchSpace(space)
    observations = evaluated(space, 60, lambda v: (v["p"] == "b") + (v["q"] == "b") + v["x"])
    found = suggestions(always(space), observations, 100)

    assert {s.origin for s in found} == {"model"}
    assert not any(s.values["p"] == s.values["q"] == "a" for s in found)


def test_nothing_is_proposed_twice():
    space = of(*[CategoricalHyperparameter(f"c{i}", [0, 1]) for i in range(6)])
    sampler, observations, taken, origins = always(space), [], [], []
    for number in range(64):
        suggestion = sampler.suggest(number, observations, taken)
        taken.append(suggestion.values)
        origins.append(suggestion.origin)
        observations.append(Observation(number, suggestion.values, 1.0, total(suggestion.values)))

    assert len({tuple(values.items()) for values in taken}) == 64
    assert "model" in origins
    assert sampler.suggest(64, observations, taken).values in taken


def test_sequences_are_recognised_after_storage():
    """A tuple may come back from storage as a list."""
    space = of(CategoricalHyperparameter("shape", [(1, 2), (3, 4), (5, 6)]))
    for number in range(20):
        taken = [{"shape": [1, 2]}, {"shape": (5, 6)}]
        assert sampler_of("random", space, 0).suggest(number, [], taken).values["shape"] == (3, 4)


@pytest.mark.parametrize("space", [mixed_space(), conditional_space()])
def test_history_may_arrive_in_any_portions(space):
    """What the sampler keeps between calls does not change an answer."""
    observations = evaluated(space, 120, lambda values: len(str(values)), budget=3.0)
    observations += evaluated(space, 40, lambda values: len(str(values)), budget=9.0, seed=1)
    observations += evaluated(space, 40, lambda values: len(str(values)), budget=3.0, seed=2)
    one_by_one = ModelSampler(space, 3)
    for number in range(len(observations)):
        one_by_one.suggest(number, observations[:number], [])

    for number in range(200, 230):
        assert one_by_one.suggest(number, observations, []) == ModelSampler(space, 3).suggest(number, observations, [])


def test_equal_histories_are_as_good_as_the_same():
    """A caller may hand over copies, as long as they are equal."""
    space = mixed_space()
    observations = evaluated(space, 60, lambda values: len(str(values)))
    sampler = ModelSampler(space, 0)
    for number in range(50, 60):
        copies = [Observation(o.configuration, dict(o.values), o.budget, o.loss) for o in observations[:number]]
        taken = [dict(o.values) for o in copies]
        expected = ModelSampler(space, 0).suggest(number, observations[:number], taken)
        assert sampler.suggest(number, copies, taken) == expected


@pytest.mark.parametrize("categorical", [0, 3])
def test_statsmodels_gives_the_same_proposals(categorical):
    """All levels of the categorical dimensions occur among the good and among the bad points."""
    pytest.importorskip("statsmodels")
    space = of(
        *[CategoricalHyperparameter(f"c{i}", ["a", "b"]) for i in range(categorical)],
        OrdinalHyperparameter("o", ["low", "mid", "high"]),
        UniformIntegerHyperparameter("n", 1, 6),
        UniformFloatHyperparameter("x", 0.0, 1.0),
        UniformFloatHyperparameter("y", 1e-4, 1.0, log=True),
    )
    observations = evaluated(space, 120, lambda v: (v["x"] - 0.3) ** 2 + 0.2 * (v["n"] - 4) ** 2 + 0.01 * len(str(v)))
    ours, theirs = (ModelSampler(space, 0, ModelOptions(density=name)) for name in ("own", "statsmodels"))

    for size in range(40, 120, 4):
        number = 7 * size
        expected = ours.suggest(number, observations[:size], [])
        assert theirs.suggest(number, observations[:size], []) == expected


def test_statsmodels_gives_the_same_proposals_for_conditional_spaces():
    pytest.importorskip("statsmodels")
    space = conditional_space()
    losses = np.random.Generator(np.random.PCG64(1))
    observations = evaluated(space, 150, lambda _values: losses.random())
    ours, theirs = (ModelSampler(space, 0, ModelOptions(density=name)) for name in ("own", "statsmodels"))

    for number in range(20):
        assert theirs.suggest(number, observations, []) == ours.suggest(number, observations, [])


def test_eight_good_points_suffice_unless_the_user_asks_for_more():
    """Of 34 points in 16 dimensions, the best 8 lie at 0 and the next 9 at 1: only the original mixes them."""
    space = floats(16)
    observations = evaluated(space, 34, lambda _values: 0.0)
    corner = [{f"x{i}": value for i in range(16)} for value in (0.02, 0.98)]
    rows = [
        Observation(i, corner[0 if i < 8 else 1] if i < 17 else o.values, 9.0, float(i))
        for i, o in enumerate(observations)
    ]

    def mean(**options):
        return np.mean([list(s.values.values()) for s in suggestions(always(space, **options), rows, 20)])

    assert mean() < 0.25
    assert mean(min_points_in_model=17) > 0.3
    assert mean(min_points_in_model=1) == mean(min_points_in_model=17)


def test_a_larger_minimum_delays_the_model():
    space = floats(2)
    observations = evaluated(space, 40, total)
    sampler = always(space, min_points_in_model=20)

    assert sampler.suggest(0, observations[:39], []).origin == "prior"
    assert sampler.suggest(0, observations, []).origin == "model"
