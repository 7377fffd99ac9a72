"""Configurations that did well on other data sets, to be tried first; `scripts/autonet_portfolio.py` learned them."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from importlib import resources
from typing import TYPE_CHECKING, Any

from .hyperparameters import Hyperparameters
from .spaces import BASES, build_space

if TYPE_CHECKING:
    from ConfigSpace import ConfigurationSpace

LEARNED_IN = "medium"
"""The space that the configurations are of."""


def portfolio(space: str, kind: str | None = None) -> list[dict[str, Any]]:
    """The learned configurations as ones of a space, in the order in which to try them.

    Args:
        space: ``medium`` or ``full``; there are none of ``small``.
        kind: ``regression`` leaves out what only classifications have.
    """
    stored = resources.files(__package__).joinpath("portfolio.json").read_text(encoding="utf-8")
    configurations: list[Mapping[str, Any]] = json.loads(stored)["configurations"]
    if space == "small":
        return []
    made = build_space(space, kind)
    return [_translated(configuration, made) for configuration in configurations]


def _translated(configuration: Mapping[str, Any], made: "ConfigurationSpace") -> dict[str, Any]:
    """The configuration with the hyperparameters that are active in the space."""
    from ConfigSpace.util import deactivate_inactive_hyperparameters

    values = asdict(Hyperparameters.from_config(configuration, BASES[LEARNED_IN]))
    chosen = deactivate_inactive_hyperparameters({name: values[name] for name in made}, made)
    # The values as they are stored: those of ConfigSpace are NumPy's and may differ in the last digit.
    return {name: values[name] for name in chosen}
