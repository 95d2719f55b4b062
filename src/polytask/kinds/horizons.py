"""The times for which people ask survival: one, two and five years, in the unit of a survival task."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from polytask.kinds.curves import Curve, survival_at

YEARS = (1, 2, 5)
A_YEAR = {"day": 365.0, "week": 52.0, "month": 12.0, "year": 1.0}
SHORT = {"d": "day", "w": "week", "wk": "week", "mo": "month", "y": "year", "yr": "year"}
LEAST_UNCENSORED = 0.1
"""The metrics of a horizon are not defined if the censoring curve is below this share there."""
Floats = npt.NDArray[np.float64]


def usual_horizons(unit: str) -> list[float]:
    """List one, two and five years in a unit (days, weeks, months, years); none for any other unit."""
    word = unit.strip().lower().rstrip(".").removesuffix("s")
    year = A_YEAR.get(SHORT.get(word, word))
    return [n * year for n in YEARS] if year else []


def defined_horizons(unit: str, times: Floats, events: Floats, censoring: Curve) -> list[float]:
    """List the usual horizons at which metrics are defined: somebody had the event by then, somebody was followed for
    longer, and enough subjects were not censored before."""
    return [
        h
        for h in usual_horizons(unit)
        if ((times <= h) & (events > 0)).any()
        and (times > h).any()
        and survival_at(censoring, np.array([h]))[0] >= LEAST_UNCENSORED
    ]
