"""The scale of a regression's target, and what a linear fit leaves unexplained."""

from dataclasses import dataclass

import numpy as np

from bohb_service.workers.tabular.columns import FloatArray

_SMALLEST_SHARE = 1e-6
"""Least share of the variance that is taken to be noise at the start; a linear fit may be exact."""


@dataclass(frozen=True, slots=True)
class TargetScale:
    """Mean and deviation of the training targets.

    Attributes:
        mean: Of the values.
        deviation: Of the values, above 0; 1 if all are the same.
    """

    mean: float = 0.0
    deviation: float = 1.0

    @classmethod
    def of(cls, target: FloatArray) -> "TargetScale":
        """The scale of these values.

        Args:
            target: Values, shape ``(n,)``.
        """
        mean, deviation = float(target.mean()), float(target.std())
        return cls(mean, deviation if deviation > 1e-12 * abs(mean) else 1.0)

    def standardised(self, target: FloatArray) -> FloatArray:
        """The values with mean 0 and deviation 1."""
        return (target - self.mean) / self.deviation


def residual_variance(inputs: FloatArray, target: FloatArray) -> float:
    """The unbiased estimate of the variance around the best linear function of the inputs; at least 1e-6.

    With as many columns as rows, or more, it is the half of the variance of the target: a linear fit tells nothing
    then.

    Args:
        inputs: Standardised, shape ``(n, d)``.
        target: Standardised, shape ``(n,)``.
    """
    design = np.concatenate([np.ones((len(inputs), 1)), inputs], axis=1)
    solution, _, rank, _ = np.linalg.lstsq(design, target, rcond=None)
    if rank >= len(target):
        return max(0.5 * float(target.var()), _SMALLEST_SHARE)
    residual = target - design @ solution
    return max(float(residual @ residual) / (len(target) - int(rank)), _SMALLEST_SHARE)
