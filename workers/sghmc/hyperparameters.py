"""The hyperparameters of sampler and network, and the space that a study searches."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from bohb_service.errors import SpaceError
from bohb_service.suggestions import did_you_mean
from bohb_service.workers.common.shown import pythonic, shown

if TYPE_CHECKING:
    from ConfigSpace import ConfigurationSpace


_MOST_UNITS = 10**5


@dataclass(frozen=True, slots=True)
class Hyperparameters:
    """What a configuration says; the defaults are those of the published space.

    Attributes:
        l_rate: Step size of the sampler, above 0.
        burn_in: Share of the steps whose positions are thrown away, from 0 to below 1.
        n_units_1: Units of the first hidden layer.
        n_units_2: Units of the second hidden layer.
        mdecay: Share of the momentum that is lost in a step, from 0 to 1.
    """

    l_rate: float = 1e-2
    burn_in: float = 0.3
    n_units_1: int = 64
    n_units_2: int = 64
    mdecay: float = 0.05

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "Hyperparameters":
        """The hyperparameters of a configuration; what it leaves out keeps its default.

        Args:
            config: Values of the hyperparameters, of the built-in space or of one in the study file.

        Raises:
            SpaceError: A name is unknown, or a value impossible.
        """
        known = [field.name for field in fields(cls)]
        config = pythonic(config)
        for name, value in config.items():
            if name not in known:
                hint = did_you_mean(name, known) or f"choose from: {', '.join(known)}"
                raise SpaceError(f"hyperparameter {name!r} is unknown to sghmc; {hint}")
            _check(name, value)
        return cls(**config)


def build_space() -> "ConfigurationSpace":
    """The published search space.

    References:
        Falkner, Klein, Hutter (2018), "BOHB: Robust and Efficient Hyperparameter Optimization at Scale", section 5.4.
    """
    from ConfigSpace import ConfigurationSpace, Float, Integer

    default = Hyperparameters()
    space = ConfigurationSpace(name="sghmc")
    space.add(
        Float("l_rate", (1e-6, 1e-1), log=True, default=default.l_rate),
        Float("burn_in", (0.0, 0.8), default=default.burn_in),
        Integer("n_units_1", (16, 512), log=True, default=default.n_units_1),
        Integer("n_units_2", (16, 512), log=True, default=default.n_units_2),
        Float("mdecay", (0.0, 1.0), default=default.mdecay),
    )
    return space


def _check(name: str, value: Any) -> None:
    """Raise unless the value is of the hyperparameter's type and range."""
    is_whole = name.startswith("n_units")
    is_number = isinstance(value, int if is_whole else int | float) and not isinstance(value, bool)
    if is_whole:
        fits, what = is_number and 1 <= value <= _MOST_UNITS, f"a whole number from 1 to {_MOST_UNITS}"
    elif name == "l_rate":
        fits, what = is_number and 0 < value < float("inf"), "a number above 0"
    elif name == "burn_in":
        fits, what = is_number and 0 <= value < 1, "a number from 0 to below 1"
    else:
        fits, what = is_number and 0 <= value <= 1, "a number from 0 to 1"
    if not fits:
        raise SpaceError(f"hyperparameter {name!r} must be {what}, not {shown(value)}")
