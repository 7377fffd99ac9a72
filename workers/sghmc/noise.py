"""The variance of the noise that each step adds to the momentum."""

from torch import Tensor

SMALLEST_VARIANCE = 1e-16
"""Where the formula gives less, or something negative, this is taken."""


def noise_variance(scale: Tensor, l_rate: float, mdecay: float) -> tuple[Tensor, Tensor]:
    """``2 l_rate^2 mdecay scale - l_rate^4``, at least `SMALLEST_VARIANCE`; and for how many elements it was less.

    The first term balances the friction; the second is the noise that the gradients of batches are taken to bring.
    Where the first is smaller than the second, which a small `mdecay` or a small `scale` leads to, no noise would be
    little enough: there the chain is hotter than its target, so that such elements are counted.

    Args:
        scale: Preconditioner of each parameter, above 0.
        l_rate: Above 0.
        mdecay: Share of the momentum that is lost in a step, in [0, 1].

    Returns:
        The variances, in the shape of `scale`, and the count, a tensor without dimensions.

    References:
        Springenberg, Klein, Falkner, Hutter (2016), "Bayesian Optimization with Robust Bayesian Neural Networks", eq.
        10, with the estimate of the gradient's noise set to the identity.
    """
    variance = scale.mul(2.0 * l_rate**2 * mdecay).sub_(l_rate**4)
    n_clamped = (variance < SMALLEST_VARIANCE).sum()
    return variance.clamp_(min=SMALLEST_VARIANCE), n_clamped
