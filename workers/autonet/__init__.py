"""Built-in target Auto-Net: PyTorch networks for tables, with epochs as the budget.

Importing this package is cheap; PyTorch is imported by the process that trains or predicts.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .saving import load
    from .worker import AutoNet

__all__ = ["AutoNet", "load"]


def __getattr__(name: str) -> Any:
    """The public class or function, imported when it is first asked for.

    Args:
        name: Attribute that the module does not have yet.

    Raises:
        AttributeError: It is neither of them.
    """
    if name == "AutoNet":
        from .worker import AutoNet

        return AutoNet
    if name == "load":
        from .saving import load

        return load
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
