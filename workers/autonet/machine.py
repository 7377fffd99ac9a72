"""Where a training runs."""

import torch

from bohb_service.workers.common.checks import OptionError


def find_device(name: str) -> torch.device:
    """The device of an option.

    Args:
        name: ``auto``, ``cpu`` or ``cuda``.

    Raises:
        StudyError: There is no such device here.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and not torch.cuda.is_available():
        raise OptionError("device", "'cuda', but PyTorch finds no such device on this machine; write auto or cpu")
    return torch.device(name)
