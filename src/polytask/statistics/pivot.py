"""How far an estimate may lie from the truth, in standard errors: p and every interval are read from this."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import stats

from polytask.statistics.draws import Floats

PAIRINGS = 2
"""Draws of the trainings' luck, each with both signs, beside every resample of the subjects."""

PLACES = 9_998
"""Enough for the tails of many comparisons: at level 1 − 0.05/20 twelve lie beyond each end. An even number: then no p
equals 0.05/m, and a word and its interval cannot disagree by rounding."""
TRUSTED = 10
"""So many of the outermost resamples on each side tell together how far the tail reaches; single ones are luck."""


@dataclass(frozen=True)
class Pivot:
    """The distribution of (estimate − truth) ÷ standard error.

    Args:
        places: values in order `[…, even number]`, of a batch of studies or of one.
    """

    places: Floats

    def p(self, ratio: float | Floats) -> Floats:
        """Two-sided p of estimate ÷ standard error: twice the share of places at least as far on its side."""
        found = np.asarray(ratio, np.float64)
        n = self.places.shape[-1]
        beyond = np.where(
            found >= 0,
            (self.places >= found[..., None]).sum(-1),
            (self.places <= found[..., None]).sum(-1),
        )
        return np.where(np.isfinite(found), np.minimum(1.0, 2 * (1 + beyond) / (n + 1)), np.nan)

    def ends(self, level: float = 0.95) -> tuple[Floats, Floats]:
        """(a, b) with interval = estimate − a·error to estimate + b·error; it excludes 0 exactly when p ≤ 1 − level.

        Infinite where the level asks for more than the places can tell.
        """
        n = self.places.shape[-1]
        k = int(np.floor((1 - level) * (n + 1) / 2 + 1e-9))
        if not k:
            nothing = np.full(self.places.shape[:-1], np.inf)
            return nothing, nothing
        k = min(k, n // 2)
        return self.places[..., n - k], -self.places[..., k - 1]


def make_pivot(
    drawn: Floats, by_subjects: float, share: float | Floats = 0.0, by_seeds: float | Floats = 0.0
) -> Pivot:
    """From the studentized bootstrap over subjects, the trainings' luck beside it, and Student's t.

    With a and b the roots of the subjects' and the trainings' share in the variance, (estimate − truth) ÷ error is
    a·T + b·U. T comes from the bootstrap (`studentize`), U from Student's t with the degrees of freedom of the
    trainings' variance: the distribution of Behrens and Fisher with a bootstrapped first part. It gives the few
    trainings their long tail at every share, also where their spread came out small by chance.

    A skew that few subjects show is believed where it makes a tail longer, and not where it makes one shorter: on each
    side the farther of the bootstrap and of Student's t (`by_subjects` degrees of freedom in place of the bootstrap)
    counts. So three subjects who all gain much are no better evidence than in a t-test.

    Args:
        drawn: `[…, resamples]` of `studentize`.
        by_subjects: subjects − folds.
        share, by_seeds: of the trainings, `[…]`; 0 with one training.
    """
    grid = (np.arange(PLACES) + 0.5) / PLACES
    normal = find_student_quantiles(by_subjects)
    drawn = smooth(drawn, normal)
    if not np.any(share):
        return Pivot(farther(drawn, normal))
    part = np.asarray(share, np.float64)[..., None]
    freedom = np.asarray(by_seeds, np.float64)[..., None]
    a, b = np.sqrt(1 - part), np.sqrt(part)
    rng = np.random.default_rng(0)
    found, plain = [], []
    for _ in range(PAIRINGS):
        order = rng.permutation(PLACES)
        luck = b * stats.t.ppf(grid, freedom)[..., order]
        found += [a * drawn + luck, a * drawn - luck]
        plain += [a * normal + luck, a * normal - luck]
    mixed = np.sort(np.concatenate(plain, -1), -1)
    even = (mixed - mixed[..., ::-1]) / 2
    return Pivot(farther(np.sort(np.concatenate(found, -1), -1), even))


@lru_cache(maxsize=64)
def find_student_quantiles(freedom: float) -> Floats:
    """Student's t at the ranks of `PLACES`; finding them takes most of the time of an interval."""
    found = np.asarray(stats.t.ppf((np.arange(PLACES) + 0.5) / PLACES, freedom), np.float64)
    found.setflags(write=False)
    return found


def smooth(drawn: Floats, like: Floats) -> Floats:
    """The quantiles of resamples `[…, resamples]` at `PLACES` ranks, ordered.

    Beyond the `TRUSTED` outermost resamples a tail goes on as that of `like` does (quantiles at the same ranks), scaled
    to meet them.
    """
    ordered = np.sort(drawn, -1)
    n = ordered.shape[-1]
    at = np.clip((np.arange(PLACES) + 0.5) / PLACES * n - 0.5, 0, n - 1)
    below = np.minimum(at.astype(np.int64), max(0, n - 2))
    rest = at - below
    found = ordered[..., below] * (1 - rest) + ordered[..., np.minimum(below + 1, n - 1)] * rest
    tail = int(np.ceil(PLACES * min(0.25, TRUSTED / n)))
    for outer, edge in ((slice(None, tail), tail), (slice(-tail, None), PLACES - 1 - tail)):
        found[..., outer] = found[..., edge, None] * (like[outer] / like[edge])
    return np.sort(found, -1)


def farther(first: Floats, second: Floats) -> Floats:
    """Of two ordered sets of as many values, the lower in the lower half and the higher in the upper half."""
    half = first.shape[-1] // 2
    low = np.minimum(first[..., :half], second[..., :half])
    return np.concatenate([low, np.maximum(first[..., half:], second[..., half:])], -1)
