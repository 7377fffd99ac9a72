"""Widths of layers by shape: how the units of a network are spread over its depth."""

from collections.abc import Callable, Mapping

_DROPOUT_SCALE = 1000


def layer_units(shape: str, n_in: int, n_out: int, most: int, layers: int) -> list[int]:
    """The number of units of each layer, the last one's being `n_out`.

    The widest layer has ``m = max(n_in, most)`` units. In a step from layer to layer, fractions of units are cut off,
    and a step in the wrong direction is 0.

    Args:
        shape: One of `SHAPES`.
        n_in: Width of the input.
        n_out: Width of the last layer.
        most: Largest number of units.
        layers: How many layers there are, at least 1.
    """
    widest = max(n_in, most)
    return [*SHAPES[shape](n_in, n_out, widest, layers)[: layers - 1], n_out]


def layer_dropout(shape: str, most: float, layers: int) -> list[float]:
    """The dropout rate of each layer: the shape between 0 and `most`, in thousandths of it; the last one's is 0.

    Args:
        shape: One of `SHAPES`.
        most: Largest rate, in [0, 1].
        layers: How many layers there are, at least 1.
    """
    units = layer_units(shape, 0, 0, _DROPOUT_SCALE, layers)
    return [count / _DROPOUT_SCALE * most for count in units]


def _step(high: int, low: int, layers: int) -> int:
    return max(0, int((high - low) / (layers - 1)))


def _brick(_in: int, n_out: int, widest: int, layers: int) -> list[int]:
    return [widest] * (layers - 1) + [n_out] if layers > 0 else []


def _funnel(_in: int, n_out: int, widest: int, layers: int) -> list[int]:
    if layers < 2:
        return [n_out] * layers
    step = _step(widest, n_out, layers)
    return [*(widest - i * step for i in range(layers - 1)), n_out]


def _triangle(n_in: int, n_out: int, widest: int, layers: int) -> list[int]:
    if layers < 2:
        return [n_out] * layers
    step = _step(widest, n_in, layers)
    return [*(n_in + i * step for i in range(1, layers - 1)), widest, n_out]


def _long_funnel(n_in: int, n_out: int, widest: int, layers: int) -> list[int]:
    flat = layers // 2
    return _brick(n_in, widest, widest, flat) + _funnel(n_in, n_out, widest, layers - flat)


def _diamond(n_in: int, n_out: int, widest: int, layers: int) -> list[int]:
    if layers < 2:
        return [n_out]
    rising = layers // 2 + 1
    # A triangle ends with the peak, twice; the funnel begins with it.
    slope = _triangle(n_in, widest, widest, rising)[:-2]
    return slope + _funnel(widest, n_out, widest, layers - len(slope))


def _hexagon(n_in: int, n_out: int, widest: int, layers: int) -> list[int]:
    if layers < 2:
        return [n_out]
    slope = layers // 3 + 1
    rising = _triangle(n_in, widest, widest, slope)
    flat = _brick(widest, widest, widest, layers - 2 * slope)
    return rising + flat + _funnel(widest, n_out, widest, slope)


def _stairs(_in: int, n_out: int, widest: int, layers: int) -> list[int]:
    if layers < 2:
        return [n_out]
    step = 2 * _step(widest, n_out, layers)
    steps = [widest - i * step for i in range(1, layers // 2) for _ in range(2)]
    return [widest] * (1 + layers % 2) + steps + [n_out]


SHAPES: Mapping[str, Callable[[int, int, int, int], list[int]]] = {
    "funnel": _funnel,
    "long_funnel": _long_funnel,
    "diamond": _diamond,
    "hexagon": _hexagon,
    "brick": _brick,
    "triangle": _triangle,
    "stairs": _stairs,
}
"""Units of the layers, of (input, last layer, widest layer, number of layers)."""
