"""What the jackknife adds to the variance of measures of rank in small folds, so that it can be taken off."""

from __future__ import annotations

import numpy as np

from polytask.statistics.draws import Floats

DRAWS = 1_000
LARGEST = 250
"""With more subjects in a fold than this the part is not estimated (it takes four resamples a subject); it is
negligible."""
SMALLEST_SHARE = 0.5
"""Of the resamples, those on which every metric must be defined."""


def pair_covariance(drawn: Floats, counts: Floats) -> Floats:
    """The pairs' part Q of the covariance of effects on a fold's subjects, `[…, seeds, seeds]`.

    An AUC, a C-index or κ is a mean over pairs of subjects, and its variance has a part Q that belongs to the pairs,
    beside that of the subjects' own means. Those means are each from few pairs, so that the jackknife's (and DeLong's)
    variance holds Q twice. Q is what remains of the metric on resamples after least squares on how often each subject
    was drawn; it is believed up to a third of the bootstrap's variance. For a mean nothing remains: 0.

    Args:
        drawn: effects on resamples `[…, seeds, resamples]`, NaN where not defined. counts: `[resamples, subjects]`.
    """
    seeds, n = drawn.shape[-2], counts.shape[1]
    nothing = np.zeros((*drawn.shape[:-1], seeds))
    usable = np.isfinite(drawn).reshape(-1, drawn.shape[-1]).all(0)
    count = int(usable.sum())
    if count < SMALLEST_SHARE * len(counts) or count < 4 * n:
        return nothing
    kept, used = drawn[..., usable], counts[usable]
    kept = kept - kept.mean(-1, keepdims=True)
    found = (kept**2).sum((-2, -1)) / (count - 1)
    basis, _ = np.linalg.qr((used - used.mean(0))[:, :-1])
    rest = kept - (kept @ basis) @ basis.T
    pairs = rest @ rest.swapaxes(-1, -2) / (count - n)
    size = np.trace(pairs, axis1=-2, axis2=-1)
    curved = size > 1e-9 * found
    most = np.where(curved, np.minimum(1.0, found / np.where(curved, 3 * size, 1.0)), 0.0)
    return np.asarray(most[..., None, None] * pairs, np.float64)
