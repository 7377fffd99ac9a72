"""The search space: the bridge between ConfigSpace and arrays, and the only module that knows ConfigSpace.

`SearchSpace` turns configurations into rows of numbers and back, `read_space` reads spaces from study files and from
files of ConfigSpace. Nothing here knows about budgets, trials, or models.
"""

from bohb_service.space.dimension import BoolArray, Dimension, FloatArray
from bohb_service.space.extremes import extremes
from bohb_service.space.reading import read_space
from bohb_service.space.search_space import SearchSpace

__all__ = ["BoolArray", "Dimension", "FloatArray", "SearchSpace", "extremes", "read_space"]
