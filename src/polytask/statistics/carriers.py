"""Subjects who carry an effect: at most three, without whom it would be another."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from polytask.statistics.draws import Floats
from polytask.statistics.pivot import Pivot

MOST = 3
ALPHA = 0.05
NEARLY_ALL = 0.9


def find_carriers(
    means: Sequence[Floats],
    subjects: Sequence[Sequence[str]],
    weights: Floats,
    estimate: float,
    error: float,
    p: float,
    pivot: Pivot,
) -> tuple[str, ...]:
    """The fewest subjects, at most `MOST`, whose removal changes what is said; none where more are needed.

    Where p ≤ 0.05: removal takes more than half of the estimate, or p above 0.05. Otherwise, where the estimate is at
    least one standard error: removal takes nine tenths of it. Subjects go in the order of what their removal takes; the
    error shrinks or grows with them.

    Args:
        means: each fold's effects by subject `[subjects]`, mean over seeds.
        subjects: of each fold, their names. weights: of the folds. estimate, error, p, pivot: of the effect.
    """
    if abs(estimate) < error:
        return ()
    sign = np.sign(estimate)
    takes = np.concatenate(
        [sign * w * (m - m.mean()) / max(1, len(m) - 1) for w, m in zip(weights, means, strict=True)]
    )
    fold = np.repeat(np.arange(len(means)), [len(m) for m in means])
    place = np.concatenate([np.arange(len(m)) for m in means])
    gone: list[tuple[int, int]] = []
    before = spread(means, weights)
    for k in np.argsort(-takes, kind="stable")[:MOST]:
        gone.append((int(fold[k]), int(place[k])))
        rest = [np.delete(m, [i for f, i in gone if f == g]) for g, m in enumerate(means)]
        if min(map(len, rest)) < 2:
            return ()
        left = estimate + sum(w * (a.mean() - b.mean()) for w, a, b in zip(weights, rest, means, strict=True))
        again = np.sqrt(max(0.0, error**2 - before + spread(rest, weights)))
        if p <= ALPHA:
            turned = not again > 0 or float(pivot.p(left / again)) > ALPHA
            found = turned or sign * left < abs(estimate) / 2
        else:
            found = sign * left <= (1 - NEARLY_ALL) * abs(estimate)
        if found:
            return tuple(subjects[f][i] for f, i in gone)
    return ()


def spread(means: Sequence[Floats], weights: Floats) -> float:
    """The variance of the mean over the subjects."""
    return float(sum(w**2 * m.var(ddof=1) / len(m) for w, m in zip(weights, means, strict=True)))
