"""Returns and advantages of stretches of episodes."""

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


def discounted_sums(values: FloatArray, factor: float) -> FloatArray:
    """At each step the sum of this and all later values, each multiplied by the factor once per step of delay.

    Args:
        values: Shape ``(n,)``.
        factor: In [0, 1].
    """
    from scipy.signal import lfilter

    sums: FloatArray = lfilter([1.0], [1.0, -factor], values[::-1])[::-1]
    return sums


def estimate(
    rewards: FloatArray, values: FloatArray, last_value: float, *, discount: float, gae_lambda: float
) -> tuple[FloatArray, FloatArray]:
    """Advantages and targets of the value network for steps that follow each other in one episode.

    Generalised advantage estimation (Schulman et al. 2016): the discounted sum, by ``discount * gae_lambda``, of
    ``reward + discount * next value - value``. With ``gae_lambda`` 1 this is the discounted return less the value.

    Args:
        rewards: Of each step, shape ``(n,)``.
        values: Of the states before each step, shape ``(n,)``.
        last_value: Of the state after the last step: 0 if the episode has terminated there; otherwise, where it was cut
            off by a time limit or by the end of the rollout, what the value network expects.
        discount: In [0, 1].
        gae_lambda: In [0, 1].

    Returns:
        Advantages, and their sums with the values: discounted returns, if `gae_lambda` is 1.
    """
    errors = rewards + discount * np.append(values[1:], last_value) - values
    advantages = discounted_sums(errors, discount * gae_lambda)
    return advantages, advantages + values
