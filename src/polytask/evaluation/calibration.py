"""Reliability: how often what was given a probability of p happened."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from polytask.evaluation.floors import FLOORS, find_shortage
from polytask.statistics.share import wilson

NAN = float("nan")

FEWEST = 5
"""Items a bin has at least where there are enough."""
MOST_BINS = 10
LARGEST_FACTOR, STEPS = 3.0, 61
"""True gaps that are tried, as multiples of the seen ones."""


@dataclass(frozen=True)
class Bin:
    """Items of like probability.

    Args:
        predicted: their mean probability. observed: the share in which it happened.
        low, high: 95 % Wilson interval of that share. n: how many.
    """

    predicted: float
    observed: float
    low: float
    high: float
    n: int


def reliability(p: npt.ArrayLike, happened: npt.ArrayLike) -> list[Bin]:
    """Bins with about equally many items, in order of probability; equal probabilities stay together."""
    probability, truth = np.asarray(p, np.float64), np.asarray(happened, bool)
    if not probability.size:
        return []
    count = int(np.clip(probability.size // FEWEST, 1, MOST_BINS))
    edges = np.unique(np.quantile(probability, np.linspace(0, 1, count + 1)[1:-1]))
    place = np.searchsorted(edges, probability, side="left")
    found = []
    for k in np.unique(place):
        mine = place == k
        n, hits = int(mine.sum()), int(truth[mine].sum())
        low, high = wilson(hits, n)
        found.append(Bin(float(probability[mine].mean()), hits / n, low, high, n))
    return found


def calibration_error(bins: list[Bin]) -> float:
    """Expected calibration error as it is seen: the mean gap between predicted and observed, weighted by n.

    Too large, because an observed share is not the true one: 0.10 for a perfect model and 100 items. For a figure to
    print see `judge_calibration`.
    """
    total = sum(b.n for b in bins)
    return sum(b.n * abs(b.predicted - b.observed) for b in bins) / total if total else float("nan")


class CalibrationError(NamedTuple):
    """Expected calibration error.

    Args:
        estimate: without what chance adds; 0 when the gaps are no larger than a perfect model's; NaN for no item.
        low, high: 95 % interval, NaN below the floor.
        n: items.
    """

    estimate: float
    low: float
    high: float
    n: int


def judge_calibration(
    p: npt.ArrayLike,
    happened: npt.ArrayLike,
    subjects: Sequence[object] | None = None,
    resamples: int = 1000,
    seed: int = 0,
) -> CalibrationError:
    """Expected calibration error over the bins of `reliability`, without the bias of small bins, and its interval.

    Let the true gaps be λ times the seen ones, and draw each bin's hits from the binomial distribution that follows.
    The estimate is the error at the λ whose drawn errors are on average what was seen; λ is 0 when already a perfect
    model shows as much. The interval holds the λ for which what was seen lies within the middle 95 % of what is drawn.
    (The debiased estimate of Kumar, Liang and Ma 2019 corrects the squared error for the same variance.)

    Args:
        subjects: `[items]`; items of one subject are taken for one, each bin for as many as it has of them.
    """
    probability, truth = np.asarray(p, np.float64), np.asarray(happened, bool)
    bins = reliability(probability, truth)
    if not bins:
        return CalibrationError(NAN, NAN, NAN, 0)
    n = np.array([b.n for b in bins], np.float64)
    predicted, observed = (np.array([getattr(b, k) for b in bins]) for k in ("predicted", "observed"))
    weight, people = n / n.sum(), n.sum() if subjects is None else float(len(set(subjects)))
    trials = np.maximum(1, np.round(n * people / n.sum())).astype(np.int64)
    seen = calibration_error(bins)
    steps = np.linspace(0.0, LARGEST_FACTOR, STEPS)
    true = np.clip(predicted - steps[:, None] * (predicted - observed), 0.0, 1.0)
    hits = np.random.default_rng(seed).binomial(trials, true[:, None, :], (STEPS, resamples, len(bins)))
    drawn = np.abs(predicted - hits / trials) @ weight
    errors = np.abs(predicted - true) @ weight
    expected = np.maximum.accumulate(drawn.mean(1))
    estimate = float(np.interp(seen, expected, errors, left=0.0))
    if find_shortage(FLOORS["calibration"], int(people)):
        return CalibrationError(estimate, NAN, NAN, int(n.sum()))
    lower, upper = np.quantile(drawn, [0.025, 0.975], axis=1)
    held = errors[(lower <= seen) & (seen <= upper)]
    ends = (float(held.min()), float(held.max())) if held.size else (estimate, estimate)
    return CalibrationError(estimate, min(ends[0], estimate), max(ends[1], estimate), int(n.sum()))
