"""What an estimator learns."""

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from bohb_service.workers.tabular.columns import FloatArray


@dataclass(frozen=True, slots=True)
class Lesson:
    """Rows to learn from.

    Attributes:
        features: Shape ``(n, d)``.
        target: Numbers of classes or values, shape ``(n,)``.
        weights: Of the rows; None for equal ones.
        seed: Of what is drawn at random.
    """

    features: FloatArray
    target: NDArray[Any]
    weights: FloatArray | None
    seed: int

    @property
    def arguments(self) -> dict[str, FloatArray]:
        """What `fit` gets beside features and target."""
        return {} if self.weights is None else {"sample_weight": self.weights}

    def teach(self, estimator: Any, **beside: Any) -> None:
        """Fit an estimator.

        Args:
            estimator: Anything with scikit-learn's `fit`.
            **beside: Other arguments of its `fit`.
        """
        estimator.fit(self.features, self.target, **self.arguments, **beside)
