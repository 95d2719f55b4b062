"""What a constant predictor costs: the number each task's loss is divided by, so that it starts about 1.

Plain numpy, no torch: the plan computes these from the training part of a fold. The heads start at the same
constant predictors, the criteria use the same clamped shares.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from polytask.kinds.curves import discretise, risk_sets, survival_at

Floats = npt.NDArray[np.float64]
SMALLEST_SHARE = 1e-3
"""A class, label or structure counts as at least this frequent: log-odds and class weights stay finite."""
SMALLEST_CONSTANT = 0.05
"""Below it a task is solved by a constant, and dividing by its loss would only amplify noise."""


def shares(frequencies: Sequence[float]) -> Floats:
    """Class frequencies or counts `[C]` → shares that sum to 1, none below `SMALLEST_SHARE` by much."""
    f = np.maximum(np.asarray(frequencies, dtype=np.float64), 0.0)
    f = np.full(f.shape, 1.0 / max(1, f.size)) if f.sum() <= 0 else f / f.sum()
    f = np.maximum(f, SMALLEST_SHARE)
    return np.asarray(f / f.sum(), dtype=np.float64)


def label_shares(frequencies: Sequence[float]) -> Floats:
    """Frequencies of independent labels `[L]`, kept away from 0 and 1."""
    return np.clip(np.asarray(frequencies, dtype=np.float64), SMALLEST_SHARE, 1 - SMALLEST_SHARE)


def structure_shares(fractions: Sequence[float], exclusive: bool) -> Floats:
    """Voxel shares `[K]` of structures; exclusive ones leave at least `SMALLEST_SHARE` to the background."""
    f = label_shares(fractions)
    if exclusive and f.sum() > 1 - SMALLEST_SHARE:
        f = f / f.sum() * (1 - SMALLEST_SHARE)
    return np.asarray(f, dtype=np.float64)


def entropy(f: Floats) -> float:
    """Of one distribution, in nats."""
    return float(-(f * np.log(f)).sum())


def binary_entropy(f: Floats) -> Floats:
    """Of independent yes/no shares, element by element."""
    return np.asarray(-(f * np.log(f) + (1 - f) * np.log(1 - f)), dtype=np.float64)


def _floor(x: float) -> float:
    return max(float(x), SMALLEST_CONSTANT)


def constant_classification(frequencies: Sequence[float], balanced: bool = False) -> float:
    """Cross-entropy of predicting the training shares; balanced: of predicting all classes alike."""
    f = shares(frequencies)
    return _floor(np.log(f.size) if balanced else entropy(f))


def constant_ordinal(frequencies: Sequence[float]) -> float:
    """Negative log-likelihood of the training shares (the cumulative model without features)."""
    return _floor(entropy(shares(frequencies)))


def constant_multilabel(
    frequencies: Sequence[float], balanced: bool = False, known: Sequence[float] | None = None
) -> float:
    """Mean binary cross-entropy over known (item, label) pairs; `known` counts the known items per label."""
    if balanced:
        return float(np.log(2))
    weights = None if known is None or sum(known) <= 0 else np.asarray(known, dtype=np.float64)
    return _floor(float(np.average(binary_entropy(label_shares(frequencies)), weights=weights)))


def constant_regression(values: Sequence[float], mean: float, sd: float) -> float:
    """Mean smooth L1 (Huber, knee at 1 sd) of the z-scores of `values` against the mean."""
    z = np.abs((np.asarray(values, dtype=np.float64) - mean) / sd)
    return _floor(float(np.where(z < 1, 0.5 * z * z, z - 0.5).mean())) if z.size else 1.0


def constant_survival(times: Sequence[float], events: Sequence[float], buffer: int = 256) -> float:
    """Efron loss per event of equal scores, when batch and buffer together hold `buffer` of the subjects.

    The Cox criterion divides by this quantity of the step's own risk sets, which this number equals once the
    buffer is full; it stands in the plan so that a reader knows what 1 means.
    """
    sizes, ties = risk_sets(np.asarray(times, np.float64), np.asarray(events, np.float64))
    n = len(times)
    if not sizes.size:
        return 1.0
    left = 1 + (sizes - ties - 1) * min(1.0, max(buffer, 2) / n)
    counted = sizes > 1
    return _floor(float(np.log(left[counted]).mean())) if counted.any() else 1.0


def hazard_rates(times: Sequence[float], events: Sequence[float], bins: Sequence[float]) -> tuple[float, ...]:
    """Share of those at risk who have the event in each interval, with half an event added (never 0 or 1)."""
    at_risk, happened = discretise(times, events, bins)
    rates = (happened.sum(0) + 0.5) / (at_risk.sum(0) + 1.0)
    return tuple(float(r) for r in np.clip(rates, SMALLEST_SHARE, 1 - SMALLEST_SHARE))


def constant_hazard(times: Sequence[float], events: Sequence[float], bins: Sequence[float]) -> float:
    """Negative log-likelihood per subject (with at least one interval at risk) of the training hazards."""
    at_risk, happened = discretise(times, events, bins)
    h = np.asarray(hazard_rates(times, events, bins))
    terms = -(happened * np.log(h) + (at_risk & ~happened) * np.log(1 - h)).sum(1)
    counted = at_risk.any(1)
    return _floor(float(terms[counted].mean())) if counted.any() else 1.0


def hazard_bins(times: Sequence[float], events: Sequence[float], count: int = 10) -> tuple[float, ...]:
    """Right edges of at most `count` intervals with about equally many events; the last one ends at the last event."""
    t = np.asarray(times, np.float64)
    happened = t[np.asarray(events, np.float64) > 0]
    if not happened.size:
        return (float(t.max()) if t.size else 1.0,)
    count = max(1, min(count, happened.size))
    edges = np.quantile(happened, np.arange(1, count + 1) / count)
    return tuple(float(e) for e in np.unique(edges[edges > 0])) or (1.0,)


def constant_segmentation(fractions: Sequence[float], exclusive: bool) -> float:
    """Dice loss plus cross-entropy of predicting every structure's voxel share everywhere."""
    f = structure_shares(fractions, exclusive)
    cross = entropy(np.append(f, 1 - f.sum())) if exclusive else float(binary_entropy(f).mean())
    return _floor(float((1 - f).mean()) + cross)


def constant_dose(
    deviation: float, scale: float, dvh: float = 0.0, dvh_deviation: float | None = None
) -> float:
    """Masked L1 of the training median, in units of `scale`, plus `dvh` times that inside the structures."""
    inside = deviation if dvh_deviation is None else dvh_deviation
    return _floor((deviation + dvh * inside) / scale)


def expected_hazard_loss(
    bins: Sequence[float], hazards: Sequence[float], censoring: Mapping[str, Sequence[float]]
) -> float:
    """Negative log-likelihood a subject of answering the hazards: their entropy, weighted by who is still at risk.

    An interval counts who had no event before it and is not censored before its middle.
    """
    right = np.asarray(bins, np.float64)
    left = np.concatenate([[0.0], right[:-1]])
    h = label_shares(hazards)
    free = np.concatenate([[1.0], np.cumprod(1 - h)[:-1]])
    seen = survival_at(censoring, (left + right) / 2)
    return max(float((free * seen * binary_entropy(h)).sum()), SMALLEST_CONSTANT)
