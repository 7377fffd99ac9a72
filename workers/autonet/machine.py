"""Where a training runs: device and threads."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from bohb_service.errors import StudyError


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
def limited_threads(threads: int) -> Iterator[None]:
    """Numerical libraries use this many threads inside the block.

    The order of a floating-point sum depends on the number of threads: with a fixed one, results do not depend on the
    number of cores or on the environment, and workers that share a machine do not crowd each other.

    Args:
        threads: At least 1.
    """
    import sklearn.linear_model  # noqa: F401 (its libraries must be loaded before they can be limited)
    from threadpoolctl import threadpool_limits

    before = torch.get_num_threads()
    with threadpool_limits(limits=threads):
        torch.set_num_threads(threads)
        # Moments of units that no longer learn decay into numbers that processors are slow with.
        torch.set_flush_denormal(True)
        try:
            yield
        finally:
            torch.set_flush_denormal(False)
            torch.set_num_threads(before)
