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


def declare(
    space: "ConfigurationSpace", parameters: Sequence[Parameter], component: str = "", choice: str | None = None
) -> None:
    """Add hyperparameters to a space, with the conditions under which they are active.

    Args:
        space: What to add to.
        parameters: Of one component; one that another's `when` names stands before it.
        component: Its name, the prefix of theirs; empty for the top of the space.
        choice: Name of the categorical whose value `component` makes them active; None for always.
    """
    from ConfigSpace import EqualsCondition, InCondition

    prefix = f"{component}:" if component else ""
    for parameter in parameters:
        added = _made(prefix, parameter)
        space.add(added)
        if parameter.when is not None:
            other, values = parameter.when
            space.add(InCondition(added, space[f"{prefix}{other}"], list(values)))
        elif choice is not None:
            space.add(EqualsCondition(added, space[choice], component))


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
