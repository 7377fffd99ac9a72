"""The sections of a study file as types that check themselves."""

import math
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationInfo,
    field_validator,
    model_serializer,
    model_validator,
)

from bohb_service.study.problems import show

MethodName = Literal["bohb", "hyperband", "successive-halving", "random"]
SizeRuleName = Literal["paper", "hpbandster"]
Density = Literal["own", "statsmodels"]

_BRACKET_OPTIONS = ("eta", "sizes")
_MODEL_OPTIONS = (
    "min_points_in_model",
    "top_n_percent",
    "num_samples",
    "random_fraction",
    "bandwidth_factor",
    "min_bandwidth",
    "density",
)
METHOD_OPTIONS: Mapping[str, tuple[str, ...]] = {
    "bohb": _BRACKET_OPTIONS + _MODEL_OPTIONS,
    "hyperband": _BRACKET_OPTIONS,
    "successive-halving": _BRACKET_OPTIONS,
    "random": (),
}
"""The options of each method."""


def _whole(value: Any) -> Any:
    """A number without a fraction as int, since ``1e3`` is a float in YAML; anything else unchanged."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Whole = Annotated[int, BeforeValidator(_whole)]
"""A whole number, also if it is written as ``4.0`` or ``1e3``."""

Count = Annotated[int, Field(ge=1), BeforeValidator(_whole)]
"""A whole number from 1 on."""


class Section(BaseModel):
    """A mapping of known keys, strict about types and silent about nothing."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )


class Fidelity(Section):
    """What a budget is, and its range."""

    name: str = Field("budget", examples=["epochs"])
    """word for one unit of budget"""
    min: float = Field(gt=0, examples=[1])
    """smallest budget that an evaluation may get"""
    max: float = Field(gt=0, examples=[27])
    """largest budget that an evaluation may get"""
    integer: bool = Field(default=False, examples=[True])
    """whether budgets are whole numbers"""

    @field_validator("name")
    @classmethod
    def _check_name(cls, name: str) -> str:
        if not name.isprintable() or name != name.strip() or not 0 < len(name) <= 64:
            raise ValueError(
                f"must be 1 to 64 printable characters without outer spaces, not {show(name)}; write a word"
            )
        return name

    @field_validator("max")
    @classmethod
    def _check_range(cls, value: float, info: ValidationInfo) -> float:
        least = info.data.get("min")
        if least is not None and value < least:
            raise ValueError(f"must be at least min ({least:.15g}), not {value:.15g}; exchange them or raise max")
        return value

    @field_validator("integer")
    @classmethod
    def _check_integer(cls, integer: bool, info: ValidationInfo) -> bool:  # noqa: FBT001
        for key in ("min", "max"):
            bound = info.data.get(key)
            if integer and bound is not None and not bound.is_integer():
                raise ValueError(
                    f"budgets shall be whole numbers, but {key} is {bound:.15g}; round it or set integer to false"
                )
        return integer


class Method(Section):
    """How configurations are proposed and raced; in a file the name alone will do."""

    name: MethodName = Field("bohb", examples=["bohb"])
    """name of the method"""
    eta: float = Field(3.0, gt=1, examples=[3])
    """from rung to rung the best 1/eta of the configurations go on, with eta times the budget"""
    sizes: SizeRuleName = Field("paper", examples=["paper"])
    """rule for the number of configurations in a bracket"""
    min_points_in_model: Count | None = Field(None, examples=[8])
    """observations that each of the two densities needs; null is one more than there are hyperparameters"""
    top_n_percent: float = Field(15.0, gt=0, lt=100, examples=[15])
    """share of the observations that count as good, in percent"""
    num_samples: Count = Field(64, le=1_000_000, examples=[64])
    """candidates drawn for one proposal"""
    random_fraction: float = Field(1 / 3, ge=0, le=1, examples=[0.33])
    """share of proposals drawn at random"""
    bandwidth_factor: float = Field(3.0, gt=0, examples=[3])
    """factor by which the bandwidth is widened when candidates are drawn"""
    min_bandwidth: float = Field(1e-3, gt=0, le=0.5, examples=[0.001])
    """smallest bandwidth, in units of the unit cube"""
    density: Density = Field("own", examples=["own"])
    """which code computes the densities"""

    @model_validator(mode="before")
    @classmethod
    def _accept_name(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value

    @field_validator(*_BRACKET_OPTIONS, *_MODEL_OPTIONS, mode="before")
    @classmethod
    def _check_belongs(cls, value: Any, info: ValidationInfo) -> Any:
        # Only keys that are given come here, defaults do not.
        name = info.data.get("name")
        if name is not None and info.field_name not in METHOD_OPTIONS[name]:
            takers = [method for method, options in METHOD_OPTIONS.items() if info.field_name in options]
            raise ValueError(f"is not an option of method '{name}' (only of {', '.join(takers)}); remove it")
        return value

    @model_serializer(mode="wrap")
    def _without_foreign_options(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        kept = ("name", *METHOD_OPTIONS[self.name])
        return {key: value for key, value in handler(self).items() if key in kept}


class Stop(Section):
    """When the search ends: whichever is reached first; nothing given means one whole cycle of brackets."""

    brackets: Count | None = Field(None, examples=[4])
    """brackets to run to their end"""
    evaluations: Count | None = Field(None, examples=[100])
    """evaluations to start"""
    full_budgets: float | None = Field(None, gt=0, examples=[20])
    """budget to spend in all, in units of the largest budget"""
    seconds: float | None = Field(None, gt=0, examples=[3600])
    """time to search, in seconds"""
    loss: float | None = Field(None, examples=[0.05])
    """loss at the largest budget that is good enough"""

    @property
    def is_default(self) -> bool:
        """Whether no rule is given, so that one whole cycle of brackets is meant."""
        return all(value is None for _, value in self)


LABEL_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")
"""Names of what workers have and trials need."""

MIN_BUDGET = "min_budget"
"""The key of a rule of needs that is no name of a need."""

_COUNTED = {"gpu": "devices", "cpus": "cores", "memory_mb": "MiB"}


def check_needs(value: Any) -> Any:
    """A list of rules from one rule or a list of them.

    Raises:
        ValueError: A rule is no mapping, or has a name or value that cannot be.
    """
    rules = [value] if isinstance(value, Mapping) else value
    if not isinstance(rules, list | tuple):
        raise ValueError(f"must be a mapping, e.g. {{gpu: 1}}, or a list of them, not {show(value)}; write one")  # noqa: TRY004
    for rule in rules:
        if not isinstance(rule, Mapping):
            raise ValueError(f"has {show(rule)} in its list; write mappings, e.g. {{gpu: 1, min_budget: 9}}")  # noqa: TRY004
        for name, need in rule.items():
            if not isinstance(name, str) or not LABEL_NAME.fullmatch(name):
                raise ValueError(f"has the name {show(name)}; use letters, digits, '_' and '-', a letter first")
            is_number = isinstance(need, int | float) and not isinstance(need, bool) and 0 <= need < math.inf
            if not is_number and (name == MIN_BUDGET or not isinstance(need, str)):
                raise ValueError(f"has {show(need)} for {name!r}; write a number from 0 on, or a text for a label")
            if not is_number and name in _COUNTED:
                raise ValueError(f"has {show(need)} for {name!r}; write how many {_COUNTED[name]}, as a number alone")
    return [dict(rule) for rule in rules]


class Limits(Section):
    """What one evaluation may use; null is no limit."""

    seconds: float | None = Field(None, gt=0, examples=[600])
    """wall time of one evaluation, in seconds"""
    memory_mb: Count | None = Field(None, examples=[4000])
    """resident memory of one evaluation, in MiB"""
    attempts: Count = Field(3, examples=[3])
    """times that an evaluation is tried when its worker is lost"""
