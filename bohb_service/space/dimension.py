"""What the optimiser sees of a hyperparameter."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Dimension:
    """One column of encoded configurations.

    Attributes:
        name: Name of the hyperparameter.
        kind: Continuous, integer and ordinal columns lie in [0, 1]; a categorical column holds an index from 0 to
            ``levels - 1``.
        levels: Number of values of an integer, ordinal or categorical hyperparameter; 0 if continuous.
    """

    name: str
    kind: Literal["continuous", "integer", "ordinal", "categorical"]
    levels: int
