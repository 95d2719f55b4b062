"""Measures how well a risk orders survival times, and how good probabilities at a horizon are, under censoring."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from polytask.array_types import NAN, Floats, Mask
from polytask.kinds.step_curves import evaluate_survival
from polytask.statistics.comparable_pairs import count_pairs
from polytask.tasks.ranking import compute_auc

MIN_FOLLOWED_SHARE = 0.1
"""A horizon is not defined if the censoring curve G is below this share there: weights 1/G would become too large."""

FEW_SUBJECTS = 200
"""Up to here comparing every pair takes a fraction of the time of counting, which matters to tests that ask thousands
of times."""


def compute_concordance(risk: Floats, times: Floats, events: Floats) -> float:
    """Compute Harrell's C: the share of comparable pairs that the risk orders correctly; equal risks count one half.

    A pair is comparable when it is known who had the event first: the earlier time is an event, or both times are equal
    and only one is an event. NaN without a comparable pair.
    """
    if not np.isfinite(risk).all():
        return NAN
    if len(times) <= FEW_SUBJECTS:
        return _compare_every_pair(risk, times, events > 0)
    pair_counts = count_pairs(risk, times, events)
    pairs = float(pair_counts.early.sum())
    return float(pair_counts.early_right.sum()) / pairs if pairs else NAN


def _compare_every_pair(risk: Floats, times: Floats, happened: Mask) -> float:
    """Compute Harrell's C from `[N, N]` pairs, the subject with the event first."""
    later = (times[:, None] < times) | ((times[:, None] == times) & ~happened)
    first, second = np.nonzero(later & happened[:, None])
    if not first.size:
        return NAN
    above, equal = (np.count_nonzero(how(risk[first], risk[second])) for how in (np.greater, np.equal))
    return (above + equal / 2) / first.size


def is_horizon_defined(censoring: Mapping[str, Sequence[float]], horizon: float) -> bool:
    """Whether enough training subjects are followed up to the horizon, judged by their censoring curve."""
    return float(evaluate_survival(censoring, np.array([horizon]))[0]) >= MIN_FOLLOWED_SHARE


def compute_censoring_weights(times: Floats, censoring: Mapping[str, Sequence[float]]) -> Floats:
    """Compute 1 / P(not censored before the subject's own time t) = 1/G(t−) for each of `times [N]`.

    At equal times an event comes before a censoring (see `estimate_censoring`). With these weights the subjects with an
    event by a horizon and those followed beyond it represent exactly all subjects. 1/G(t), which scikit-survival uses,
    gives tied subjects too much weight.
    """
    return np.asarray(1 / np.maximum(evaluate_survival(censoring, times, left=True), 1e-12), dtype=np.float64)


def compute_horizon_auc(
    score: Floats, times: Floats, events: Floats, horizon: float, censoring: Mapping[str, Sequence[float]]
) -> float:
    """Compute Uno's cumulative/dynamic AUC: subjects with an event by the horizon, weighted 1/G, against those followed
    beyond it."""
    # Subjects censored before the horizon are in neither group: the weights of the others stand for them.
    case = (times <= horizon) & (events > 0)
    keep = case | (times > horizon)
    if not is_horizon_defined(censoring, horizon):
        return NAN
    return compute_auc(score[keep], case[keep], compute_censoring_weights(times, censoring)[keep])


def compute_horizon_brier(
    p: Floats, times: Floats, events: Floats, horizon: float, censoring: Mapping[str, Sequence[float]]
) -> float:
    """Compute Graf's Brier score of P(event by the horizon), weighted for censoring by 1/G."""
    if not times.size or not np.isfinite(p).all() or not is_horizon_defined(censoring, horizon):
        return NAN
    case, beyond = (times <= horizon) & (events > 0), times > horizon
    late = 1 / evaluate_survival(censoring, np.array([horizon]))[0]
    terms = case * (1 - p) ** 2 * compute_censoring_weights(times, censoring) + beyond * p**2 * late
    return float(terms.mean())
