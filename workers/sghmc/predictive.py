"""What a sample of networks predicts."""

from dataclasses import dataclass

import numpy as np

from bohb_service.workers.common.checks import named_as_arguments, number
from bohb_service.workers.common.draws import check_generator
from bohb_service.workers.tabular.columns import FloatArray

MOST_DRAWS = 10**9
"""Of a predictive distribution at once."""


@dataclass(frozen=True, slots=True)
class Predictive:
    """The predictive distribution of a regression: a mixture of normal distributions, one for each sampled network.

    Attributes:
        means: Of each network for each row, on the scale of the data, shape ``(samples, n)``.
        noise: Variance of the noise of each network, shape ``(samples,)``.
        weights: Of the networks, with sum 1, shape ``(samples,)``.
    """

    means: FloatArray
    noise: FloatArray
    weights: FloatArray

    @property
    def mean(self) -> FloatArray:
        """Of each row, shape ``(n,)``."""
        return self.weights @ self.means

    @property
    def variance(self) -> FloatArray:
        """Of each row, shape ``(n,)``: that of the means, and the mean noise."""
        return self.weights @ (self.means - self.mean) ** 2 + self.weights @ self.noise

    def moments(self) -> FloatArray:
        """Mean and variance of each row, shape ``(n, 2)``."""
        return np.stack([self.mean, self.variance], axis=1)

    def interval(self, level: float) -> tuple[FloatArray, FloatArray]:
        """Lower and upper ends of the central intervals of the normal distribution with this mean and variance.

        Args:
            level: Share of the probability inside, in (0, 1).

        Raises:
            ValueError: The level is not in (0, 1).
        """
        from scipy.stats import norm

        with named_as_arguments():
            number("level", level, 0, 1, is_open=True)
        half = float(norm.ppf(0.5 + level / 2)) * np.sqrt(self.variance)
        return self.mean - half, self.mean + half

    def sample(self, count: int, random: np.random.Generator) -> FloatArray:
        """Draws from the mixture, shape ``(count, n)``; in one draw all rows come from the same network.

        Args:
            count: Number of draws, at least 1.
            random: Of the choice of networks, and the noise.

        Raises:
            ValueError: The count is no such number.
            TypeError: ``random`` is no generator.
        """
        with named_as_arguments():
            number("count", count, 1, MOST_DRAWS, is_integer=True)
        check_generator("random", random)
        chosen = random.choice(len(self.weights), size=count, p=self.weights)
        noise = random.standard_normal((count, self.means.shape[1])) * np.sqrt(self.noise[chosen])[:, None]
        return self.means[chosen] + noise
