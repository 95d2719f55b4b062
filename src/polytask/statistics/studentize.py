"""The studentized bootstrap of a mean over the subjects of one or several folds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from polytask.array_types import Floats
from polytask.statistics.resample_counts import BOOTSTRAP_RESAMPLES, draw_counts

MIN_RESAMPLES, MAX_DRAWN_SUBJECTS = 1_998, 10_000_000
"""Limits of the number of resamples: all of them together draw no more than `MAX_DRAWN_SUBJECTS` subjects, because a
mean of thousands is hardly skewed, but there are never fewer than `MIN_RESAMPLES`."""


def studentize(
    folds: Sequence[Floats], weights: Sequence[float], resamples: int = BOOTSTRAP_RESAMPLES, seed: int = 0
) -> Floats:
    """Compute (mean of a resample − mean) ÷ standard error *of the resample*, `[resamples]`.

    This says how far a study like this one lies from the truth, in its own standard errors (Efron 1982; Hall 1992,
    section 3.3). Subjects are drawn with replacement within their fold. As every resample has its own standard error,
    the values follow the skew: where few subjects lose much, resamples without them have a high mean *and* a small
    error.

    Args:
        folds: values of the subjects `[subjects]` of each fold; NaN is not allowed.
        weights: of the folds; they sum to 1.
    """
    resamples = min(resamples, max(MIN_RESAMPLES, MAX_DRAWN_SUBJECTS // sum(len(x) for x in folds)))
    blocks = (draw_counts(len(x), resamples, (seed, k)) for k, x in enumerate(folds))
    # Sorted values: the answer must not depend on the order in which subjects come.
    ratios: Floats = studentize_batch([np.sort(x)[None] for x in folds], weights, blocks)[0]
    return ratios


def studentize_batch(
    folds: Sequence[Floats], weights: Sequence[float], counts: Iterable[Iterable[Floats]]
) -> Floats:
    """Compute the values of `studentize` for a batch of studies at once, `[studies, resamples]`.

    The variance of a resample is pulled towards that of the sample by 1/n. Otherwise a resample with only one value
    (all subjects equal but a few) would lie infinitely far away.

    Args:
        folds: `[studies, subjects]` of each fold.
        counts: of each fold, blocks `[resamples, subjects]` from `draw_counts`; the same for all studies.
    """
    shift, drawn, whole = 0.0, 0.0, 0.0
    for x, w, blocks in zip(folds, weights, counts, strict=True):
        n = x.shape[-1]
        centered = x - x.mean(-1, keepdims=True)
        moments = np.concatenate([centered, centered**2])
        averages = np.concatenate([moments @ block.T for block in blocks], axis=-1) / n
        mean, square = averages[: len(x)], averages[len(x) :]
        shift = shift + w * mean
        drawn = drawn + w**2 * np.maximum(0.0, square - mean**2) / max(1, n - 1)
        whole = whole + w**2 * (centered**2).mean(-1, keepdims=True) / max(1, n - 1)
    pull = 1 / sum(x.shape[-1] for x in folds)
    variance = np.asarray((1 - pull) * drawn + pull * whole)
    error = np.sqrt(np.where(variance > 0, variance, 1.0))
    return np.asarray(np.where(variance > 0, shift / error, 0.0), np.float64)
