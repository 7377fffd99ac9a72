"""The options of the target, checked before anything is loaded."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from bohb_service.errors import SpaceError
from bohb_service.workers.common.checks import OptionError, known, number, one_of, text
from bohb_service.workers.common.shown import pythonic, shown

from .hyperparameters import Hyperparameters, check_value
from .spaces import SPACES

TARGET = "ppo"
"""Name of the target in study files and saved agents."""

CARTPOLE = "CartPole-v1"

Loss = Literal["episodes", "final_return", "area"]
Update = Literal["episodes", "steps"]


@dataclass(frozen=True, slots=True)
class PPOOptions:
    """What is learned, and how it is judged.

    Attributes:
        env: Name of a Gymnasium environment; ``module:name`` or ``path/to/file.py:name`` imports that first.
        env_kwargs: Arguments of the environment.
        max_episode_steps: Longest episode; None: as the environment says, or with the loss ``episodes``
            200 for CartPole-v1, as published.
        space: One of `SPACES`.
        loss: ``episodes`` until the task is solved; or minus the ``final_return``, or minus the ``area`` under the
            learning curve, of a fixed number of environment steps.
        solved_at: Mean return at which the task is solved; None: as the environment says.
        window: Episodes that this mean, and that of the learning curve, is taken over.
        max_episodes: Most episodes of a trial, and its value if the task is not solved, with the loss ``episodes``.
        steps: Environment steps of a trial, with the other losses.
        update: After each ``batch_size`` ``episodes``, or after each ``rollout_steps`` ``steps``. By default episodes
            for the loss ``episodes``, else steps.
        n_envs: Environments that are acted on at once; None: all episodes of an update, or 8 with ``update: steps``.
        fixed: Hyperparameters that are not tuned, with their values.
        threads: Processor threads of one trial.
        model: Folder for the final agent; by default ``model`` in the directory of the incumbent.
    """

    env: str = CARTPOLE
    env_kwargs: Mapping[str, Any] = field(default_factory=dict)
    max_episode_steps: int | None = None
    space: str = "small"
    loss: Loss = "episodes"
    solved_at: float | None = None
    window: int = 20
    max_episodes: int = 3000
    steps: int = 100_000
    update: Update | None = None
    n_envs: int | None = None
    fixed: Mapping[str, Any] = field(default_factory=dict)
    threads: int = 1
    model: str | None = None

    @classmethod
    def parse(cls, options: Mapping[str, Any]) -> "PPOOptions":
        """The options of a study file.

        Args:
            options: ``worker_options``.

        Raises:
            StudyError: A name or a value is wrong.
        """
        known(options, [entry.name for entry in fields(cls)])
        made = cls(**pythonic(options))
        made._check()
        return made

    @property
    def update_unit(self) -> Update:
        """What ends a rollout."""
        return self.update or ("episodes" if self.loss == "episodes" else "steps")

    def parameters(self, config: Mapping[str, Any]) -> Hyperparameters:
        """The hyperparameters of a configuration, with those that are fixed.

        Args:
            config: Plain values of others; all else keeps its default.

        Raises:
            SpaceError: A hyperparameter is unknown, has no effect, is fixed too, or its value is impossible.
        """
        dead = "batch_size" if self.update_unit == "steps" else "rollout_steps"
        if dead in config:
            raise SpaceError(f"hyperparameter {dead!r} has no effect with `update: {self.update_unit}`; leave it out")
        for name in config:
            if name in self.fixed:
                raise SpaceError(f"hyperparameter {name!r} is in the configuration and in `fixed`; choose one")
        return Hyperparameters.from_config(config, self.fixed)

    def _check(self) -> None:
        text("env", self.env)
        if self.model is not None:
            text("model", self.model)
        for key in ("env_kwargs", "fixed"):
            if not isinstance(getattr(self, key), Mapping):
                raise OptionError(key, f"must be a mapping of names to values, not {shown(getattr(self, key))}")
        one_of("space", self.space, tuple(SPACES))
        one_of("loss", self.loss, ("episodes", "final_return", "area"))
        one_of("update", self.update, (None, "episodes", "steps"))
        if self.max_episode_steps is not None:
            number("max_episode_steps", self.max_episode_steps, 1, 10**7, is_integer=True)
        if self.solved_at is not None:
            number("solved_at", self.solved_at, -1e12, 1e12)
        if self.n_envs is not None:
            number("n_envs", self.n_envs, 1, 4096, is_integer=True)
        number("window", self.window, 1, 10**5, is_integer=True)
        number("max_episodes", self.max_episodes, 1, 10**7, is_integer=True)
        if self.loss == "episodes" and self.window > self.max_episodes:
            raise OptionError(
                "window",
                f"{self.window} episodes are more than the {self.max_episodes} of max_episodes, so that nothing could "
                "be solved; lower the one or raise the other",
            )
        number("steps", self.steps, 1, 10**10, is_integer=True)
        number("threads", self.threads, 1, 1024, is_integer=True)
        for name, value in self.fixed.items():
            check_value(name, value)
