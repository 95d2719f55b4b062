"""Subjects who carry an effect: up to three subjects without whom the effect would be different."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from polytask.array_types import Floats
from polytask.statistics.pivot import Pivot

MAX_CARRIERS = 3
"""No more subjects than this are named; an effect that needs more has no carriers."""
CARRIER_ALPHA = 0.05
"""The p above which an effect is not shown."""
NEARLY_ALL_SHARE = 0.9
"""Share of an estimate that the removal must take away, where the effect was not shown before."""


def find_carriers(
    means: Sequence[Floats],
    subjects: Sequence[Sequence[str]],
    weights: Floats,
    estimate: float,
    error: float,
    p: float,
    pivot: Pivot,
) -> tuple[str, ...]:
    """Find the fewest subjects, at most `MAX_CARRIERS`, whose removal changes the conclusion; none where more are
    needed.

    Where p ≤ 0.05, the removal must take more than half of the estimate, or bring p above 0.05. Otherwise, where the
    estimate is at least one standard error, it must take nine tenths of it. Subjects are removed in the order of what
    their removal takes; the error is adjusted for them.

    Args:
        means: each fold's effects by subject `[subjects]`, mean over seeds.
        subjects: of each fold, their names. weights: of the folds. estimate, error, p, pivot: of the effect.
    """
    if abs(estimate) < error:
        return ()
    sign = np.sign(estimate)
    takes = np.concatenate(
        [sign * w * (m - m.mean()) / (len(m) - 1) for w, m in zip(weights, means, strict=True)]
    )
    fold = np.repeat(np.arange(len(means)), [len(m) for m in means])
    place = np.concatenate([np.arange(len(m)) for m in means])
    gone: list[tuple[int, int]] = []
    before = compute_mean_variance(means, weights)
    for k in np.argsort(-takes, kind="stable")[:MAX_CARRIERS]:
        gone.append((int(fold[k]), int(place[k])))
        remaining = [np.delete(m, [i for f, i in gone if f == g]) for g, m in enumerate(means)]
        if min(map(len, remaining)) < 2:
            return ()
        new_estimate = estimate + sum(
            w * (a.mean() - b.mean()) for w, a, b in zip(weights, remaining, means, strict=True)
        )
        # Only the part of the subjects changes: that of the trainings stays as it was.
        new_error = np.sqrt(max(0.0, error**2 - before + compute_mean_variance(remaining, weights)))
        if p <= CARRIER_ALPHA:
            is_lost = not new_error > 0 or float(pivot.p(new_estimate / new_error)) > CARRIER_ALPHA
            is_changed = is_lost or sign * new_estimate < abs(estimate) / 2
        else:
            is_changed = sign * new_estimate <= (1 - NEARLY_ALL_SHARE) * abs(estimate)
        if is_changed:
            return tuple(subjects[f][i] for f, i in gone)
    return ()


def compute_mean_variance(means: Sequence[Floats], weights: Floats) -> float:
    """Compute the part of the mean's variance that comes from the subjects."""
    return float(sum(w**2 * m.var(ddof=1) / len(m) for w, m in zip(weights, means, strict=True)))
