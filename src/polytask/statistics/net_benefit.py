"""Decision curves: the net benefit of acting on a probability, compared with acting on all cases and on none."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from polytask.array_types import Floats

CURVE_THRESHOLDS = tuple(k / 100 for k in range(1, 100))
"""Threshold probabilities at which a curve is drawn."""


class DecisionCurve(NamedTuple):
    """The net benefit by threshold, in true positives per case (the net benefit of acting on nobody is 0).

    Args:
        thresholds: probabilities above which one would act `[T]`.
        model: acting where the predicted probability is at least the threshold `[T]`.
        everybody: acting on all cases `[T]`.
        n, positives: number of cases, and how many of them have the event.
    """

    thresholds: Floats
    model: Floats
    everybody: Floats
    n: int
    positives: int


def compute_net_benefit(
    p: npt.ArrayLike, happened: npt.ArrayLike, thresholds: npt.ArrayLike = CURVE_THRESHOLDS
) -> DecisionCurve:
    """Compute TP/n − FP/n · t/(1 − t) for every threshold t (Vickers and Elkin 2006).

    The threshold tells what a false alarm costs: a person who acts at 20 % or more considers one case treated in time
    to be worth four cases treated unnecessarily.

    Args:
        p: predicted probability of the event `[N]`. happened: `[N]`. thresholds: strictly between 0 and 1 `[T]`.
    """
    probability, truth = np.asarray(p, np.float64), np.asarray(happened, bool)
    at = np.asarray(thresholds, np.float64)
    n, positives = truth.size, int(truth.sum())
    if not n:
        empty = np.full(at.shape, np.nan)
        return DecisionCurve(at, empty, empty, 0, 0)
    acted = probability[None, :] >= at[:, None]
    odds = at / (1 - at)
    hits, alarms = (acted & truth).sum(1), (acted & ~truth).sum(1)
    model = hits / n - alarms / n * odds
    everybody = positives / n - (n - positives) / n * odds
    return DecisionCurve(at, model, everybody, n, positives)
