"""What the policy maximises at each step: the clipped objective, and its slope."""

import torch
from torch import Tensor


def clipped_objective(ratio: Tensor, advantages: Tensor, clipping: float) -> Tensor:
    """The smaller one of ``ratio * advantage`` with and without the ratio clipped (Schulman et al. 2017), each step.

    Args:
        ratio: Probability of the action now per probability when it was taken, shape ``(n,)``.
        advantages: Shape ``(n,)``.
        clipping: Largest rewarded distance of the ratio from 1.
    """
    return torch.minimum(ratio * advantages, ratio.clamp(1 - clipping, 1 + clipping) * advantages)


def objective_slope(ratio: Tensor, advantages: Tensor, clipping: float) -> Tensor:
    """Derivative of `clipped_objective` with respect to the logarithm of the probability of the action now.

    Where both are equal the ratio counts as not clipped: with clipping 0 the first step still has a slope.

    Args:
        ratio: As there.
        advantages: As there.
        clipping: As there.
    """
    is_free = torch.where(advantages >= 0, ratio <= 1 + clipping, ratio >= 1 - clipping)
    # Not a product: a clipped ratio may be infinite.
    return torch.where(is_free, ratio * advantages, 0.0)
