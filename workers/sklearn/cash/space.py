"""The search space: which learner, and everything on the way from the table to it."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from bohb_service.workers.tabular.task import Kind

from .components import Learner, Preprocessor
from .parameters import Choice, Group, Parameter, Real, Whole, declare

if TYPE_CHECKING:
    from ConfigSpace import ConfigurationSpace

CLEANING: tuple[Parameter, ...] = (
    Choice("imputation", ("mean", "median", "most_frequent")),
    Choice("encoding", ("one_hot", "ordinal")),
    Choice("coalescing", ("minority", "none")),
    Real("coalescing:fraction", 1e-4, 0.2, 1e-2, log=True, when=("coalescing", ("minority",))),
    Choice(
        "rescaling",
        ("standardize", "none", "minmax", "normalize", "quantile", "power", "robust"),
        # Learners of trees need none of them, and most others this one.
        weights=(0.4, 0.1, 0.1, 0.05, 0.15, 0.1, 0.1),
    ),
    Whole("quantile:n_quantiles", 10, 2000, 1000, log=True, when=("rescaling", ("quantile",))),
    Choice("quantile:output", ("uniform", "normal"), when=("rescaling", ("quantile",))),
    Real("robust:q_min", 0.001, 0.3, 0.25, when=("rescaling", ("robust",))),
    Real("robust:q_max", 0.7, 0.999, 0.75, when=("rescaling", ("robust",))),
)
"""What happens between table and preprocessor."""

WEIGHTING = Choice("weighting", ("none", "balanced"))
"""Whether the rows of each class weigh the same in total; for learners of classes that take weights."""

_NO_PREPROCESSOR = 0.75
"""How often a random configuration takes the features as they are."""


def build_space(kind: Kind, learners: Sequence[Learner], preprocessors: Sequence[Preprocessor]) -> "ConfigurationSpace":
    """The space of these components.

    The default is the first learner with all its defaults on standardised columns; random configurations have each
    learner as often as its weight says.

    Args:
        kind: What is predicted.
        learners: At least one, for this kind.
        preprocessors: For this kind; the first is ``none``.
    """
    names = tuple(learner.name for learner in learners)
    steps = tuple(step.name for step in preprocessors)
    top = (
        Choice("learner", names, tuple(learner.weight for learner in learners)),
        Choice("preprocessor", steps, _step_weights(steps)),
        *CLEANING,
    )
    groups = [Group(top)]
    weighted = tuple(learner.name for learner in learners if learner.takes_weights)
    if kind == "classification" and weighted:
        groups.append(Group((replace(WEIGHTING, when=("learner", weighted)),)))
    groups += [Group(learner.parameters, learner.name, "learner") for learner in learners]
    groups += [Group(step.parameters, step.name, "preprocessor") for step in preprocessors]
    space = declare(groups, f"sklearn-{kind}")
    _forbid_kernels_for_trees(space, learners, preprocessors)
    return space


def _step_weights(steps: Sequence[str]) -> tuple[float, ...] | None:
    if len(steps) == 1:
        return None
    return (_NO_PREPROCESSOR, *[(1 - _NO_PREPROCESSOR) / (len(steps) - 1)] * (len(steps) - 1))


def _forbid_kernels_for_trees(
    space: "ConfigurationSpace", learners: Sequence[Learner], preprocessors: Sequence[Preprocessor]
) -> None:
    from ConfigSpace import ForbiddenAndConjunction, ForbiddenInClause

    trees = [learner.name for learner in learners if learner.is_trees]
    kernels = [step.name for step in preprocessors if step.makes_kernel]
    if trees and kernels:
        space.add(
            ForbiddenAndConjunction(
                ForbiddenInClause(space["learner"], trees), ForbiddenInClause(space["preprocessor"], kernels)
            )
        )
