"""Estimates survival curves as plain step functions: Kaplan–Meier, censoring, Breslow, discrete intervals. No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from polytask.array_types import Floats

Bools = npt.NDArray[np.bool_]
TimeCurve = dict[str, tuple[float, ...]]
"""A step function with two keys: `times` in ascending order, and `survival` or `hazard` with the value from each time
on."""


def _convert_times_and_events(
    times: Sequence[float] | Floats, events: Sequence[float] | Floats
) -> tuple[Floats, Bools]:
    return np.asarray(times, dtype=np.float64), np.asarray(events, dtype=np.float64) > 0


def evaluate_step_curve(
    times: Sequence[float], values: Sequence[float], at: Floats, start: float, left: bool = False
) -> Floats:
    """Evaluate a step function at the times `at`; it is `start` before its first time.

    With `left` the result is the left limit: a step at exactly that time does not count yet.
    """
    index = np.searchsorted(np.asarray(times, np.float64), at, side="left" if left else "right")
    return np.asarray(np.concatenate([[start], np.asarray(values, np.float64)])[index], dtype=np.float64)


def estimate_kaplan_meier(times: Sequence[float] | Floats, events: Sequence[float] | Floats) -> TimeCurve:
    """Estimate survival by Kaplan–Meier, with one step at each distinct event time."""
    t, e = _convert_times_and_events(times, events)
    at = np.unique(t[e])
    ordered, happened = np.sort(t), np.sort(t[e])
    at_risk = t.size - np.searchsorted(ordered, at, side="left")
    deaths = np.searchsorted(happened, at, side="right") - np.searchsorted(happened, at, side="left")
    survival = np.cumprod(1 - deaths / np.maximum(at_risk, 1))
    return {"times": tuple(at.tolist()), "survival": tuple(survival.tolist())}


def estimate_censoring(times: Sequence[float] | Floats, events: Sequence[float] | Floats) -> TimeCurve:
    """Estimate the censoring curve by Kaplan–Meier: G(t) = P(not censored up to and including t).

    At equal times an event comes before a censoring.
    """
    t, e = _convert_times_and_events(times, events)
    at = np.unique(t[~e])
    ordered, happened, lost = np.sort(t), np.sort(t[e]), np.sort(t[~e])
    at_risk = t.size - np.searchsorted(ordered, at, side="left")
    died = np.searchsorted(happened, at, side="right") - np.searchsorted(happened, at, side="left")
    censored = np.searchsorted(lost, at, side="right") - np.searchsorted(lost, at, side="left")
    # Those with an event at the same time are no longer at risk of being censored.
    survival = np.cumprod(1 - censored / np.maximum(at_risk - died, 1))
    return {"times": tuple(at.tolist()), "survival": tuple(survival.tolist())}


def estimate_breslow_hazard(
    risk: Sequence[float] | Floats, times: Sequence[float] | Floats, events: Sequence[float] | Floats
) -> TimeCurve:
    """Estimate the cumulative baseline hazard for log hazard ratios `risk [N]` by Breslow's method.

    It is the sum over event times of (number of events) / (sum of exp(risk) over those at risk). If all risks are 0,
    this is the Nelson–Aalen estimate. The curve ends at the longest follow-up.
    """
    t, e = _convert_times_and_events(times, events)
    order = np.argsort(-t, kind="stable")
    # Sorted from the longest time down, so that the cumulative sum at a time runs over its risk set. The exponent is
    # limited, because a single absurd score would make all sums infinite.
    ahead = np.cumsum(np.exp(np.clip(np.asarray(risk, np.float64)[order], -50, 50)))
    at, deaths = np.unique(t[e], return_counts=True)
    last = np.searchsorted(-t[order], -at, side="right") - 1
    hazard = np.cumsum(deaths / ahead[last])
    # A last point without a step: it says up to which time somebody was followed, see `evaluate_hazard`.
    if t.size and (not at.size or t.max() > at[-1]):
        at, hazard = np.append(at, t.max()), np.append(hazard, hazard[-1] if hazard.size else 0.0)
    return {"times": tuple(at.tolist()), "hazard": tuple(hazard.tolist())}


def evaluate_hazard(curve: Mapping[str, Sequence[float]], at: Floats) -> Floats:
    """Evaluate a cumulative `hazard` curve at the times `at`; NaN after its last time, where nobody was followed."""
    end = max(curve["times"], default=0.0)
    return np.where(
        np.asarray(at) <= end, evaluate_step_curve(curve["times"], curve["hazard"], at, 0.0), np.nan
    )


def measure_risk_sets(times: Floats, events: Floats) -> tuple[Floats, Floats]:
    """Return two arrays over all events: the number of subjects at risk, and the position (0, 1, …) among tied ones."""
    t, e = _convert_times_and_events(times, events)
    at = np.sort(t[e])
    sizes = t.size - np.searchsorted(np.sort(t), at, side="left")
    ties = np.arange(at.size) - np.searchsorted(at, at, side="left")
    return sizes.astype(np.float64), ties.astype(np.float64)


def discretize_follow_up(
    times: Sequence[float] | Floats, events: Sequence[float] | Floats, bins: Sequence[float]
) -> tuple[Bools, Bools]:
    """Return (at risk, event), both bool `[N, M]`, for the intervals (0, b₁], (b₁, b₂], … with right edges `bins [M]`.

    A subject censored inside an interval counts as having survived it if the time is at or beyond its middle; otherwise
    the subject is not at risk in it. An event after the last edge means surviving all intervals.
    """
    t, e = _convert_times_and_events(times, events)
    right = np.asarray(bins, np.float64)
    left = np.concatenate([[0.0], right[:-1]])
    # Intervals are open on the left; only the first one includes its left edge, or an event at time 0 would be lost.
    inside = ((t[:, None] > left) | (left == 0)) & (t[:, None] <= right)
    happened = inside & e[:, None]
    passed = np.where(e[:, None], t[:, None] > right, t[:, None] >= (left + right) / 2)
    return happened | passed, happened


def evaluate_survival(curve: Mapping[str, Sequence[float]], at: Floats, left: bool = False) -> Floats:
    """Evaluate a `survival` curve at the times `at`; 1 when the curve is empty."""
    return evaluate_step_curve(curve.get("times", ()), curve.get("survival", ()), at, 1.0, left)
