"""Built-in target PPO: reinforcement learning in Gymnasium's environments, with independent trials as the budget.

Importing this package is cheap; PyTorch and Gymnasium are imported by the process that trains or acts.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .agent import Agent, load
    from .plain import train_ppo
    from .worker import PPO

__all__ = ["PPO", "Agent", "load", "train_ppo"]

_HOMES = {"PPO": "worker", "Agent": "agent", "load": "agent", "train_ppo": "plain"}


def __getattr__(name: str) -> Any:
    """The public class or function, imported when it is first asked for.

    Args:
        name: Attribute that the module does not have yet.

    Raises:
        AttributeError: It is none of them.
    """
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)
