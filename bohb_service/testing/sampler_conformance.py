"""What every sampler must do; inherit the class and give it a factory."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from ConfigSpace import (
    CategoricalHyperparameter,
    ConfigurationSpace,
    Constant,
    EqualsCondition,
    ForbiddenAndConjunction,
    ForbiddenEqualsClause,
    OrdinalHyperparameter,
    UniformFloatHyperparameter,
    UniformIntegerHyperparameter,
)

from bohb_service.optimizer.observation import Observation, Suggestion
from bohb_service.optimizer.sampler import Sampler
from bohb_service.space import SearchSpace

ROUNDS = 60
"""Suggestions of a run: enough for a model of every space here."""


def mixed_space() -> SearchSpace:
    """Dimensions of all kinds, and a constant."""
    space = ConfigurationSpace()
    space.add(
        [
            UniformFloatHyperparameter("share", 0.0, 1.0),
            UniformFloatHyperparameter("rate", 1e-6, 1.0, log=True),
            UniformIntegerHyperparameter("layers", 1, 5),
            UniformIntegerHyperparameter("units", 1, 4096, log=True),
            OrdinalHyperparameter("size", ["small", "medium", "large"]),
            CategoricalHyperparameter("kind", ["a", "b", "c", "d"]),
            Constant("version", 3),
        ]
    )
    return SearchSpace(space)


def conditional_space() -> SearchSpace:
    """Two levels of conditions, and forbidden combinations."""
    space = ConfigurationSpace()
    optimizer = CategoricalHyperparameter("optimizer", ["sgd", "adam"])
    momentum = UniformFloatHyperparameter("momentum", 0.0, 0.99)
    nesterov = CategoricalHyperparameter("nesterov", [True, False])
    decay = UniformFloatHyperparameter("decay", 1e-6, 1e-1, log=True)
    depth = UniformIntegerHyperparameter("depth", 1, 4)
    activation = CategoricalHyperparameter("activation", ["relu", "tanh", "elu"])
    space.add([optimizer, momentum, nesterov, decay, depth, activation])
    space.add(EqualsCondition(momentum, optimizer, "sgd"))
    space.add(EqualsCondition(nesterov, optimizer, "sgd"))
    space.add(EqualsCondition(decay, nesterov, value=True))
    for value in (3, 4):
        clauses = (ForbiddenEqualsClause(activation, "tanh"), ForbiddenEqualsClause(depth, value))
        space.add(ForbiddenAndConjunction(*clauses))
    return SearchSpace(space)


def finite_space() -> SearchSpace:
    """Twelve configurations."""
    space = ConfigurationSpace()
    space.add([CategoricalHyperparameter("kind", ["a", "b", "c"]), UniformIntegerHyperparameter("layers", 1, 4)])
    return SearchSpace(space)


def constant_space() -> SearchSpace:
    """One configuration."""
    space = ConfigurationSpace()
    space.add(Constant("version", 3))
    return SearchSpace(space)


class SamplerConformance:
    """Tests of the contract of `Sampler`."""

    def make(self, space: SearchSpace, seed: int) -> Sampler:
        """A new sampler."""
        raise NotImplementedError

    def test_suggestions_are_legal(self) -> None:
        """All values are in bounds, exactly the active ones are there, and no forbidden clause is violated."""
        for space in (mixed_space(), conditional_space(), finite_space(), constant_space()):
            for suggestion in self.play(space, _distance):
                space.check(suggestion.values)

    def test_same_arguments_give_the_same_suggestion(self) -> None:
        """A fresh sampler repeats a run, and gives the last suggestion without having given the others."""
        for space in (mixed_space(), conditional_space(), finite_space()):
            first, second = self.play(space, _distance), self.play(space, _distance)
            assert first == second
            observations, taken = _histories(first[:-1], _distance)
            assert self.make(space, 0).suggest(len(taken), observations, taken) == first[-1]

    def test_what_was_asked_before_does_not_matter(self) -> None:
        """Other histories in between, shorter ones among them, leave no trace."""
        space = conditional_space()
        run = self.play(space, _distance)
        observations, taken = _histories(run, _distance)
        others = [Observation(0, taken[0], 1.0, 0.0)] * len(taken)
        sampler = self.make(space, 0)
        for number in (ROUNDS - 1, 5, 0, 30, 30):
            sampler.suggest(number, others[:number], taken[:number])
            assert sampler.suggest(number, observations[:number], taken[:number]) == run[number]

    def test_arguments_are_left_alone(self) -> None:
        """Neither history is changed."""
        observations, taken = _histories(self.play(mixed_space(), _distance), _distance)
        before = list(observations), [dict(values) for values in taken]
        self.make(mixed_space(), 0).suggest(len(taken), observations, taken)
        assert (list(observations), taken) == before

    def test_seeds_differ(self) -> None:
        """Another seed makes another run."""
        runs = [[s.values for s in self.play(mixed_space(), _distance, seed=seed, rounds=5)] for seed in (0, 1)]
        assert runs[0] != runs[1]

    def test_global_randomness_is_untouched(self) -> None:
        """NumPy's global generator stays where it was."""
        before = np.random.get_state()[1].tolist()  # type: ignore[index]  # noqa: NPY002
        self.play(mixed_space(), _distance)
        assert np.random.get_state()[1].tolist() == before  # type: ignore[index]  # noqa: NPY002

    def test_survives_every_history(self) -> None:
        """No observation, one, ties, failures only, failures mostly, infinite and missing numbers."""
        histories: Sequence[Callable[[int, Mapping[str, Any]], float]] = (
            lambda _number, _values: 0.0,
            lambda _number, _values: math.inf,
            lambda number, _values: 0.0 if number % 10 == 0 else math.inf,
            lambda number, _values: math.nan if number % 2 else -math.inf,
            lambda number, _values: 1e300 * (-1) ** number,
        )
        for space in (mixed_space(), conditional_space(), finite_space(), constant_space()):
            space.check(self.make(space, 0).suggest(0, [], []).values)
            for loss in histories:
                for suggestion in self.play(space, loss):
                    space.check(suggestion.values)

    def test_no_configuration_twice_while_there_are_others(self) -> None:
        """The twelve configurations of a finite space come first, each once."""
        space = finite_space()
        suggestions = [tuple(suggestion.values.items()) for suggestion in self.play(space, _distance)]
        assert len(set(suggestions[:12])) == 12

    def play(
        self,
        space: SearchSpace,
        loss: Callable[[int, Mapping[str, Any]], float],
        seed: int = 0,
        rounds: int = ROUNDS,
    ) -> list[Suggestion]:
        """The suggestions of a run in which each is evaluated at once, at one of two budgets."""
        sampler = self.make(space, seed)
        observations: list[Observation] = []
        taken: list[Mapping[str, Any]] = []
        result = []
        for number in range(rounds):
            suggestion = sampler.suggest(number, observations, taken)
            result.append(suggestion)
            taken.append(suggestion.values)
            observations.append(_observation(number, suggestion.values, loss))
        return result


def _observation(
    number: int, values: Mapping[str, Any], loss: Callable[[int, Mapping[str, Any]], float]
) -> Observation:
    return Observation(number, values, 9.0 if number % 4 == 3 else 3.0, loss(number, values))


def _histories(
    suggestions: Sequence[Suggestion], loss: Callable[[int, Mapping[str, Any]], float]
) -> tuple[list[Observation], list[Mapping[str, Any]]]:
    taken = [suggestion.values for suggestion in suggestions]
    return [_observation(number, values, loss) for number, values in enumerate(taken)], taken


def _distance(_number: int, values: Mapping[str, Any]) -> float:
    """A loss that numbers influence, and other values by their length as text."""
    return sum(abs(value - 0.3) if isinstance(value, float) else 0.1 * len(str(value)) for value in values.values())
