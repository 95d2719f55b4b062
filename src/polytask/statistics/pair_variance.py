"""What the jackknife adds to the variance of measures of rank in small folds, so that it can be subtracted."""

from __future__ import annotations

import numpy as np

from polytask.array_types import Floats

FOLD_RESAMPLES = 1_000
"""Resamples of a fold from which the part of the pairs is estimated."""
MAX_PAIRED_SUBJECTS = 250
"""The part is not estimated in a fold of more subjects than this: it takes four resamples per subject, and it is
negligible."""
MIN_DEFINED_SHARE = 0.5
"""Share of the resamples on which every metric must be defined."""


def estimate_pair_covariance(drawn: Floats, counts: Floats) -> Floats:
    """Estimate the pairs' part Q of the covariance of effects on a fold's subjects, `[…, seeds, seeds]`.

    An AUC, a C-index or κ is a mean over pairs of subjects. Beside the variance of the subjects' own means, its
    variance has a part Q that belongs to the pairs. Each of those means comes from few pairs, so the jackknife's (and
    DeLong's) variance contains Q twice. Q is what remains of the metric on resamples after least squares on how often
    each subject was drawn. At most a third of the bootstrap's variance is accepted as Q. For a mean Q is 0,
    because nothing remains.

    Args:
        drawn: effects on resamples `[…, seeds, resamples]`, NaN where not defined. counts: `[resamples, subjects]`.
    """
    seeds, n = drawn.shape[-2], counts.shape[1]
    nothing = np.zeros((*drawn.shape[:-1], seeds))
    usable = np.isfinite(drawn).reshape(-1, drawn.shape[-1]).all(0)
    count = int(usable.sum())
    if count < MIN_DEFINED_SHARE * len(counts) or count < 4 * n:
        return nothing
    effects, used = drawn[..., usable], counts[usable]
    effects = effects - effects.mean(-1, keepdims=True)
    total = (effects**2).sum((-2, -1)) / (count - 1)
    # The counts of a resample sum to n, so one column says nothing new and is left out.
    basis, _ = np.linalg.qr((used - used.mean(0))[:, :-1])
    residuals = effects - (effects @ basis) @ basis.T
    pairs = residuals @ residuals.swapaxes(-1, -2) / (count - n)
    size = np.trace(pairs, axis1=-2, axis2=-1)
    curved = size > 1e-9 * total
    share = np.where(curved, np.minimum(1.0, total / np.where(curved, 3 * size, 1.0)), 0.0)
    return np.asarray(share[..., None, None] * pairs, np.float64)
