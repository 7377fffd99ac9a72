"""How weights and biases begin."""

from torch import nn

from .hyperparameters import Hyperparameters

_SPARSITY = 0.9
_DEVIATION = 0.01


def initialise(network: nn.Module, parameters: Hyperparameters) -> None:
    """Set the weights of all linear layers, drawing from PyTorch's global generator; ``none`` leaves all as it is.

    Args:
        network: The network.
        parameters: The initialiser, and how biases begin.
    """
    if parameters.initialiser == "none":
        return
    for layer in network.modules():
        if not isinstance(layer, nn.Linear):
            continue
        match parameters.initialiser:
            case "xavier":
                nn.init.xavier_normal_(layer.weight)
            case "kaiming":
                nn.init.kaiming_normal_(layer.weight)
            case "orthogonal":
                nn.init.orthogonal_(layer.weight)
            case "sparse":
                nn.init.sparse_(layer.weight, _SPARSITY, std=_DEVIATION)
        if parameters.bias == "zero":
            nn.init.zeros_(layer.bias)
        else:
            nn.init.normal_(layer.bias, std=_DEVIATION)
