"""Survival curves as plain step functions: Kaplan–Meier, censoring, Breslow, discrete intervals. No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Curve = dict[str, tuple[float, ...]]
"""`times` and one more name (`survival` or `hazard`), both ascending in time: the value from that time on."""


def _arrays(times: Sequence[float] | Floats, events: Sequence[float] | Floats) -> tuple[Floats, Bools]:
    return np.asarray(times, dtype=np.float64), np.asarray(events, dtype=np.float64) > 0


def step(
    times: Sequence[float], values: Sequence[float], at: Floats, start: float, left: bool = False
) -> Floats:
    """The step function at `at` (its left limit with `left`); `start` before the first time."""
    index = np.searchsorted(np.asarray(times, np.float64), at, side="left" if left else "right")
    return np.asarray(np.concatenate([[start], np.asarray(values, np.float64)])[index], dtype=np.float64)


def kaplan_meier(times: Sequence[float] | Floats, events: Sequence[float] | Floats) -> Curve:
    """Survival at each distinct event time."""
    t, e = _arrays(times, events)
    at = np.unique(t[e])
    ordered, happened = np.sort(t), np.sort(t[e])
    at_risk = t.size - np.searchsorted(ordered, at, side="left")
    deaths = np.searchsorted(happened, at, side="right") - np.searchsorted(happened, at, side="left")
    survival = np.cumprod(1 - deaths / np.maximum(at_risk, 1))
    return {"times": tuple(at.tolist()), "survival": tuple(survival.tolist())}


def censoring_curve(times: Sequence[float] | Floats, events: Sequence[float] | Floats) -> Curve:
    """Kaplan–Meier of the censoring, G(t) = P(not yet censored after t).

    An event at t comes before a censoring at t.
    """
    t, e = _arrays(times, events)
    at = np.unique(t[~e])
    ordered, happened, lost = np.sort(t), np.sort(t[e]), np.sort(t[~e])
    at_risk = t.size - np.searchsorted(ordered, at, side="left")
    died = np.searchsorted(happened, at, side="right") - np.searchsorted(happened, at, side="left")
    gone = np.searchsorted(lost, at, side="right") - np.searchsorted(lost, at, side="left")
    survival = np.cumprod(1 - gone / np.maximum(at_risk - died, 1))
    return {"times": tuple(at.tolist()), "survival": tuple(survival.tolist())}


def breslow(
    risk: Sequence[float] | Floats, times: Sequence[float] | Floats, events: Sequence[float] | Floats
) -> Curve:
    """Cumulative baseline hazard for log hazard ratios `risk`: Σ over event times of deaths / Σ at risk exp(risk).

    With equal risks of 0 this is the Nelson–Aalen estimate. The curve ends with the longest follow-up.
    """
    t, e = _arrays(times, events)
    order = np.argsort(-t, kind="stable")
    ahead = np.cumsum(np.exp(np.clip(np.asarray(risk, np.float64)[order], -50, 50)))
    at, deaths = np.unique(t[e], return_counts=True)
    last = np.searchsorted(-t[order], -at, side="right") - 1
    hazard = np.cumsum(deaths / ahead[last])
    if t.size and (not at.size or t.max() > at[-1]):
        at, hazard = np.append(at, t.max()), np.append(hazard, hazard[-1] if hazard.size else 0.0)
    return {"times": tuple(at.tolist()), "hazard": tuple(hazard.tolist())}


def hazard_at(curve: Mapping[str, Sequence[float]], at: Floats) -> Floats:
    """A cumulative `hazard` at the times `at`; NaN after the curve's last time, where nobody was followed."""
    end = max(curve["times"], default=0.0)
    return np.where(np.asarray(at) <= end, step(curve["times"], curve["hazard"], at, 0.0), np.nan)


def risk_sets(times: Floats, events: Floats) -> tuple[Floats, Floats]:
    """For every event: how many are at risk, and its place (0, 1, …) among those tied with it."""
    t, e = _arrays(times, events)
    at = np.sort(t[e])
    sizes = t.size - np.searchsorted(np.sort(t), at, side="left")
    ties = np.arange(at.size) - np.searchsorted(at, at, side="left")
    return sizes.astype(np.float64), ties.astype(np.float64)


def discretise(
    times: Sequence[float] | Floats, events: Sequence[float] | Floats, bins: Sequence[float]
) -> tuple[Bools, Bools]:
    """(at risk, event) `[N, M]` for the intervals (0, b₁], (b₁, b₂], …, each known for the subject.

    Someone censored inside an interval counts as having passed it when beyond its middle, else it is left out.
    An event after the last edge is a survival of all intervals.
    """
    t, e = _arrays(times, events)
    right = np.asarray(bins, np.float64)
    left = np.concatenate([[0.0], right[:-1]])
    inside = ((t[:, None] > left) | (left == 0)) & (t[:, None] <= right)
    happened = inside & e[:, None]
    passed = np.where(e[:, None], t[:, None] > right, t[:, None] >= (left + right) / 2)
    return happened | passed, happened


def survival_at(curve: Mapping[str, Sequence[float]], at: Floats, left: bool = False) -> Floats:
    """A `survival` curve at `at`; 1 when there is no curve."""
    return step(curve.get("times", ()), curve.get("survival", ()), at, 1.0, left)
