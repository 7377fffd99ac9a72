"""Built-in target PPO: reinforcement learning in Gymnasium's environments, with independent trials as the budget.

Importing this package is cheap; PyTorch and Gymnasium are imported by the process that trains or acts.
"""

from typing import TYPE_CHECKING

from bohb_service.workers.common.lazy import lazy_names

if TYPE_CHECKING:
    from .agent import Agent, load
    from .plain import train_ppo
    from .worker import PPO

__all__ = ["PPO", "Agent", "load", "train_ppo"]

__getattr__ = lazy_names(__name__, {"PPO": "worker", "Agent": "agent", "load": "agent", "train_ppo": "plain"})
