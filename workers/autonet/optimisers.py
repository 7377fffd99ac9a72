"""The optimisers, in PyTorch's fastest form that computes the same bits each time."""

from collections.abc import Iterable

import torch
from torch import Tensor

from .hyperparameters import Hyperparameters


def make_optimizer(parameters: Hyperparameters, weights: Iterable[Tensor]) -> torch.optim.Optimizer:
    """The optimiser of these weights; the learning rate is set before each step.

    Args:
        parameters: Its name and settings.
        weights: What it moves, all on one device.
    """
    p = parameters
    match p.optimizer:
        case "sgd":
            return torch.optim.SGD(
                weights, p.learning_rate, momentum=p.momentum, weight_decay=p.weight_decay, fused=True
            )
        case "rmsprop":
            return torch.optim.RMSprop(
                weights,
                p.learning_rate,
                alpha=p.rmsprop_alpha,
                momentum=p.momentum,
                weight_decay=p.weight_decay,
                foreach=True,
            )
    kind = torch.optim.AdamW if p.optimizer == "adamw" else torch.optim.Adam
    return kind(weights, p.learning_rate, betas=(p.beta1, p.beta2), weight_decay=p.weight_decay, fused=True)
