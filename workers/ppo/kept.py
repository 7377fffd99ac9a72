"""Trials that are done, kept in the directory of their configuration."""

from pathlib import Path
from typing import Any

import numpy as np

from bohb_service.workers.common.checkpoint import Checkpoint, keep_checkpoint, load_checkpoint

from .agent import Agent
from .course import Trial
from .environments import Interface
from .normalisation import Eyes

_AGENT = "agent."


def keep_trial(path: Path, mark: str, trial: Trial) -> dict[str, Any]:
    """Keep a trial, if that is possible.

    Args:
        path: The file.
        mark: Text that is equal for two trials exactly if they take the same course.
        trial: What came out of it.

    Returns:
        What there is to tell of it, as `keep_checkpoint`.
    """
    arrays = {f"{_AGENT}{name}": array for name, array in trial.agent.arrays().items()}
    if trial.agent.eyes is not None:
        arrays |= {"mean": trial.agent.eyes.mean, "deviation": trial.agent.eyes.deviation}
    facts = np.array([trial.loss, trial.is_solved, trial.n_steps])
    state = {**arrays, "facts": facts, "returns": trial.returns, "lengths": trial.lengths}
    return keep_checkpoint(path, mark, Checkpoint(np.zeros(1), state))


def load_trial(path: Path, mark: str, activations: tuple[str, str], interface: Interface) -> Trial | None:
    """The trial that was kept, or None if there is none, or that of another course.

    Args:
        path: The file.
        mark: As for `keep_trial`.
        activations: Of the agent's hidden layers.
        interface: Of the environment.
    """
    kept = load_checkpoint(path, mark, 1)
    if kept is None:
        return None
    state = kept.arrays
    eyes = Eyes(state["mean"], state["deviation"]) if "mean" in state else None
    arrays = {name.removeprefix(_AGENT): array for name, array in state.items() if name.startswith(_AGENT)}
    agent = Agent.from_arrays(arrays, activations, interface, eyes)
    loss, is_solved, n_steps = state["facts"].tolist()
    return Trial(loss, bool(is_solved), state["returns"], state["lengths"], int(n_steps), agent)
