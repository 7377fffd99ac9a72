"""Agents at work, without learning."""

import numpy as np

from bohb_service.workers.common.draws import derived_seed

from .agent import Agent
from .environments import make_environment
from .task import Task


def mean_return(agent: Agent, task: Task, seed: int) -> float:
    """Mean sum of rewards of as many episodes as the option ``window`` says, with the likeliest actions.

    An episode without an end counts up to as many steps as the option ``steps`` says.

    Args:
        agent: Acts.
        task: What it does.
        seed: Of the episodes.

    Raises:
        StudyError: The environment cannot be made.
    """
    options = task.options
    environment = make_environment(options.env, options.env_kwargs, options.max_episode_steps)
    totals = []
    try:
        for number in range(options.window):
            observation, _ = environment.reset(seed=derived_seed(seed, number))
            total, is_over = 0.0, False
            # The likeliest actions may go in a circle, which drawn ones leave.
            for _ in range(options.steps):
                if is_over:
                    break
                observation, reward, terminated, truncated, _ = environment.step(agent.act(observation))
                total += float(reward)
                is_over = terminated or truncated
            totals.append(total)
    finally:
        environment.close()
    return float(np.mean(totals))
