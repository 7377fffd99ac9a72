"""What a learner and a feature preprocessor are: one entry each, from which space, pipeline and training are made."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from bohb_service.workers.tabular.task import KINDS, Kind

from .parameters import Parameter

Config = Mapping[str, Any]
"""Values of a component's active hyperparameters, by their names within it."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What sizes of a component depend on.

    Attributes:
        kind: Classification or regression.
        n_rows: To learn from.
        n_features: That arrive at the component.
        n_classes: That occur in these rows; 0 for a regression.
        least_class: Rows of the rarest class that occurs; 0 for a regression.
    """

    kind: Kind
    n_rows: int
    n_features: int
    n_classes: int = 0
    least_class: int = 0

    @property
    def is_classification(self) -> bool:
        """Whether classes are predicted."""
        return self.kind == "classification"


CLASSIFIER: tuple[Kind, ...] = ("classification",)
"""Kinds of a learner that predicts classes only."""

REGRESSOR: tuple[Kind, ...] = ("regression",)
"""Kinds of a learner that predicts values only."""

Build = Callable[[Config, Facts, int], Any]
"""Gives an unfitted scikit-learn object for a configuration, sizes of the data, and a seed."""


@dataclass(frozen=True, slots=True)
class Iterations:
    """How a learner is trained bit by bit.

    Attributes:
        most: The number that 100 percent stand for.
        parameter: Constructor argument with the number; None if there is one call of ``partial_fit`` an iteration.
        resumes: Whether a training goes on where an earlier one of fewer iterations stopped. Only if that gives the
            same bits as a training in one go, and takes less time than to start over.
    """

    most: int
    parameter: str | None
    resumes: bool = True


@dataclass(frozen=True, slots=True)
class Learner:
    """A classifier, a regressor, or both.

    Attributes:
        name: In the space; unique within a kind.
        build: Makes it.
        parameters: Its hyperparameters.
        kinds: What it can predict.
        weight: How often a random configuration has it, relative to others.
        iterations: None if it is trained in one go.
        takes_weights: Whether its training takes weights of rows.
        needs_positive: Whether it fails on features below 0.
        most_rows: It learns from no more rows than this, a stratified part of those there are; None for all.
        least_class: Rows of classes with fewer are left out, for it fails on them.
        is_trees: Whether it is made of trees, which make nothing of a kernel's features.
        package: What must be installed beside scikit-learn; None if nothing.
    """

    name: str
    build: Build
    parameters: tuple[Parameter, ...] = ()
    kinds: tuple[Kind, ...] = KINDS
    weight: float = 1.0
    iterations: Iterations | None = None
    takes_weights: bool = True
    needs_positive: bool = False
    most_rows: int | None = None
    least_class: int = 1
    is_trees: bool = False
    package: str | None = None


@dataclass(frozen=True, slots=True)
class Preprocessor:
    """A step between the cleaned table and the learner.

    Attributes:
        name: In the space; unique.
        build: Makes it; a None means that there is nothing that it could do with so few rows or columns.
        parameters: Its hyperparameters.
        kinds: Tasks that it is for.
        makes_kernel: Whether it maps to features of which a learner of trees makes nothing, at great cost.
    """

    name: str
    build: Build
    parameters: tuple[Parameter, ...] = ()
    kinds: tuple[Kind, ...] = KINDS
    makes_kernel: bool = False
