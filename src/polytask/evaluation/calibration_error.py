"""Calibration: of the items with a predicted probability of p, how large a share is positive."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from polytask.array_types import NAN
from polytask.evaluation.interval_floors import INTERVAL_FLOORS, explain_missing_interval
from polytask.statistics.share_interval import compute_wilson_interval

MIN_ITEMS_PER_BIN = 5
"""Fewest items of a bin, where there are enough items."""
MAX_CALIBRATION_BINS = 10
MAX_GAP_FACTOR, GAP_FACTOR_COUNT = 3.0, 61
"""Candidate true gaps: so many factors, from 0 up to the largest one, times the observed gaps."""


@dataclass(frozen=True)
class CalibrationBin:
    """One bin of items with similar predicted probabilities.

    Args:
        predicted: their mean probability. observed: the share in which it happened.
        low, high: 95 % Wilson interval of that share. n: number of items.
    """

    predicted: float
    observed: float
    low: float
    high: float
    n: int


def bin_by_probability(p: npt.ArrayLike, happened: npt.ArrayLike) -> list[CalibrationBin]:
    """Sort items into bins of about equal size, in order of probability; equal probabilities stay together."""
    probability, truth = np.asarray(p, np.float64), np.asarray(happened, bool)
    if not probability.size:
        return []
    count = int(np.clip(probability.size // MIN_ITEMS_PER_BIN, 1, MAX_CALIBRATION_BINS))
    # Many equal probabilities give equal edges: there are then fewer bins than `count`.
    edges = np.unique(np.quantile(probability, np.linspace(0, 1, count + 1)[1:-1]))
    place = np.searchsorted(edges, probability, side="left")
    bins = []
    for k in np.unique(place):
        in_bin = place == k
        n, hits = int(in_bin.sum()), int(truth[in_bin].sum())
        low, high = compute_wilson_interval(hits, n)
        bins.append(CalibrationBin(float(probability[in_bin].mean()), hits / n, low, high, n))
    return bins


def compute_raw_calibration_error(bins: list[CalibrationBin]) -> float:
    """Compute the plain expected calibration error: the mean gap between predicted and observed, weighted by n.

    It is too large, because an observed share is not the true one: about 0.10 for a perfect model and 100 items. For a
    figure to print see `estimate_calibration_error`.
    """
    total = sum(b.n for b in bins)
    return sum(b.n * abs(b.predicted - b.observed) for b in bins) / total if total else float("nan")


class CalibrationError(NamedTuple):
    """Expected calibration error with its interval.

    Args:
        estimate: without what chance adds; 0 when the gaps are no larger than a perfect model's; NaN for no item.
        low, high: 95 % interval, NaN below the floor.
        n: items.
    """

    estimate: float
    low: float
    high: float
    n: int


def estimate_calibration_error(
    p: npt.ArrayLike,
    happened: npt.ArrayLike,
    subjects: Sequence[object] | None = None,
    resamples: int = 1000,
    seed: int = 0,
) -> CalibrationError:
    """Estimate the expected calibration error without the bias of small bins, and its interval.

    Assume that the true gaps are λ times the observed ones, and draw the positives of each bin from the binomial
    distribution that follows. The estimate is the error at the λ whose drawn errors are on average the observed error;
    λ is 0 when even a perfect model would show as much. The interval holds every λ for which the observed error lies
    within the middle 95 % of the drawn ones.
    (The debiased estimate of Kumar, Liang and Ma 2019 corrects the squared error for the same variance.)

    Args:
        subjects: `[items]`, the subject of each item. The items of one subject count as one, so bins get fewer trials.
    """
    probability, truth = np.asarray(p, np.float64), np.asarray(happened, bool)
    bins = bin_by_probability(probability, truth)
    if not bins:
        return CalibrationError(NAN, NAN, NAN, 0)
    n = np.array([b.n for b in bins], np.float64)
    predicted, observed = (np.array([getattr(b, k) for b in bins]) for k in ("predicted", "observed"))
    weight, people = n / n.sum(), n.sum() if subjects is None else float(len(set(subjects)))
    # Visits of one subject are not independent: each bin gets its share of the number of subjects as trials.
    trials = np.maximum(1, np.round(n * people / n.sum())).astype(np.int64)
    seen = compute_raw_calibration_error(bins)
    steps = np.linspace(0.0, MAX_GAP_FACTOR, GAP_FACTOR_COUNT)
    true = np.clip(predicted - steps[:, None] * (predicted - observed), 0.0, 1.0)
    hits = np.random.default_rng(seed).binomial(
        trials, true[:, None, :], (GAP_FACTOR_COUNT, resamples, len(bins))
    )
    drawn = np.abs(predicted - hits / trials) @ weight
    errors = np.abs(predicted - true) @ weight
    # `interp` needs values that do not fall, but the mean of random draws may fall a little from step to step.
    expected = np.maximum.accumulate(drawn.mean(1))
    estimate = float(np.interp(seen, expected, errors, left=0.0))
    if explain_missing_interval(INTERVAL_FLOORS["calibration"], int(people)):
        return CalibrationError(estimate, NAN, NAN, int(n.sum()))
    lower, upper = np.quantile(drawn, [0.025, 0.975], axis=1)
    held = errors[(lower <= seen) & (seen <= upper)]
    ends = (float(held.min()), float(held.max())) if held.size else (estimate, estimate)
    return CalibrationError(estimate, min(ends[0], estimate), max(ends[1], estimate), int(n.sum()))
