"""Whether chains agree, and how many independent draws a sample is worth; by ArviZ."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from bohb_service.workers.common.surroundings import no_warnings
from bohb_service.workers.tabular.columns import FloatArray

LEAST_DRAWS = 4
"""Of each chain; fewer tell nothing."""


@dataclass(frozen=True, slots=True)
class Diagnostics:
    """Of a quantity with several values.

    Attributes:
        r_hat: Rank-normalised split R-hat of each value: 1 where the chains agree, above 1.01 they have not converged.
        ess_bulk: Effective sample size of the middle of the distribution of each value.
        ess_tail: Effective sample size of its tails.
    """

    r_hat: FloatArray
    ess_bulk: FloatArray
    ess_tail: FloatArray

    @property
    def worst_r_hat(self) -> float:
        """The largest; NaN if all values are constant."""
        return float(np.fmax.reduce(self.r_hat.ravel()))

    @property
    def least_ess(self) -> float:
        """The smallest of middle and tails; NaN if all values are constant."""
        return float(np.fmin.reduce(np.concatenate([self.ess_bulk.ravel(), self.ess_tail.ravel()])))


def diagnose(traces: Mapping[str, FloatArray]) -> dict[str, Diagnostics]:
    """Diagnostics of each quantity; NaN where a value is the same in all draws.

    Args:
        traces: Values by name, of shape ``(chains, draws, ...)``; at least 4 draws.

    Raises:
        ValueError: There are fewer draws.

    References:
        Vehtari, Gelman, Simpson, Carpenter, Buerkner (2021), "Rank-normalization, folding, and localization".
    """
    for name, trace in traces.items():
        if trace.shape[1] < LEAST_DRAWS:
            raise ValueError(
                f"{name}: {trace.shape[1]} draws of each chain are too few to diagnose; {LEAST_DRAWS} are needed: "
                "raise the number of steps, or lower keep_every"
            )
    with no_warnings():
        import arviz

        data = arviz.convert_to_dataset({name: np.ascontiguousarray(trace) for name, trace in traces.items()})
        r_hat = arviz.rhat(data)
        bulk, tail = (arviz.ess(data, method=method) for method in ("bulk", "tail"))
    return {
        name: Diagnostics(np.asarray(r_hat[name]), np.asarray(bulk[name]), np.asarray(tail[name])) for name in traces
    }
