"""From a configuration's names and values to the components that they stand for."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bohb_service.errors import SpaceError
from bohb_service.suggestions import did_you_mean
from bohb_service.workers.tabular.task import Kind

from .components import Learner, Preprocessor
from .parameters import Choice, Parameter
from .space import CLEANING, WEIGHTING

if TYPE_CHECKING:
    from .training import Recipe


def make_recipe(
    config: Mapping[str, Any],
    kind: Kind,
    learners: Sequence[Learner],
    preprocessors: Sequence[Preprocessor],
    seed: int,
) -> "Recipe":
    """The recipe of a configuration; what it leaves out has its default.

    Args:
        config: Values by name, of the target's space or of one in the study file that is part of it.
        kind: What is predicted.
        learners: That there are; the first is the default.
        preprocessors: That there are; the first is the default.
        seed: Of all that is random.

    Raises:
        SpaceError: A name or a component is unknown, or a hyperparameter is not active beside the others.
    """
    from .training import Recipe

    return Recipe(*read_config(config, kind, learners, preprocessors), seed)


def read_config(
    config: Mapping[str, Any], kind: Kind, learners: Sequence[Learner], preprocessors: Sequence[Preprocessor]
) -> tuple[dict[str, Any], Learner, Preprocessor]:
    """All values of a configuration, its learner and its preprocessor.

    Args:
        config: As for `make_recipe`, as the others are.
        kind: What is predicted.
        learners: That there are.
        preprocessors: That there are.

    Raises:
        SpaceError: A name or a component is unknown, or a hyperparameter is not active beside the others.
    """
    learner = _named("learner", config.get("learner", learners[0].name), learners)
    step = _named("preprocessor", config.get("preprocessor", preprocessors[0].name), preprocessors)
    complete: dict[str, Any] = {"learner": learner.name, "preprocessor": step.name}
    _fill(complete, config, "", CLEANING)
    if kind == "classification" and learner.takes_weights:
        _fill(complete, config, "", (WEIGHTING,))
    _fill(complete, config, f"{learner.name}:", learner.parameters)
    _fill(complete, config, f"{step.name}:", step.parameters)
    for name in config:
        if name not in complete:
            hint = did_you_mean(name, complete) or f"active are: {', '.join(complete)}"
            raise SpaceError(
                f"hyperparameter {name!r} has no meaning with learner {learner.name} and preprocessor {step.name}; "
                f"{hint}"
            )
    return complete, learner, step


def _named(key: str, name: Any, components: Sequence[Any]) -> Any:
    for component in components:
        if component.name == name:
            return component
    known = [component.name for component in components]
    raise SpaceError(
        f"{key}: {name!r} is not in the space; {did_you_mean(name, known)} choose from: {', '.join(known)}"
    )


def _fill(complete: dict[str, Any], config: Mapping[str, Any], prefix: str, parameters: Sequence[Parameter]) -> None:
    for parameter in parameters:
        if parameter.when is not None:
            other, values = parameter.when
            if complete.get(prefix + other) not in values:
                continue
        default = parameter.options[0] if isinstance(parameter, Choice) else parameter.default
        name = prefix + parameter.name
        complete[name] = config.get(name, default)
