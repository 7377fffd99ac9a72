import math

import pytest
from ConfigSpace import ConfigurationSpace

import bohb_service
from bohb_service import BOHB, HyperBand, Observation, RandomSearch, SuccessiveHalving
from bohb_service.errors import StudyError

SPACE = {"x": [0.0, 1.0], "y": [0.0, 1.0]}


def loss(trial):
    return (trial.config["x"] - 0.3) ** 2 + (trial.config["y"] - 0.7) ** 2 + 1 / trial.budget


def play(optimizer, n):
    trials = []
    for _ in range(n):
        trial = optimizer.ask()
        optimizer.tell(trial, loss(trial))
        trials.append(trial)
    return trials


def test_bohb_finds_the_minimum():
    optimizer = BOHB(ConfigurationSpace(dict.fromkeys("xy", (0.0, 1.0))), min_budget=1, max_budget=81, eta=3, seed=0)
    trials = play(optimizer, 300)
    assert optimizer.incumbent.budget == 81
    assert optimizer.incumbent.loss < 0.02
    assert any(trial.origin == "model" for trial in trials)
    assert optimizer.spent == pytest.approx(sum(trial.budget for trial in trials) / 81)


def test_the_same_seed_gives_the_same_trials_and_another_seed_others():
    one, two, other = (BOHB(SPACE, min_budget=1, max_budget=9, seed=seed) for seed in (5, 5, 6))
    assert play(one, 80) == play(two, 80)
    assert play(other, 1) != play(BOHB(SPACE, min_budget=1, max_budget=9, seed=5), 1)


@pytest.mark.parametrize(
    ("method", "budgets"),
    [
        (BOHB, [1] * 9 + [3] * 3 + [9] + [3] * 5 + [9] + [9] * 3),
        (HyperBand, [1] * 9 + [3] * 3 + [9] + [3] * 5 + [9] + [9] * 3),
        (SuccessiveHalving, ([1] * 9 + [3] * 3 + [9]) * 2),
        (RandomSearch, [9] * 5),
    ],
)
def test_each_method_has_its_schedule(method, budgets):
    optimizer = method(SPACE, min_budget=1, max_budget=9)
    assert [trial.budget for trial in play(optimizer, len(budgets))] == budgets


def test_asking_without_telling_goes_on_and_ends_only_where_something_must_be_told_first():
    optimizer = BOHB(SPACE, min_budget=1, max_budget=9)
    assert len({optimizer.ask().id for _ in range(100)}) == 100
    limited = BOHB(SPACE, min_budget=1, max_budget=9, n_brackets=1)
    trials = [limited.ask() for _ in range(9)]
    assert limited.ask() is None
    assert not limited.is_finished
    for trial in trials:
        limited.tell(trial, loss(trial))
    assert limited.ask().budget == 3


def test_it_is_finished_after_its_brackets():
    optimizer = HyperBand(SPACE, min_budget=1, max_budget=9, n_brackets=3)
    play(optimizer, 22)
    assert optimizer.ask() is None
    assert optimizer.is_finished


@pytest.mark.parametrize("bad", [{"failed": "boom"}, {"loss": math.nan}, {"loss": math.inf}, {"loss": -math.inf}])
def test_failures_rank_last(bad):
    optimizer = SuccessiveHalving(SPACE, min_budget=1, max_budget=3)
    first = optimizer.ask()
    optimizer.tell(first, **bad)
    assert optimizer.incumbent is None
    play(optimizer, 2)
    assert optimizer.ask().id != first.id
    assert optimizer.observations[0].loss == math.inf


def test_wrong_calls_are_told():
    optimizer, other = (BOHB(SPACE, min_budget=1, max_budget=9) for _ in range(2))
    trial = optimizer.ask()
    with pytest.raises(StudyError, match="either"):
        optimizer.tell(trial)
    with pytest.raises(StudyError, match="either"):
        optimizer.tell(trial, 1.0, failed="x")
    with pytest.raises(StudyError, match="not asked from this optimiser"):
        other.tell(trial, 1.0)
    optimizer.tell(trial, 1.0)
    optimizer.tell(trial, 0.0)
    assert optimizer.incumbent.loss == 1.0


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"min_budget": 0}, "min"),
        ({"max_budget": 0.5}, "max"),
        ({"eta": 1}, "eta"),
        ({"seed": -1}, "seed"),
        ({"seed": 1.5}, "seed"),
        ({"n_brackets": 0}, "n_brackets"),
        ({"sizes": "papr"}, r"method\.sizes"),
        ({"num_sample": 3}, "num_sample"),
        ({"random_fraction": 2}, "random_fraction"),
        ({"initial": [{"x": 2.0, "y": 0.0}]}, "x"),
        ({"warm_start": [Observation(0, {"x": 2.0, "y": 0.0}, 1.0, 0.0)]}, "x"),
    ],
)
def test_wrong_arguments_are_told(arguments, match):
    with pytest.raises(StudyError, match=match):
        BOHB(SPACE, **{"min_budget": 1, "max_budget": 9, **arguments})


def test_initial_configurations_and_a_warm_start():
    initial = [{"x": 0.3, "y": 0.7}]
    optimizer = BOHB(SPACE, min_budget=1, max_budget=9, initial=initial)
    first = optimizer.ask()
    assert (first.config, first.origin) == (initial[0], "initial")
    known = BOHB(SPACE, min_budget=1, max_budget=9)
    play(known, 100)
    warm = BOHB(SPACE, min_budget=1, max_budget=9, warm_start=known.observations, random_fraction=0)
    assert warm.ask().origin == "model"


def test_a_sampler_of_ones_own():
    class Middle:
        def suggest(self, number, observations, taken):
            return bohb_service.optimizer.observation.Suggestion({"x": 0.5, "y": 0.5}, "prior")

    optimizer = HyperBand(SPACE, min_budget=1, max_budget=9, sampler=Middle())
    assert optimizer.ask().config == {"x": 0.5, "y": 0.5}
    with pytest.raises(StudyError, match="num_samples"):
        HyperBand(SPACE, min_budget=1, max_budget=9, sampler=Middle(), num_samples=3)


def test_public_names_are_there_and_documented():
    for name in bohb_service.__all__:
        assert getattr(bohb_service, name) is not None
    assert set(dir(bohb_service)) >= set(bohb_service.__all__)
    with pytest.raises(AttributeError, match="no attribute 'Wroker'"):
        bohb_service.Wroker  # noqa: B018


@pytest.mark.parametrize("loss", ["0.5", {"loss": 1}, [1.0]])
def test_a_loss_that_is_no_number_is_told(loss):
    optimizer = BOHB(SPACE, min_budget=1, max_budget=9)
    with pytest.raises(StudyError, match="must be a number"):
        optimizer.tell(optimizer.ask(), loss)
    with pytest.raises(StudyError, match="takes the trial"):
        optimizer.tell("0.0", 1.0)


def test_the_trial_of_another_optimiser_is_refused_even_if_it_has_the_same_name():
    one, other = (BOHB(SPACE, min_budget=1, max_budget=9) for _ in range(2))
    one.ask()
    with pytest.raises(StudyError, match="not asked from this optimiser"):
        one.tell(other.ask(), 1.0)


def test_what_is_handed_out_is_the_askers_to_change():
    optimizer = BOHB(SPACE, min_budget=1, max_budget=9)
    trial = optimizer.ask()
    kept = dict(trial.config)
    trial.config["x"] = 55
    optimizer.tell(trial, 0.0)
    optimizer.incumbent.config.clear()
    assert optimizer.incumbent.config == optimizer.observations[0].values == kept
