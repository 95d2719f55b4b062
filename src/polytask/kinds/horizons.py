"""The times for which people ask survival: one, two and five years, in the unit of a survival task."""

from __future__ import annotations

import numpy as np

from polytask.array_types import Floats
from polytask.kinds.step_curves import TimeCurve, evaluate_survival

MEAN_YEAR_DAYS = 365.25
HORIZON_YEARS = (1, 2, 5)
UNITS_PER_YEAR = {"day": 365.0, "week": 52.0, "month": 12.0, "year": 1.0}
TIME_UNIT_ABBREVIATIONS = {"d": "day", "w": "week", "wk": "week", "mo": "month", "y": "year", "yr": "year"}
MIN_UNCENSORED_SHARE = 0.1
"""The metrics of a horizon are not defined if the censoring curve is below this share there."""


def count_days_per_unit(unit: str) -> float | None:
    """Count the days of one unit (days, weeks, months, years); None for any other unit."""
    per_year = _find_units_per_year(unit)
    # The usual horizons are round numbers of days (365); time that passed is counted exactly.
    return None if per_year is None else {365.0: 1.0, 52.0: 7.0}.get(per_year, MEAN_YEAR_DAYS / per_year)


def list_usual_horizons(unit: str) -> list[float]:
    """List one, two and five years in a unit (days, weeks, months, years); none for any other unit."""
    year = _find_units_per_year(unit)
    return [n * year for n in HORIZON_YEARS] if year else []


def _find_units_per_year(unit: str) -> float | None:
    word = unit.strip().lower().rstrip(".").removesuffix("s")
    return UNITS_PER_YEAR.get(TIME_UNIT_ABBREVIATIONS.get(word, word))


def list_defined_horizons(unit: str, times: Floats, events: Floats, censoring: TimeCurve) -> list[float]:
    """List the usual horizons at which metrics are defined: somebody had the event by then, somebody was followed for
    longer, and enough subjects were not censored before."""
    return [
        h
        for h in list_usual_horizons(unit)
        if ((times <= h) & (events > 0)).any()
        and (times > h).any()
        and evaluate_survival(censoring, np.array([h]))[0] >= MIN_UNCENSORED_SHARE
    ]
