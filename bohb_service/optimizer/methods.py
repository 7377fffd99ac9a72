"""The methods that a study can name: each is a schedule of brackets and a sampler.

To add a sampler, write its file and one entry of ``METHODS``. Importing this module is cheap: samplers, and with them
NumPy, are imported when one is built.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bohb_service.errors import StudyError
from bohb_service.optimizer.brackets import (
    FullBudgetSchedule,
    HyperbandSchedule,
    Schedule,
    SizeRule,
    SuccessiveHalvingSchedule,
)
from bohb_service.optimizer.model_options import ModelOptions
from bohb_service.optimizer.sampler import Sampler
from bohb_service.suggestions import did_you_mean

if TYPE_CHECKING:
    from bohb_service.space import SearchSpace


@dataclass(frozen=True, slots=True)
class Method:
    """How to build the parts of a method.

    Attributes:
        schedule: From minimum, maximum, eta, size rule, and whether budgets are whole numbers.
        sampler: From the space, the seed and the options.
    """

    schedule: Callable[[float, float, float, SizeRule, bool], Schedule]
    sampler: Callable[["SearchSpace", int, Mapping[str, Any]], Sampler]


def schedule_of(  # noqa: PLR0917 - the order of a study file
    name: str,
    minimum: float,
    maximum: float,
    eta: float,
    sizes: SizeRule | str,
    integer: bool,  # noqa: FBT001 - as above
) -> Schedule:
    """The brackets of a method.

    Args:
        name: Name of the method.
        minimum: Smallest budget.
        maximum: Largest budget.
        eta: One in ``eta`` configurations advances.
        sizes: Rule for the size of the first rung, see ``SizeRule``.
        integer: Whether budgets are rounded to whole numbers.

    Raises:
        StudyError: The name or another argument is wrong.
    """
    if sizes not in tuple(SizeRule):
        raise StudyError(f"method.sizes: must be one of {', '.join(SizeRule)}, got {sizes!r}")
    return _method(name).schedule(minimum, maximum, eta, SizeRule(sizes), integer)


def sampler_of(
    name: str,
    space: "SearchSpace",
    seed: int,
    options: Mapping[str, Any] | None = None,
    initial: Sequence[Mapping[str, Any]] = (),
) -> Sampler:
    """The sampler of a method; imports the numerical packages.

    Args:
        name: Name of the method.
        space: What to search.
        seed: Seed of the study; not negative.
        options: What to change about the method's sampler, see ``ModelOptions``.
        initial: Configurations to propose first.

    Raises:
        StudyError: The name, an option or an initial configuration is wrong, or a package that an option needs is
            missing.
    """
    sampler = _method(name).sampler(space, seed, options or {})
    if not initial:
        return sampler
    from bohb_service.optimizer.initial_sampler import InitialSampler

    return InitialSampler(initial, space, sampler)


def _model(space: "SearchSpace", seed: int, options: Mapping[str, Any]) -> Sampler:
    from bohb_service.optimizer.model_sampler import ModelSampler

    return ModelSampler(space, seed, ModelOptions.from_mapping(options))


def _random(space: "SearchSpace", seed: int, options: Mapping[str, Any]) -> Sampler:
    from bohb_service.optimizer.random_sampler import RandomSampler

    for key in options:
        raise StudyError(f"method.{key}: only the method 'bohb' has options of a model; leave it out")
    return RandomSampler(space, seed)


METHODS: Mapping[str, Method] = {
    "bohb": Method(HyperbandSchedule, _model),
    "hyperband": Method(HyperbandSchedule, _random),
    "successive-halving": Method(SuccessiveHalvingSchedule, _random),
    "random": Method(FullBudgetSchedule, _random),
}
"""The methods by name."""


def _method(name: str) -> Method:
    if name in METHODS:
        return METHODS[name]
    hint = f"{did_you_mean(name, METHODS)} known are {', '.join(METHODS)}".lstrip()
    raise StudyError(f"method.name: there is no method {name!r}; {hint}")
