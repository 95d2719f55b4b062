"""Computes the loss of a constant predictor: the number by which a task's loss is divided, so that it starts near 1.

Plain numpy, no torch: the plan computes these numbers from the train part of a fold. The heads start as the same
constant predictors, and the criteria use the same clamped shares.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from polytask.array_types import Floats
from polytask.kinds.step_curves import discretize_follow_up, evaluate_survival, measure_risk_sets

MIN_CLASS_SHARE = 1e-3
"""A class, label or structure counts as at least this frequent, so that log-odds and class weights stay finite."""
MIN_CONSTANT_LOSS = 0.05
"""Smallest constant: below it a constant answer solves the task, and dividing by its loss would only amplify noise."""


def clamp_class_shares(frequencies: Sequence[float]) -> Floats:
    """Turn class frequencies or counts `[C]` into shares that sum to 1, none (much) below `MIN_CLASS_SHARE`."""
    f = np.maximum(np.asarray(frequencies, dtype=np.float64), 0.0)
    f = np.ones(f.shape) if f.sum() <= 0 else f / f.sum()
    # Dividing by the new sum may bring the smallest share slightly below the limit again, which is harmless.
    f = np.maximum(f, MIN_CLASS_SHARE)
    return np.asarray(f / f.sum(), dtype=np.float64)


def clamp_label_shares(frequencies: Sequence[float]) -> Floats:
    """Keep the frequencies of independent labels `[L]` away from 0 and 1."""
    return np.clip(np.asarray(frequencies, dtype=np.float64), MIN_CLASS_SHARE, 1 - MIN_CLASS_SHARE)


def clamp_structure_shares(fractions: Sequence[float], exclusive: bool) -> Floats:
    """Keep the voxel shares `[K]` of structures away from 0 and 1; exclusive ones also leave a share for background."""
    f = clamp_label_shares(fractions)
    if exclusive and f.sum() > 1 - MIN_CLASS_SHARE:
        f = f / f.sum() * (1 - MIN_CLASS_SHARE)
    return np.asarray(f, dtype=np.float64)


def compute_entropy(f: Floats) -> float:
    """Compute the entropy of one distribution, in nats."""
    return float(-(f * np.log(f)).sum())


def compute_binary_entropy(f: Floats) -> Floats:
    """Compute the entropy of independent yes/no shares, element by element, in nats."""
    return np.asarray(-(f * np.log(f) + (1 - f) * np.log(1 - f)), dtype=np.float64)


def _apply_loss_floor(x: float) -> float:
    return max(float(x), MIN_CONSTANT_LOSS)


def find_classification_constant(frequencies: Sequence[float], balanced: bool = False) -> float:
    """Compute the cross-entropy of predicting the training shares; if balanced, of predicting equal shares."""
    f = clamp_class_shares(frequencies)
    # With balanced weights the best constant answer is the uniform one, and every class then costs log(C).
    return _apply_loss_floor(np.log(f.size) if balanced else compute_entropy(f))


def find_ordinal_constant(frequencies: Sequence[float], balanced: bool = False) -> float:
    """Compute the loss of the cumulative model without features: it can answer any shares, as that of classes can."""
    return find_classification_constant(frequencies, balanced)


def find_multilabel_constant(
    frequencies: Sequence[float], balanced: bool = False, known: Sequence[float] | None = None
) -> float:
    """Compute the mean binary cross-entropy over known (item, label) pairs; `known` has the known items per label."""
    # With balanced weights the constant answer is one half, which costs log(2) for yes and for no.
    if balanced:
        return float(np.log(2))
    weights = None if known is None or sum(known) <= 0 else np.asarray(known, dtype=np.float64)
    return _apply_loss_floor(
        float(np.average(compute_binary_entropy(clamp_label_shares(frequencies)), weights=weights))
    )


def find_regression_constant(values: Sequence[float], mean: float, sd: float) -> float:
    """Compute the mean smooth L1 loss (Huber, knee at 1 sd) of the z-scores of `values` against their mean."""
    z = np.abs((np.asarray(values, dtype=np.float64) - mean) / sd)
    return _apply_loss_floor(float(np.where(z < 1, 0.5 * z * z, z - 0.5).mean())) if z.size else 1.0


def find_survival_constant(times: Sequence[float], events: Sequence[float], buffer: int = 256) -> float:
    """Compute the Efron loss per event of equal scores, if batch and buffer together hold `buffer` of the subjects.

    The Cox criterion divides by the same quantity of the risk sets of each step, which equals this number once the
    buffer is full. It stands in the plan so that a reader knows what a loss of 1 means.
    """
    sizes, ties = measure_risk_sets(np.asarray(times, np.float64), np.asarray(events, np.float64))
    n = len(times)
    if not sizes.size:
        return 1.0
    # The subject with the event is always in its own risk set; of the others, the share that the buffer holds.
    left = 1 + (sizes - ties - 1) * min(1.0, max(buffer, 2) / n)
    # An event with nobody else at risk costs log(1) = 0 and teaches nothing; the criterion leaves it out as well.
    counted = sizes > 1
    return _apply_loss_floor(float(np.log(left[counted]).mean())) if counted.any() else 1.0


def estimate_hazard_rates(
    times: Sequence[float], events: Sequence[float], bins: Sequence[float]
) -> tuple[float, ...]:
    """Estimate the hazard of each interval: the share of those at risk who have the event, with half an event added so
    that it is never 0 or 1."""
    at_risk, happened = discretize_follow_up(times, events, bins)
    rates = (happened.sum(0) + 0.5) / (at_risk.sum(0) + 1.0)
    return tuple(float(r) for r in np.clip(rates, MIN_CLASS_SHARE, 1 - MIN_CLASS_SHARE))


def find_hazard_constant(times: Sequence[float], events: Sequence[float], bins: Sequence[float]) -> float:
    """Compute the negative log-likelihood of the training hazards per subject with at least one interval at risk."""
    at_risk, happened = discretize_follow_up(times, events, bins)
    h = np.asarray(estimate_hazard_rates(times, events, bins))
    terms = -(happened * np.log(h) + (at_risk & ~happened) * np.log(1 - h)).sum(1)
    counted = at_risk.any(1)
    return _apply_loss_floor(float(terms[counted].mean())) if counted.any() else 1.0


def choose_hazard_bins(times: Sequence[float], events: Sequence[float], count: int = 10) -> tuple[float, ...]:
    """Choose the right edges of at most `count` intervals with about equally many events; the last edge is the last
    event."""
    t = np.asarray(times, np.float64)
    happened = t[np.asarray(events, np.float64) > 0]
    if not happened.size:
        return (float(t.max()) if t.size else 1.0,)
    count = max(1, min(count, happened.size))
    edges = np.quantile(happened, np.arange(1, count + 1) / count)
    # Tied event times give equal edges, and events at time 0 an interval without length: both go.
    return tuple(float(e) for e in np.unique(edges[edges > 0])) or (1.0,)


def find_segmentation_constant(
    fractions: Sequence[float], exclusive: bool, thin: Sequence[int] = (), cldice: float = 0.0
) -> float:
    """Compute the Dice loss plus cross-entropy of predicting the voxel share of every structure everywhere.

    With `cldice`, so many times the mean of 1 − clDice over the structures at the places `thin` is added: such an
    answer has no center line, whose precision counts as 1, and covers its share of the true ones.
    """
    f = clamp_structure_shares(fractions, exclusive)
    cross = (
        compute_entropy(np.append(f, 1 - f.sum())) if exclusive else float(compute_binary_entropy(f).mean())
    )
    of_lines = cldice * float(np.mean([(1 - f[k]) / (1 + f[k]) for k in thin])) if thin else 0.0
    return _apply_loss_floor(float((1 - f).mean()) + cross + of_lines)


def find_dose_constant(
    deviation: float, scale: float, dvh: float = 0.0, dvh_deviation: float | None = None
) -> float:
    """Compute the masked L1 loss of the training median in units of `scale`, plus `dvh` times that in structures."""
    inside = deviation if dvh_deviation is None else dvh_deviation
    return _apply_loss_floor((deviation + dvh * inside) / scale)


def compute_expected_hazard_loss(
    bins: Sequence[float], hazards: Sequence[float], censoring: Mapping[str, Sequence[float]]
) -> float:
    """Compute the expected negative log-likelihood per subject of answering the training hazards.

    It is the entropy of the hazard of each interval, weighted by the share of subjects still at risk: those without an
    event before the interval who are not censored before its middle. Needs only fields of the plan, no times.
    """
    right = np.asarray(bins, np.float64)
    left = np.concatenate([[0.0], right[:-1]])
    h = clamp_label_shares(hazards)
    free = np.concatenate([[1.0], np.cumprod(1 - h)[:-1]])
    uncensored = evaluate_survival(censoring, (left + right) / 2)
    return max(float((free * uncensored * compute_binary_entropy(h)).sum()), MIN_CONSTANT_LOSS)
