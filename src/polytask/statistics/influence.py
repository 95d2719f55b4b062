"""What each case adds to a metric's deviation from the truth, for AUC, Harrell's C, κ and R².

Every function returns the metric and a share for each case, `[cases]`. The shares of a metric add up to about 0, and
their squares to its squared standard error (the jackknife's; for an AUC DeLong's). For a mean they would be (x −
x̄)/√(n(n − 1)). The shares of one subject's cases are added. NaN where the metric, or the metric without some case, is
not defined.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from polytask.array_types import Floats
from polytask.statistics.auc_interval import find_area_influence
from polytask.statistics.comparable_pairs import count_pairs

MetricShares = tuple[float, Floats]
MIN_RELATIVE_SPREAD = 1e-20
"""Truths vary if their squared deviations exceed this share of their squares; less is rounding."""


def find_auc_shares(scores: npt.ArrayLike, positive: npt.ArrayLike) -> MetricShares:
    """Compute the area under the ROC curve, ties one half, of m positives and n negatives, with its shares.

    DeLong, DeLong and Clarke-Pearson 1988: the V10 of a positive is the share of negatives it exceeds, the V01 of a
    negative the share of positives that exceed it. The share of a positive is (V10 − AUC)/√(m(m − 1)), that of a
    negative (V01 − AUC)/√(n(n − 1)).
    """
    y = np.asarray(positive, bool)
    area, influence = find_area_influence(scores, y)
    alike = np.where(y, y.sum(), (~y).sum())
    if not np.isfinite(area) or alike.min() < 2:
        return area, np.full(y.size, np.nan)
    return area, np.asarray(influence * np.sqrt(alike / (alike - 1)), np.float64)


def find_concordance_shares(risk: npt.ArrayLike, times: npt.ArrayLike, events: npt.ArrayLike) -> MetricShares:
    """Compute Harrell's C with its shares.

    C is the share of comparable pairs (the earlier one had the event; at equal times only one had it) that are ordered
    right, equal risks one half. Without case i it is (right − right_i)/(pairs − pairs_i).
    """
    pair_counts = count_pairs(risk, times, events)
    total, every = float(pair_counts.early.sum()), float(pair_counts.early_right.sum())
    if not total or not np.isfinite(np.asarray(risk, np.float64)).all():
        return float("nan"), np.full(pair_counts.early.size, np.nan)
    right, pairs = pair_counts.early_right + pair_counts.late_right, pair_counts.early + pair_counts.late
    return every / total, _compute_jackknife_shares(
        every / total, _divide_safely(every - right, total - pairs)
    )


def find_kappa_shares(truth: npt.ArrayLike, answer: npt.ArrayLike) -> MetricShares:
    """Compute Cohen's κ with quadratic weights, 1 − mean (t − a)² ÷ its mean over all
    pairs of a truth and an answer."""
    t, a = np.asarray(truth, np.float64), np.asarray(answer, np.float64)
    n = len(t)
    wrong = (t - a) ** 2
    by_truth = n * t**2 - 2 * t * a.sum() + (a**2).sum()  # (t_i − a_j)² over all j
    by_answer = n * a**2 - 2 * a * t.sum() + (t**2).sum()
    if n < 2 or t.min() == t.max():
        return float("nan"), np.full(n, np.nan)
    kappa = float(1 - n * wrong.sum() / by_truth.sum())
    without = 1 - (n - 1) * _divide_safely(wrong.sum() - wrong, by_truth.sum() - by_truth - by_answer + wrong)
    class_counts = np.array([(t == x).sum() for x in np.unique(t)])
    if len(class_counts) == 2 and class_counts.min() == 1:  # without that one there is a single class
        without = np.where(np.isin(t, np.unique(t)[class_counts == 1]), np.nan, without)
    return kappa, _compute_jackknife_shares(kappa, without)


def find_r2_shares(truth: npt.ArrayLike, answer: npt.ArrayLike) -> MetricShares:
    """Compute R² = 1 − Σ(t − a)² ÷ Σ(t − t̄)²; without case i the divisor is less by n/(n − 1)·(t_i − t̄)²."""
    t, a = np.asarray(truth, np.float64), np.asarray(answer, np.float64)
    n = len(t)
    spread, wrong = (t - t.mean()) ** 2 if n else t, (t - a) ** 2
    if n < 3 or not spread.sum() > MIN_RELATIVE_SPREAD * (t**2).sum():
        return float("nan"), np.full(n, np.nan)
    without = 1 - _divide_safely(wrong.sum() - wrong, spread.sum() - n / (n - 1) * spread)
    r2 = float(1 - wrong.sum() / spread.sum())
    return r2, _compute_jackknife_shares(r2, without)


def average_shares(several: Sequence[MetricShares]) -> MetricShares:
    """Average several metrics on the same cases, and their shares."""
    return float(np.mean([whole for whole, _ in several])), np.mean([shares for _, shares in several], axis=0)


def _divide_safely(above: Floats, below: Floats) -> Floats:
    return np.where(below > 1e-12 * np.abs(below).max(), above / np.where(below > 0, below, 1.0), np.nan)


def _compute_jackknife_shares(whole: float, without: Floats) -> Floats:
    """Compute the shares from the metric on all cases and without each of them."""
    return np.asarray((whole - without) * np.sqrt((len(without) - 1) / len(without)), np.float64)
