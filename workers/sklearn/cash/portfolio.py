"""Configurations to try first."""

from collections.abc import Mapping, Sequence
from typing import Any

from bohb_service.workers.tabular.task import Kind

from .components import Learner, Preprocessor
from .recipes import make_recipe

_FIRST: tuple[Mapping[str, Any], ...] = (
    {"learner": "random_forest"},
    {"learner": "lightgbm"},
    {"learner": "extra_trees"},
    {"learner": "hist_gradient_boosting"},
    {"learner": "libsvm_svc", "libsvm_svc:C": 10.0},
    {"learner": "libsvm_svr"},
    {"learner": "mlp"},
    {"learner": "logistic_regression"},
    {"learner": "ridge"},
    {"learner": "k_nearest_neighbours"},
)


def first_configurations(
    kind: Kind, learners: Sequence[Learner], preprocessors: Sequence[Preprocessor]
) -> list[dict[str, Any]]:
    """Complete configurations of a space, the most promising first.

    Args:
        kind: What is predicted.
        learners: Of the space; configurations with others are left out.
        preprocessors: Of the space.
    """
    names = {learner.name for learner in learners}
    return [
        dict(make_recipe(config, kind, learners, preprocessors, 0).config)
        for config in _FIRST
        if config["learner"] in names
    ]
