"""Training without a study."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from bohb_service.errors import StudyError
from bohb_service.workers.common.checks import named_as_arguments, number
from bohb_service.workers.common.draws import LARGEST_SEED
from bohb_service.workers.common.shown import pythonic, shown

from .options import CARTPOLE, PPOOptions

if TYPE_CHECKING:
    from .course import Trial


def train_ppo(config: Mapping[str, Any] | None = None, env: str = CARTPOLE, seed: int = 0, **options: Any) -> "Trial":
    """One trial of a configuration.

    Args:
        config: Hyperparameters; those that it leaves out have their defaults.
        env: Name of a Gymnasium environment.
        seed: Of all that is random, in ``[0, 2**31)``.
        **options: Others of `PPOOptions`.

    Raises:
        StudyError: An argument or the environment is wrong.
        SpaceError: A hyperparameter is wrong, has no effect, or is among ``fixed`` too.
        FloatingPointError: The training diverged.

    Example:
        >>> trial = train_ppo({"batch_size": 8, "learning_rate": 1e-2}, seed=1)
        >>> trial.is_solved, trial.agent.act([0.0, 0.0, 0.1, 0.0])
        (True, 1)
    """
    from .task import Task
    from .trial import run_trial

    if config is not None and not isinstance(config, Mapping):
        raise StudyError(f"config: must be a mapping of hyperparameters to values, not {shown(config)}")
    with named_as_arguments(StudyError):
        number("seed", seed, 0, LARGEST_SEED, is_integer=True)
        parsed = PPOOptions.parse({"env": env, **options})
        return run_trial(parsed.parameters(config or {}), Task.of(parsed), pythonic(seed))
