"""Training without a study."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .hyperparameters import Hyperparameters
from .options import CARTPOLE, PPOOptions

if TYPE_CHECKING:
    from .course import Trial


def train_ppo(config: Mapping[str, Any] | None = None, env: str = CARTPOLE, seed: int = 0, **options: Any) -> "Trial":
    """One trial of a configuration.

    Args:
        config: Hyperparameters; those that it leaves out have their defaults.
        env: Name of a Gymnasium environment.
        seed: Of all that is random.
        **options: Others of `PPOOptions`.

    Raises:
        StudyError: An option or the environment is wrong.
        SpaceError: A hyperparameter is wrong.
        FloatingPointError: The training diverged.

    Example:
        >>> trial = train_ppo({"batch_size": 8, "learning_rate": 1e-2}, seed=1)
        >>> trial.is_solved, trial.agent.act([0.0, 0.0, 0.1, 0.0])
        (True, 1)
    """
    from .task import Task
    from .trial import run_trial

    parsed = PPOOptions.parse({"env": env, **options})
    parameters = Hyperparameters.from_config(config or {}, parsed.fixed)
    return run_trial(parameters, Task.of(parsed), seed)
