"""The variance of a mean over drawn subjects and drawn trainings, split into these two parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from polytask.array_types import Floats
from polytask.statistics.freedom import combine_freedoms


@dataclass(frozen=True)
class EffectVariance:
    """The parts of a variance; every field has the shape of the batch of studies, `[]` for one study.

    Args:
        estimate: mean over subjects and seeds, then over folds by weight.
        subjects: part of the subjects, beyond what the trainings do to each of them.
        seeds: part of the trainings; NaN with one seed.
        by_subjects: degrees of freedom of the first part, subjects − folds.
        by_seeds: degrees of freedom of the luck in the second part; 0 with one seed.
        luck: share in the whole of the trainings' luck beyond what they do to single subjects; 0 with one seed.
        retraining: share of what trainings do to single subjects that resamples of the subjects do not show: with
            `pairs`, where all subjects together measure it well; else 0.
    """

    estimate: Floats
    subjects: Floats
    seeds: Floats
    by_subjects: float
    by_seeds: Floats
    luck: Floats
    retraining: Floats

    @property
    def error(self) -> Floats:
        """The standard error of the mean effect."""
        return np.asarray(np.sqrt(self.subjects + np.nan_to_num(self.seeds)), np.float64)

    def freedom(self) -> Floats:
        """Compute the degrees of freedom of the whole after Satterthwaite, for the reader and for the detectable
        effect."""
        if not np.any(self.by_seeds):
            return np.full(np.shape(self.estimate), self.by_subjects)
        rest = 1 - self.luck
        return combine_freedoms([self.luck, rest], [np.maximum(self.by_seeds, 1e-9), self.by_subjects])


def split_variance(
    folds: Sequence[Floats], weights: Sequence[float], pairs: Sequence[Floats] | None = None
) -> EffectVariance:
    """Split the variance of the mean effect into the part of the subjects and the part of the trainings.

    Args:
        folds: each fold's effects by training and subject `[…, seeds, subjects]`: values whose mean over the subjects
            is the effect under that seed, and whose spread is its standard error (`metric_values.Contributions`).
        weights: of the folds; they sum to 1.
        pairs: of each fold, what is subtracted for a measure of rank `[…, seeds, seeds]`
            (`pair_variance.estimate_pair_covariance`).

    In the terms of a two-way layout (n subjects, S seeds), the effect of subject i under seed s is

        d_is = μ + a_i + b_s + c_is,    Var(mean) = σa²/n + σb²/S + σc²/(nS),

    where b is the luck of a training and c what the training does to a subject (the largest term where retraining
    changes single cases). Three numbers are estimated. v, the covariance over subjects of two different seeds' effects,
    estimates σa²/n and contains nothing of the trainings. s², the variance of the per-seed effects, estimates σb² +
    σc²/n. u, what subjects differ by between seeds, estimates σc²/n alone, from (n − 1)(S − 1) differences. So

        Var = v + u/S + max(0, s² − u)/S,

    each summed over folds. This is the variance of Obuchowski and Rockette's analysis of several readers (1995; Hillis
    2007), with a seed in place of a reader.

    v + u/S is the variance of the subjects' means over the seeds. It is never below 0 and known from n − 1 differences.
    v alone may be below 0, and setting it to 0 there would make every study too careful whose subjects only the
    trainings move. v + u/S counts as at least half of u/S, so that subjects whose seeds cancel by chance prove nothing.
    Where `pairs` are subtracted, v + u/S may be below 0 itself, and then a v below 0 counts as 0.

    Every fold has its own trainings. Only the excess of s² over u is luck, known from S − 1 differences per fold. Its
    degrees of freedom are Satterthwaite's over the folds' excesses, since the luck of one fold may be larger than
    another's, to the power 1 − 1/S, times what they are with equal luck, to the power 1/S: few trainings say little
    about how uneven they are. With one seed Var is that of the subjects, and holds for these trainings only.
    """
    w = np.asarray(weights, np.float64)
    count = folds[0].shape[-2]
    by_seed = [x.mean(-1) for x in folds]
    estimate = np.asarray(sum(k * e.mean(-1) for k, e in zip(w, by_seed, strict=True)), np.float64)
    by_subjects = float(sum(x.shape[-1] - 1 for x in folds))
    fold_parts = [split_covariance(x, None if pairs is None else pairs[k]) for k, x in enumerate(folds)]
    subjects = np.asarray(sum(k**2 * v for k, (v, _) in zip(w, fold_parts, strict=True)), np.float64)
    none = np.zeros_like(estimate)
    if count == 1:
        return EffectVariance(
            estimate, subjects, np.full_like(estimate, np.nan), by_subjects, none, none, none
        )
    spread = [k**2 * e.var(-1, ddof=1) / count for k, e in zip(w, by_seed, strict=True)]
    shown = [k**2 * u / count for k, (_, u) in zip(w, fold_parts, strict=True)]
    # This is u/S of the docstring, summed over folds; `beyond` is the excess that counts as luck.
    least = np.asarray(sum(shown), np.float64)
    beyond = np.maximum(0.0, np.asarray(sum(spread)) - least)
    own = combine_freedoms(
        [np.maximum(0.0, s - u) for s, u in zip(spread, shown, strict=True)], [count - 1.0] * len(spread)
    )
    even = (count - 1) * (w**2).sum() ** 2 / (w**4).sum()
    own = np.where(np.isfinite(own), own, even)
    kept = np.maximum(0.0, subjects)
    whole = beyond + (np.maximum(subjects + least, least / 2) if pairs is None else kept + least)
    seeds = whole - kept
    share = 1 / np.where(whole > 0, whole, 1.0)
    luck = beyond * share
    # Resamples of subjects show what trainings do to single ones, with its skew; not so where pairs are taken off.
    retraining = none if pairs is None else seeds * share - luck
    freedom = own ** (1 - 1 / count) * even ** (1 / count)
    return EffectVariance(estimate, kept, seeds, by_subjects, freedom, luck, retraining)


def split_covariance(fold: Floats, pairs: Floats | None = None) -> tuple[Floats, Floats]:
    """Split the covariance of a fold's effects `[…, seeds, subjects]` in two; both parts are `[…]`.

    The first is the covariance of two different seeds' means over the subjects, the second by how much the variance of
    one is larger. With one seed they are its variance and 0. `pairs` is subtracted `[…, seeds, seeds]`, up to half.
    """
    count, n = fold.shape[-2:]
    off = fold - fold.mean(-1, keepdims=True)
    covariance = off @ off.swapaxes(-1, -2) / (n * max(1, n - 1))
    if pairs is not None:
        most = np.trace(covariance, axis1=-2, axis2=-1) / 2
        size = np.trace(pairs, axis1=-2, axis2=-1)
        part = np.minimum(1.0, most / np.where(size > 0, size, 1.0))
        covariance = covariance - part[..., None, None] * pairs
    own = np.trace(covariance, axis1=-2, axis2=-1) / count
    if count == 1:
        return own, np.zeros_like(own)
    common = (covariance.sum((-2, -1)) - count * own) / (count * (count - 1))
    return common, np.maximum(0.0, own - common)
