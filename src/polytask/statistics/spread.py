"""How effects vary over subjects: the bootstrap, less what resampling adds to measures of rank."""

from __future__ import annotations

import numpy as np

from polytask.statistics.draws import Floats

SMALLEST_SHARE = 0.5
"""Of the resamples, those on which every metric must be defined, as for intervals of one run."""
DRAWS_PER_SUBJECT = 4
"""With fewer resamples than this the correction is not estimated; with so many subjects it is negligible."""


def covariance(drawn: Floats, weights: Floats) -> Floats:
    """Variance and covariance `[…, seeds, seeds]` of effects `drawn […, seeds, resamples]` on a fold's subjects.

    For a mean it is the bootstrap's × n/(n − 1). For an AUC, a C-index or κ the bootstrap's is too large in small
    folds. Such a measure is a mean over pairs of subjects, and its variance has a part Q that belongs to the pairs. Of
    that the bootstrap shows 3 Q where there is Q: once as pairs, twice more in the subjects' means, each from few
    pairs. The pairs' part is what remains of the resampled values after least squares on how often each subject was
    drawn. What that explains is DeLong's variance, once its two groups (positives, negatives) have cost two degrees of
    freedom:

        covariance = (bootstrap − Q) n/(n − 2) − Q,    Q at most a third of the bootstrap's.

    For a mean nothing remains and nothing is taken off. NaN when too few resamples are defined.

    Args:
        weights: `[resamples, subjects]`, `Draws.weights`.
    """
    usable = np.isfinite(drawn).reshape(-1, drawn.shape[-1]).all(0)
    seeds, count = drawn.shape[-2], int(usable.sum())
    if count < max(2, SMALLEST_SHARE * len(weights)):
        return np.full((*drawn.shape[:-1], seeds), np.nan)
    kept, counts = drawn[..., usable], weights[usable]
    kept = kept - kept.mean(-1, keepdims=True)
    found = kept @ kept.swapaxes(-1, -2) / (count - 1)
    n = counts.shape[1]
    plain = found * n / (n - 1)
    if count < DRAWS_PER_SUBJECT * n:
        return np.asarray(plain, np.float64)
    basis, _ = np.linalg.qr((counts - counts.mean(0))[:, :-1])
    rest = kept - (kept @ basis) @ basis.T
    pairs = rest @ rest.swapaxes(-1, -2) / (count - n)
    size, of_pairs = (np.trace(x, axis1=-2, axis2=-1)[..., None, None] for x in (found, pairs))
    curved = of_pairs > 1e-9 * size
    pairs = np.minimum(1.0, size / np.where(curved, 3 * of_pairs, 1.0)) * pairs
    return np.asarray(np.where(curved, (found - pairs) * n / max(1, n - 2) - pairs, plain), np.float64)
