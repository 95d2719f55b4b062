"""Calibrates curves of survival by percentiles (CiPOT: Qi, Yu and Greiner 2024), which keeps the ranking."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from polytask.array_types import Floats, Mask
from polytask.kinds.step_curves import estimate_kaplan_meier, evaluate_survival

MAX_KNOTS = 100


@dataclass(frozen=True)
class PercentileCalibrator:
    """Maps a predicted probability of the event to the share of patients that had it when it was predicted so.

    Args:
        predicted, observed: knots of the map, both rising between 0 and 1; straight in between.
    """

    predicted: tuple[float, ...] = ()
    observed: tuple[float, ...] = ()

    def apply(self, passed: Floats) -> Floats:
        """Calibrate probabilities of the event of any shape; NaN stays NaN."""
        # A strictly rising map: the order of patients, and that of times, stays.
        return np.interp(passed, (0.0, *self.predicted, 1.0), (0.0, *self.observed, 1.0))


def fit_percentiles(passed: Floats, seen: Mask) -> PercentileCalibrator:
    """Fit the map on the predicted probabilities `[N]` of the event by the patients' own times.

    If curves were right, these would be spread evenly between 0 and 1. Their distribution is estimated by Kaplan and
    Meier, because of a censored patient it is only known that it would have been larger, and times n / (n + 1): a new
    patient may lie beyond all others.
    """
    curve = estimate_kaplan_meier(passed, seen.astype(np.float64))
    at, observed = np.array(curve["times"]), 1 - evaluate_survival(curve, np.array(curve["times"]))
    observed = observed * len(passed) / (len(passed) + 1)
    inside = (at > 0) & (at < 1) & (observed > 0)
    at, observed = at[inside], observed[inside]
    if len(at) > MAX_KNOTS:
        kept = np.unique(np.linspace(0, len(at) - 1, MAX_KNOTS).round().astype(int))
        at, observed = at[kept], observed[kept]
    return PercentileCalibrator(tuple(at.tolist()), tuple(observed.tolist()))
