"""The variance of a mean over drawn subjects and drawn trainings, in its two parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from polytask.statistics.draws import Floats
from polytask.statistics.freedom import satterthwaite


@dataclass(frozen=True)
class Variance:
    """Every field of the shape of the batch of studies, `[]` for one.

    Args:
        estimate: mean over subjects and seeds, then over folds by weight.
        subjects: of the subjects, beyond what the trainings do to each of them.
        seeds: of the trainings; NaN with one seed.
        by_subjects: degrees of freedom of the first, subjects − folds.
        by_seeds: of the second; 0 with one seed.
    """

    estimate: Floats
    subjects: Floats
    seeds: Floats
    by_subjects: float
    by_seeds: Floats

    @property
    def error(self) -> Floats:
        """Standard error."""
        return np.asarray(np.sqrt(self.subjects + np.nan_to_num(self.seeds)), np.float64)

    @property
    def share(self) -> Floats:
        """Of the trainings in the whole; 0 with one seed."""
        seeds = np.nan_to_num(self.seeds)
        total = self.subjects + seeds
        return np.asarray(seeds / np.where(total > 0, total, 1.0), np.float64)

    def freedom(self) -> Floats:
        """Of the whole, Satterthwaite's: for the reader, and for what could have been shown."""
        if not np.any(self.by_seeds):
            return np.full(np.shape(self.estimate), self.by_subjects)
        return satterthwaite(
            [self.share, 1 - self.share], [np.maximum(self.by_seeds, 1e-9), self.by_subjects]
        )


def part_variance(
    folds: Sequence[Floats], weights: Sequence[float], pairs: Sequence[Floats] | None = None
) -> Variance:
    """Both parts of the variance of the mean effect.

    Args:
        folds: each fold's effects by training and subject `[…, seeds, subjects]`: values whose mean over the subjects
            is the effect under that seed, and whose spread its standard error (`values.Contributions`).
        weights: of the folds; they sum to 1.
        pairs: of each fold, what is taken off for a measure of rank `[…, seeds, seeds]` (`pairs.pair_covariance`).

    An effect of subject i under seed s is, in the terms of a two-way layout (n subjects, S seeds),

        d_is = μ + a_i + b_s + c_is,    Var(mean) = σa²/n + σb²/S + σc²/(nS),

    with c what a training does to a subject (the largest term where retraining flips single cases). The variance of
    the per-seed effects, s², estimates σb² + σc²/n. The covariance over subjects of two different seeds' effects, v,
    estimates σa²/n and holds nothing of the trainings. So

        Var = s²/S + max(0, v):

    the variance of Obuchowski and Rockette's analysis of several readers (1995; Hillis 2007), a seed in place of a
    reader, in every fold by itself: each has trainings of its own. Degrees of freedom of the trainings' part are
    Satterthwaite's over folds of S − 1 each, since the luck of one fold's trainings may be larger than another's: with
    three folds of three seeds 2 to 6. With one seed Var is that of the subjects; it is then true of these trainings
    only.
    """
    w = np.asarray(weights, np.float64)
    count = folds[0].shape[-2]
    by_seed = [x.mean(-1) for x in folds]
    estimate = np.asarray(sum(k * e.mean(-1) for k, e in zip(w, by_seed, strict=True)), np.float64)
    subjects = np.zeros_like(estimate)
    for number, (k, x) in enumerate(zip(w, folds, strict=True)):
        n = x.shape[-1]
        off = x - x.mean(-1, keepdims=True)
        all_pairs = (off.sum(-2) ** 2).sum(-1)
        same = (off**2).sum((-2, -1)) if count > 1 else 0.0
        part = (all_pairs - same) / (max(1, count * (count - 1)) * n * max(1, n - 1))
        if pairs is not None:
            q = pairs[number]
            own = np.trace(q, axis1=-2, axis2=-1) if count > 1 else 0.0
            less = (q.sum((-2, -1)) - own) / max(1, count * (count - 1))
            part = np.maximum(part - less, part / 2)
        subjects = subjects + k**2 * part
    by_subjects = float(sum(x.shape[-1] - 1 for x in folds))
    if count == 1:
        return Variance(
            estimate, subjects, np.full_like(estimate, np.nan), by_subjects, np.zeros_like(estimate)
        )
    parts = [k**2 * e.var(-1, ddof=1) / count for k, e in zip(w, by_seed, strict=True)]
    freedom = satterthwaite(parts, [count - 1.0] * len(parts))
    freedom = np.where(np.isfinite(freedom), freedom, count - 1.0)
    return Variance(
        estimate, np.maximum(0.0, subjects), np.asarray(sum(parts), np.float64), by_subjects, freedom
    )
