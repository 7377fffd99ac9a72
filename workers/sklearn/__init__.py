"""Built-in target: a scikit-learn multi-layer perceptron on a tabular data set, with epochs as the budget.

Importing this package is cheap; scikit-learn is imported by the process that trains, when it trains.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .mlp import SklearnMLP

__all__ = ["SklearnMLP"]


def __getattr__(name: str) -> Any:
    """The public class, imported when it is first asked for.

    Args:
        name: Attribute that the module does not have yet.

    Raises:
        AttributeError: It is not the name of the class.
    """
    if name == "SklearnMLP":
        from .mlp import SklearnMLP

        return SklearnMLP
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
