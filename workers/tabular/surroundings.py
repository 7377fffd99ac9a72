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
def no_warnings() -> Iterator[None]:
    """No warnings inside the block: what scikit-learn finds odd is no news to a search that tries everything."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        yield
