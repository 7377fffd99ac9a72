"""The constants of BOHB's sampler, as a study file may set them."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, Self

from bohb_service.errors import StudyError
from bohb_service.suggestions import did_you_mean


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelOptions:
    """Constants of the model-based sampler; the defaults are those of the paper's authors.

    Attributes:
        min_points_in_model: Points that the good and the bad set each need at least; raised to one more than
            dimensions are active at once. None is that number too, but then 8 good points are enough, see
            ``ModelSampler``.
        top_n_percent: Share of the observations that is called good, in percent, in (0, 100).
        num_samples: How many candidates the model ranks for one suggestion.
        random_fraction: Probability of drawing from the prior although there is a model, in [0, 1].
        bandwidth_factor: How much wider the candidates scatter than the kernels of the good density; positive.
        min_bandwidth: Floor of all bandwidths; in (0, 0.5].
        density: Which implementation of the densities to use.

    Raises:
        StudyError: A value is out of range.

    References:
        Falkner, Klein, Hutter (2018), "BOHB", arXiv:1807.01774, Algorithm 2 and appendix.
    """

    min_points_in_model: int | None = None
    top_n_percent: float = 15
    num_samples: int = 64
    random_fraction: float = 1 / 3
    bandwidth_factor: float = 3.0
    min_bandwidth: float = 1e-3
    density: Literal["own", "statsmodels"] = "own"

    def __post_init__(self) -> None:
        if self.min_points_in_model is not None:
            _check_integer("min_points_in_model", self.min_points_in_model)
        _check_integer("num_samples", self.num_samples)
        _check_number("top_n_percent", self.top_n_percent, "in (0, 100)", 0 < _number(self.top_n_percent) < 100)
        _check_number("random_fraction", self.random_fraction, "in [0, 1]", 0 <= _number(self.random_fraction) <= 1)
        _check_number(
            "bandwidth_factor", self.bandwidth_factor, "positive", 0 < _number(self.bandwidth_factor) < math.inf
        )
        _check_number("min_bandwidth", self.min_bandwidth, "in (0, 0.5]", 0 < _number(self.min_bandwidth) <= 0.5)
        if self.density not in ("own", "statsmodels"):
            raise StudyError(f"method.density: must be 'own' or 'statsmodels', got {self.density!r}")

    @classmethod
    def from_mapping(cls, options: Mapping[str, Any]) -> Self:
        """The options that ``options`` sets, with the defaults for all others.

        Raises:
            StudyError: A key is unknown, or a value out of range.
        """
        known = [field.name for field in fields(cls)]
        for key in options:
            if key not in known:
                hint = did_you_mean(key, known) or f"known are {', '.join(known)}"
                raise StudyError(f"method.{key}: no such option of the model; {hint}")
        return cls(**options)


def _number(value: Any) -> float:
    """The value, or NaN if it is not a number; NaN fails all comparisons."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else math.nan


def _check_number(name: str, value: Any, requirement: str, holds: bool) -> None:  # noqa: FBT001 - internal
    if not holds:
        raise StudyError(f"method.{name}: must be a number {requirement}, got {value!r}")


def _check_integer(name: str, value: Any) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise StudyError(f"method.{name}: must be a whole number of at least 1, got {value!r}")
