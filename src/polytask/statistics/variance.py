"""The variance of a mean over drawn subjects and drawn seeds, and its degrees of freedom."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from polytask.statistics.draws import Floats
from polytask.statistics.uncertainty import Uncertainty

Seeds = Literal["crossed", "nested"]


@dataclass(frozen=True)
class Variance:
    """Every field of the shape of the batch of studies, `[]` for one.

    Args:
        estimate: mean over seeds, then over folds by weight.
        subjects: variance under the paired subject bootstrap with the seeds held fixed.
        seeds: s²/S, NaN with one seed.
        uncertainty: of the estimate, from both.
    """

    estimate: Floats
    subjects: Floats
    seeds: Floats
    uncertainty: Uncertainty


def variance(
    effects: Floats, spread: Floats, subjects: Floats, weights: Floats, seeds: Seeds = "crossed"
) -> Variance:
    """Variance of the mean effect from its values by fold and seed and their bootstrap covariance.

    Args:
        effects: `[…, folds, seeds]`.
        spread: `[…, folds, seeds, seeds]`, covariance of a fold's per-seed effects over its subjects (`spread`).
        subjects, weights: `[folds]`, subjects of a fold and its weight (any scale).
        seeds: `crossed` when seed s of one fold and seed s of another may share luck (the same first weights);
            `nested` when every fold has seeds of its own, so that folds × (S − 1) differences tell of the seeds.

    An effect of subject i under seed s is, in the terms of a two-way layout (n subjects, S seeds),

        d_is = μ + a_i + b_s + c_is,    Var(mean) = σa²/n + σb²/S + σc²/(nS),

    with c what a training does to a subject (interaction; the largest term where retraining flips single cases). The
    bootstrap of the seed-mean sees the c averaged over seeds, v_boot → σa²/n + σc²/(nS). The variance of the per-seed
    effects sees them too, for each is a mean over the same finite subjects: s² → σb² + σc²/n. **The sum v_boot + s²/S
    therefore counts σc²/(nS) twice**; where c is all there is, the variance is doubled and the test errs in 1.4 % of
    studies instead of 5 % (3 seeds, 60 subjects). What both see is known from the same resamples:
    v_c = Σ_s Var_boot(e_s − ē)/(S − 1) → σc²/n.
    So

        Var = s²/S + max(0, v_boot − v_c/S),

    where v_boot − v_c/S is the mean bootstrap covariance of two different seeds' effects. This is the variance of
    Obuchowski and Rockette's analysis of several readers (1995; Hillis 2007), a seed in place of a reader.

    Degrees of freedom are Satterthwaite's over these two parts: S − 1 (nested: by fold) and ν = subjects − folds; see
    `uncertainty` and `freedom`. With one seed Var = v_boot with ν: it is then true of these trainings only. Folds are
    taken as they are: how training sets differ is not drawn.
    """
    n, w = np.asarray(subjects, np.float64), np.asarray(weights, np.float64)
    w = w / w.sum()
    count = effects.shape[-1]
    by_seed = np.einsum("...fs,f->...s", effects, w)
    covariance = np.einsum("...fst,f->...st", spread, w**2)
    boot = covariance.mean((-2, -1))
    nu = float(n.sum() - len(n))
    if count == 1:
        known = Uncertainty(np.sqrt(boot), np.zeros_like(boot), 0.0, nu)
        return Variance(by_seed.mean(-1), boot, np.full_like(boot, np.nan), known)
    diagonal = np.trace(covariance, axis1=-2, axis2=-1)
    both = np.maximum(0.0, (diagonal - count * boot) / (count - 1)) / count
    common = np.maximum(0.0, boot - both)
    if seeds == "crossed":
        part, k = by_seed.var(-1, ddof=1) / count, float(count - 1)
    else:
        part = np.einsum("...f,f->...", effects.var(-1, ddof=1), w**2) / count
        k = float((count - 1) * (w**2).sum() ** 2 / (w**4).sum())
    total = part + common
    share = part / np.where(total > 0, total, 1.0)
    return Variance(by_seed.mean(-1), boot, part, Uncertainty(np.sqrt(total), share, k, nu))
