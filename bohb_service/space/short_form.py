"""The short form of search spaces in study files: hyperparameters, conditions, forbidden combinations."""

from collections.abc import Collection, Mapping
from graphlib import CycleError, TopologicalSorter
from typing import Any

from ConfigSpace import (
    AndConjunction,
    ConfigurationSpace,
    EqualsCondition,
    ForbiddenAndConjunction,
    ForbiddenEqualsClause,
    ForbiddenInClause,
    GreaterThanCondition,
    InCondition,
    LessThanCondition,
    NotEqualsCondition,
    OrConjunction,
)
from ConfigSpace.conditions import ConditionLike
from ConfigSpace.forbidden import ForbiddenClause, ForbiddenLike
from ConfigSpace.hyperparameters import Hyperparameter

from bohb_service.space.axis import Axis, ChoiceAxis, NotAllowedError, make_axis
from bohb_service.space.hyperparameter_form import read_hyperparameter
from bohb_service.space.wording import Place, listing, show, suggest

_FORBIDDEN = "forbidden"
_COMPARISONS = ("gt", "lt", "ne")

AnyHyperparameter = Hyperparameter[Any, Any]


def read_short_form(form: Mapping[str, Any], place: Place) -> ConfigurationSpace:
    """The space that a short form stands for.

    Args:
        form: As `bohb_service.space.reading.read_space` describes it.
        place: Where the form stands, for messages.

    Raises:
        SpaceError: The form has a mistake; the message has its path.
    """
    entries = {name: entry for name, entry in form.items() if name != _FORBIDDEN}
    if not entries:
        raise place.error("the space has no hyperparameters; add one, such as learning_rate: [0.001, 0.1]")
    names: Collection[Any] = entries
    for name in names:
        if not isinstance(name, str) or not name:
            raise place.error(f"the key {show(name)} is no name of a hyperparameter; use text")
    space = ConfigurationSpace()
    space.add([read_hyperparameter(name, entry, place.at(name)) for name, entry in entries.items()])
    reader = _Rules(space, entries, place)
    space.add(reader.conditions())
    clauses, default = reader.clauses(form.get(_FORBIDDEN, [])), dict(space.get_default_configuration())
    try:
        space.add(clauses)
    except ValueError as error:
        raise place.at(_FORBIDDEN).error(
            f"the default configuration {show(default)} is forbidden, and ConfigSpace wants it legal; "
            "give one of these hyperparameters another 'default'"
        ) from error
    return space


class _Rules:
    """Reads the conditions and forbidden combinations of one form."""

    def __init__(self, space: ConfigurationSpace, entries: Mapping[str, Any], place: Place) -> None:
        self._space = space
        self._place = place
        self._axes: dict[str, Axis] = {name: make_axis(hyperparameter) for name, hyperparameter in space.items()}
        self._when = {
            name: entry["when"] for name, entry in entries.items() if isinstance(entry, Mapping) and "when" in entry
        }

    def conditions(self) -> list[ConditionLike]:
        """The conditions of all keys ``when``."""
        conditions = [self._when_of(name, when, self._place.at(name).at("when")) for name, when in self._when.items()]
        try:
            TopologicalSorter({name: list(when) for name, when in self._when.items()}).prepare()
        except CycleError as error:
            circle = " -> ".join(reversed(error.args[1]))
            raise self._place.error(f"the conditions go in a circle: {circle}; remove one 'when' of these") from error
        return conditions

    def clauses(self, form: Any) -> list[ForbiddenLike]:
        """The forbidden combinations."""
        place = self._place.at(_FORBIDDEN)
        if not isinstance(form, (list, tuple)):
            raise place.error(f"{show(form)} is not a list of mappings, such as [{{activation: relu, layers: [3, 4]}}]")
        return [self._clause(item, place.at(position)) for position, item in enumerate(form)]

    def _when_of(self, child: str, when: Any, place: Place) -> ConditionLike:
        if not isinstance(when, Mapping) or not when:
            raise place.error(f"{show(when)} is no condition; write {{hyperparameter: value}}")
        parts = [
            part
            for parent, test in when.items()
            for part in self._test(self._space[child], self._known(parent, place, beside=child), test, place.at(parent))
        ]
        return AndConjunction(*parts) if len(parts) > 1 else parts[0]

    def _test(self, child: AnyHyperparameter, name: str, test: Any, place: Place) -> list[ConditionLike]:
        """The conditions on one parent; all must be met."""
        parent = self._space[name]
        if isinstance(test, (list, tuple)):
            return [InCondition(child, parent, self._several(name, test, place))]
        if not isinstance(test, Mapping):
            return [EqualsCondition(child, parent, self._value(name, test, place))]
        if not test:
            raise place.error(f"an empty mapping is no condition; allowed: {listing(_COMPARISONS)}")
        return [self._compared(child, name, key, value, place.at(key)) for key, value in test.items()]

    def _compared(self, child: AnyHyperparameter, name: str, key: Any, value: Any, place: Place) -> ConditionLike:
        parent, axis = self._space[name], self._axes[name]
        if key not in _COMPARISONS:
            raise place.error(f"unknown comparison; {suggest(key, _COMPARISONS)}")
        legal = self._value(name, value, place)
        if key != "ne":
            if not parent.ORDERABLE:
                raise place.error(f"the values of {name!r} have no order; write a list of values, or {{ne: value}}")
            return (GreaterThanCondition if key == "gt" else LessThanCondition)(child, parent, legal)
        if name not in self._when:
            return NotEqualsCondition(child, parent, legal)
        # Where the parent is inactive, ConfigSpace disagrees with itself whether "not equal" is met. These never are.
        if isinstance(axis, ChoiceAxis) and not axis.is_ordered:
            return InCondition(child, parent, [choice for choice in axis.choices if choice != legal])
        return OrConjunction(LessThanCondition(child, parent, legal), GreaterThanCondition(child, parent, legal))

    def _clause(self, form: Any, place: Place) -> ForbiddenLike:
        if not isinstance(form, Mapping) or not form:
            raise place.error(f"{show(form)} is no forbidden combination; write {{hyperparameter: value}}")
        parts: list[ForbiddenClause] = []
        for key, values in form.items():
            name = self._known(key, place)
            if isinstance(values, (list, tuple)):
                parts.append(ForbiddenInClause(self._space[name], self._several(name, values, place.at(name))))
            else:
                parts.append(ForbiddenEqualsClause(self._space[name], self._value(name, values, place.at(name))))
        return ForbiddenAndConjunction(*parts) if len(parts) > 1 else parts[0]

    def _known(self, name: Any, place: Place, beside: str | None = None) -> str:
        names = [known for known in self._axes if known != beside]
        if name not in names:
            told = "is the hyperparameter itself" if name == beside else "is no hyperparameter of the space"
            raise place.at(name).error(f"{show(name)} {told}; {suggest(name, names)}")
        return str(name)

    def _several(self, name: str, values: Any, place: Place) -> list[Any]:
        if not values:
            raise place.error("an empty list of values; add one")
        return [self._value(name, value, place.at(position)) for position, value in enumerate(values)]

    def _value(self, name: str, value: Any, place: Place) -> Any:
        axis = self._axes[name]
        try:
            return axis.value(axis.number(value))
        except NotAllowedError as error:
            raise place.error(f"{error} (the values of {name!r})") from error
