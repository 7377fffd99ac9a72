import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bohb_service.optimizer.history import History
from bohb_service.optimizer.observation import Observation
from bohb_service.space import read_space

SPACE = read_space({"x": [0.0, 1.0], "kind": ["a", "b", "c"]})

LOSSES = st.sampled_from([0.0, 0.5, 1.0, -1.0, math.inf, math.nan, -math.inf])
BATCHES = st.lists(
    st.tuples(st.integers(0, 100), st.lists(LOSSES, min_size=1, max_size=7), st.booleans()), min_size=1, max_size=12
)


def observation(number, loss, budget):
    return Observation(number, {"x": number / 10_000, "kind": "abc"[number % 3]}, budget, loss)


def expected(observations, budget):
    """The encoded observations of a budget, sorted at once."""
    members = [o for o in observations if o.budget == budget]
    points = SPACE.encode([o.values for o in members])
    losses = [o.loss if math.isfinite(o.loss) else math.inf for o in members]
    return points[np.argsort(losses, kind="stable")], sum(map(math.isfinite, losses))


@given(BATCHES)
def test_ranks_are_those_of_sorting_everything_whatever_came_in_which_portions(batches):
    history = History(SPACE)
    observations = []
    for repeats, losses, is_read in batches:
        for loss in losses + losses[:1] * repeats:
            number = len(observations)
            observations.append(observation(number, loss, 9.0 if number % 3 == 0 else 3.0))
        history.update(observations)
        budgets = sorted({o.budget for o in observations}, reverse=True)
        for budget, found in zip(budgets, history.largest_first(), strict=True):
            points, n_finite = expected(observations, budget)
            assert (len(found), found.n_finite) == (len(points), n_finite)
            if is_read:
                np.testing.assert_array_equal(found.ranked(0, len(found)), points)
                np.testing.assert_array_equal(found.ranked(1, 2), points[1:2])


def test_another_history_replaces_the_first():
    history = History(SPACE)
    history.update([observation(number, number / 100, 9.0) for number in range(100)])
    history.largest_first()[0].ranked(0, 1)
    others = [observation(number, -number, 3.0) for number in range(50)]
    history.update(others)
    (found,) = history.largest_first()
    np.testing.assert_array_equal(found.ranked(0, 50), expected(others, 3.0)[0])


def test_a_budget_that_nobody_looks_at_is_not_encoded():
    class Counting:
        dimensions = SPACE.dimensions
        n_encoded = 0

        def encode(self, configurations):
            self.n_encoded += len(configurations)
            return SPACE.encode(configurations)

    space = Counting()
    history = History(space)
    history.update([observation(number, 0.0, 9.0 if number < 5 else 3.0) for number in range(100)])
    history.largest_first()[0].ranked(0, 5)
    assert space.n_encoded == 5
