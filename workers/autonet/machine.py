"""Where a training runs: device and threads."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from bohb_service.errors import StudyError
from bohb_service.workers.tabular.surroundings import limited_threads


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
        raise StudyError(
            "worker_options.device: 'cuda', but PyTorch finds no such device on this machine; write auto or cpu"
        )
    return torch.device(name)


@contextmanager
def torch_threads(threads: int) -> Iterator[None]:
    """PyTorch and the other numerical libraries use this many threads inside the block; see `limited_threads`.

    Args:
        threads: At least 1.
    """
    before = torch.get_num_threads()
    with limited_threads(threads, "sklearn.linear_model"):
        torch.set_num_threads(threads)
        # Moments of units that no longer learn decay into numbers that processors are slow with.
        torch.set_flush_denormal(True)
        try:
            yield
        finally:
            torch.set_flush_denormal(False)
            torch.set_num_threads(before)
