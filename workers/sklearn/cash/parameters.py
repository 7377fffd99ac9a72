"""Hyperparameters of a component, as plain data; ConfigSpace is imported only where a space is made of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ConfigSpace import ConfigurationSpace

When = tuple[str, tuple[Any, ...]]
"""Name of another hyperparameter of the same component, and the values of it with which this one is active."""


@dataclass(frozen=True, slots=True)
class Real:
    """A real number.

    Attributes:
        name: Within its component.
        low: Least value.
        high: Greatest value.
        default: What the default configuration has.
        log: Whether it is searched on a logarithmic scale.
        when: With what it is active; None for whenever its component is.
    """

    name: str
    low: float
    high: float
    default: float
    log: bool = False
    when: When | None = None


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole number.

    Attributes:
        name: Within its component.
        low: Least value.
        high: Greatest value.
        default: What the default configuration has.
        log: Whether it is searched on a logarithmic scale.
        when: With what it is active; None for whenever its component is.
    """

    name: str
    low: int
    high: int
    default: int
    log: bool = False
    when: When | None = None


@dataclass(frozen=True, slots=True)
class Choice:
    """One of some values.

    Attributes:
        name: Within its component.
        options: The values; the first is the default.
        weights: How often a random configuration has each; None for equally often.
        when: With what it is active; None for whenever its component is.
    """

    name: str
    options: tuple[Any, ...]
    weights: tuple[float, ...] | None = None
    when: When | None = None


Parameter = Real | Whole | Choice


@dataclass(frozen=True, slots=True)
class Group:
    """The hyperparameters of a component.

    Attributes:
        parameters: One that another's `when` names stands before it.
        component: Its name, the prefix of theirs; empty for the top of the space.
        choice: Name of the categorical whose value `component` makes them active; None for always.
    """

    parameters: Sequence[Parameter]
    component: str = ""
    choice: str | None = None


def declare(groups: Sequence[Group], name: str) -> "ConfigurationSpace":
    """The space of these hyperparameters, with the conditions under which they are active.

    Args:
        groups: One that makes others active stands before them.
        name: Of the space.
    """
    from ConfigSpace import ConfigurationSpace, EqualsCondition, InCondition

    made: dict[str, Any] = {}
    conditions: list[Any] = []
    for group in groups:
        prefix = f"{group.component}:" if group.component else ""
        for parameter in group.parameters:
            own = made[prefix + parameter.name] = _made(prefix, parameter)
            if parameter.when is not None:
                other, values = parameter.when
                conditions.append(InCondition(own, made[prefix + other], list(values)))
            elif group.choice is not None:
                conditions.append(EqualsCondition(own, made[group.choice], group.component))
    space = ConfigurationSpace(name=name)
    # In one call: each call checks the whole space.
    space.add(*made.values(), *conditions)
    return space


def _made(prefix: str, parameter: Parameter) -> Any:
    from ConfigSpace import Categorical, Float, Integer

    name = f"{prefix}{parameter.name}"
    match parameter:
        case Choice():
            return Categorical(name, parameter.options, default=parameter.options[0], weights=parameter.weights)
        case Whole():
            return Integer(name, (parameter.low, parameter.high), default=parameter.default, log=parameter.log)
        case Real():
            return Float(name, (parameter.low, parameter.high), default=parameter.default, log=parameter.log)
