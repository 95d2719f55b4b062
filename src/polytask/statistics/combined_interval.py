"""Intervals of sums and differences of measures that have intervals of their own."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from polytask.array_types import Floats


def combine_intervals(
    weights: npt.ArrayLike,
    estimates: npt.ArrayLike,
    lows: npt.ArrayLike,
    highs: npt.ArrayLike,
    correlations: npt.ArrayLike,
) -> tuple[float, float]:
    """Find the interval of Σ weight · estimate by the method of variance estimates recovered (Zou and Donner 2008).

    An interval says how far its measure may lie on each side, also where it is skewed or ends at a bound. The distances
    on the side that lowers (raises) the sum are added like standard errors:

        low = Σ w θ − √(Σ_kl r_kl w_k d_k w_l d_l),    d = θ − low where w > 0, high − θ where w < 0.

    For the difference of two shares this is Newcombe's interval of 1998.

    Args:
        weights, estimates, lows, highs: `[measures]`; a difference has the weights 1 and −1.
        correlations: `[measures, measures]` of the estimates, see `find_correlations`.
    """
    w, middle, low, high = (np.asarray(x, np.float64) for x in (weights, estimates, lows, highs))
    r = np.asarray(correlations, np.float64)
    value = float(w @ middle)
    down = w * np.where(w > 0, middle - low, high - middle)
    up = w * np.where(w > 0, high - middle, middle - low)
    reach = [float(np.sqrt(max(0.0, float(d @ r @ d)))) for d in (down, up)]
    return value - reach[0], value + reach[1]


def find_correlations(influences: Sequence[Floats]) -> Floats:
    """Find the correlation of estimates `[measures, measures]` from how much every subject moves each (`[subjects]`).

    A measure that no subject moves (everything answered right) is correlated with none.
    """
    products = np.stack(influences) @ np.stack(influences).T
    size = np.sqrt(np.diag(products))
    scale = np.outer(size, size)
    correlations = np.where(scale > 0, products / np.where(scale > 0, scale, 1.0), 0.0)
    np.fill_diagonal(correlations, 1.0)
    return np.asarray(np.clip(correlations, -1.0, 1.0), np.float64)
