"""What an agent has to do: an environment, and when that is done."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from bohb_service.workers.common.versions import versions

from .environments import (
    Interface,
    check_length,
    identity,
    interface_of,
    make_environment,
    registered,
    solved_return,
    source_digest,
)
from .options import CARTPOLE, PPOOptions

_CARTPOLE_STEPS = 200
"""Longest episode of the published benchmark."""


@dataclass(frozen=True, slots=True)
class Task:
    """An environment, and when a trial in it ends.

    Attributes:
        options: Of the target, with the longest episode of the published benchmark where that is meant.
        interface: Of the environment.
        threshold: Mean return at which it is solved; None: that does not matter.
    """

    options: PPOOptions
    interface: Interface
    threshold: float | None

    @classmethod
    def of(cls, options: PPOOptions) -> "Task":
        """The task of these options.

        Args:
            options: Of the target.

        Raises:
            StudyError: The environment cannot be made or not be used, or does not say when it is solved.
        """
        if options.max_episode_steps is None and options.loss == "episodes" and registered(options.env).id == CARTPOLE:
            options = replace(options, max_episode_steps=_CARTPOLE_STEPS)
        environment = make_environment(options.env, options.env_kwargs, options.max_episode_steps)
        try:
            interface = interface_of(options.env, environment)
            threshold = options.solved_at
            if options.loss == "episodes":
                check_length(options.env, environment)
                threshold = solved_return(options.env, environment) if threshold is None else threshold
            return cls(options, interface, None if threshold is None else float(threshold))
        finally:
            environment.close()

    @property
    def facts(self) -> Mapping[str, Any]:
        """All that the course of a trial depends on, beside agent and seed."""
        facts = asdict(self.options)
        for name in ("space", "fixed", "model"):
            del facts[name]
        return {
            **facts,
            "threshold": self.threshold,
            "env": identity(self.options.env),
            "update": self.options.update_unit,
            "source": source_digest(self.options.env),
            "versions": versions("numpy", "torch", "gymnasium"),
        }
