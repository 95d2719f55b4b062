"""The times people ask for: one, two and five years, in the unit of a survival task."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from polytask.kinds.curves import Curve, survival_at

YEARS = (1, 2, 5)
A_YEAR = {"day": 365.0, "week": 52.0, "month": 12.0, "year": 1.0}
SHORT = {"d": "day", "w": "week", "wk": "week", "mo": "month", "y": "year", "yr": "year"}
LEAST_UNCENSORED = 0.1
"""Where fewer than this share are uncensored, a horizon's metrics are not defined."""
Floats = npt.NDArray[np.float64]


def usual_horizons(unit: str) -> list[float]:
    """One, two and five years in a unit (days, weeks, months, years); none in another unit."""
    word = unit.strip().lower().rstrip(".").removesuffix("s")
    year = A_YEAR.get(SHORT.get(word, word))
    return [n * year for n in YEARS] if year else []


def defined_horizons(unit: str, times: Floats, events: Floats, censoring: Curve) -> list[float]:
    """Those of the usual horizons by which somebody had the event, somebody was followed beyond, and enough were not
    censored before."""
    return [
        h
        for h in usual_horizons(unit)
        if ((times <= h) & (events > 0)).any()
        and (times > h).any()
        and survival_at(censoring, np.array([h]))[0] >= LEAST_UNCENSORED
    ]
