"""What surrounds a training: threads of the numerical libraries, and warnings."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module

import numpy as np


@contextmanager
def limited_threads(threads: int, module: str) -> Iterator[None]:
    """Numerical libraries use this many threads inside the block.

    The order of a floating-point sum depends on the number of threads: with a fixed one, results do not depend on the
    number of cores or on the environment, and workers that share a machine do not crowd each other.

    Args:
        threads: At least 1.
        module: Imported first, for libraries must be loaded before they can be limited.
    """
    from threadpoolctl import threadpool_limits

    import_module(module)
    with threadpool_limits(limits=threads):
        yield


@contextmanager
def torch_threads(threads: int, module: str = "torch") -> Iterator[None]:
    """PyTorch and the other numerical libraries use this many threads inside the block; see `limited_threads`.

    Args:
        threads: At least 1.
        module: As there.
    """
    import torch

    before = torch.get_num_threads()
    with limited_threads(threads, module):
        torch.set_num_threads(threads)
        # Moments of units that no longer learn decay into numbers that processors are slow with.
        torch.set_flush_denormal(True)
        try:
            yield
        finally:
            torch.set_flush_denormal(False)
            torch.set_num_threads(before)


@contextmanager
def no_warnings() -> Iterator[None]:
    """No warnings inside the block: what scikit-learn finds odd is no news to a search that tries everything."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        yield
