"""How far an estimate may lie from the truth, in standard errors: p and every interval come from this."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import stats

from polytask.array_types import Floats

LUCK_DRAWS = 2
"""Draws of the trainings' luck, each with both signs, beside every resample of the subjects."""

PIVOT_VALUES = 9_998
"""Enough values for the tails of many comparisons: at level 1 − 0.05/20 twelve lie beyond each end. The number is even:
then no p equals 0.05/m, and a verdict and its interval cannot disagree by rounding."""
TRUSTED_TAIL_VALUES = 10
"""Number of outermost resamples on each side that together tell how far the tail reaches; a single one varies."""


@dataclass(frozen=True)
class Pivot:
    """The distribution of (estimate − truth) ÷ standard error.

    Args:
        places: its values in order `[…, even number]`, of a batch of studies or of one.
    """

    places: Floats

    def p(self, ratio: float | Floats) -> Floats:
        """Compute the two-sided p of estimate ÷ standard error.

        It is twice the share of values at least as far on the side of the estimate.
        """
        ratios = np.asarray(ratio, np.float64)
        n = self.places.shape[-1]
        beyond = np.where(
            ratios >= 0,
            (self.places >= ratios[..., None]).sum(-1),
            (self.places <= ratios[..., None]).sum(-1),
        )
        return np.where(np.isfinite(ratios), np.minimum(1.0, 2 * (1 + beyond) / (n + 1)), np.nan)

    def ends(self, level: float = 0.95) -> tuple[Floats, Floats]:
        """Return (a, b): the interval reaches from estimate − a·error to estimate + b·error.

        It excludes 0 exactly when p ≤ 1 − level. Both are infinite where the level asks for more than the values can
        tell.
        """
        n = self.places.shape[-1]
        # 1 − level is rounded: without the tolerance `floor` could lose a value.
        k = int(np.floor((1 - level) * (n + 1) / 2 + 1e-9))
        if not k:
            nothing = np.full(self.places.shape[:-1], np.inf)
            return nothing, nothing
        k = min(k, n // 2)
        return self.places[..., n - k], -self.places[..., k - 1]


def make_pivot(
    drawn: Floats,
    by_subjects: float,
    luck: float | Floats = 0.0,
    by_seeds: float | Floats = 0.0,
    retraining: float | Floats = 0.0,
    places: int = PIVOT_VALUES,
) -> Pivot:
    """Make the pivot of the studentized bootstrap over subjects, the trainings, and Student's t.

    With a, b and c the roots of the shares in the variance (`variance`), (estimate − truth) ÷ error is a·T + b·U + c·Z.
    T comes from the bootstrap (`studentize`). U is Student's t with the few degrees of freedom of the trainings' luck.
    Z, what the trainings do to single subjects, is normal. This is the distribution of Behrens and Fisher with a
    bootstrapped part. It gives few trainings a long tail at every share, also at one that is small by chance.

    A skew that few subjects show is believed where it makes a tail longer, not where it makes one shorter: on each side
    the farther of the bootstrap and of Student's t (with `by_subjects` degrees of freedom) counts. So three subjects
    who all gain much are no better evidence than in a t-test.

    Args:
        drawn: `[…, resamples]` of `studentize`.
        by_subjects: subjects − folds.
        luck, by_seeds, retraining: of the trainings, `[…]`; 0 with one training.
        places: how many values stand for a distribution (an even number); four times as many with the trainings.
    """
    grid = (np.arange(places) + 0.5) / places
    normal = find_student_quantiles(by_subjects, places)
    drawn = smooth_quantiles(drawn, normal)
    if not np.any(luck) and not np.any(retraining):
        return Pivot(combine_wider_tails(drawn, normal))
    shares = [np.asarray(x, np.float64)[..., None] for x in (luck, retraining)]
    freedom = np.maximum(np.asarray(by_seeds, np.float64), 0.5)[..., None]
    a = np.sqrt(np.maximum(0.0, 1 - shares[0] - shares[1]))
    b, c = np.sqrt(shares[0]), np.sqrt(shares[1])
    rng = np.random.default_rng(0)
    far, even = stats.t.ppf(grid, freedom), stats.norm.ppf(grid)
    bootstrapped, symmetric = [], []
    for _ in range(LUCK_DRAWS):
        aside = b * far[..., rng.permutation(places)] + c * even[rng.permutation(places)]
        bootstrapped += [a * drawn + aside, a * drawn - aside]
        symmetric += [a * normal + aside, a * normal - aside]
    mixed = np.sort(np.concatenate(symmetric, -1), -1)
    # The exact distribution is symmetric; the drawn one is not quite, and an interval should not lean by
    # luck.
    mirrored = (mixed - mixed[..., ::-1]) / 2
    return Pivot(combine_wider_tails(np.sort(np.concatenate(bootstrapped, -1), -1), mirrored))


@lru_cache(maxsize=64)
def find_student_quantiles(freedom: float, places: int) -> Floats:
    """Compute Student's t at evenly spread ranks `[places]`. This takes most of the time of an interval, hence the
    cache."""
    quantiles = np.asarray(stats.t.ppf((np.arange(places) + 0.5) / places, freedom), np.float64)
    # The array is cached and shared: a write would change every later interval.
    quantiles.setflags(write=False)
    return quantiles


def smooth_quantiles(drawn: Floats, like: Floats) -> Floats:
    """Return the quantiles of resamples `[…, resamples]` at as many ranks as `like` has, in order.

    Beyond the `TRUSTED_TAIL_VALUES` outermost resamples the tail follows that of `like` (quantiles at the same ranks),
    scaled to meet them.
    """
    ordered = np.sort(drawn, -1)
    n, places = ordered.shape[-1], len(like)
    at = np.clip((np.arange(places) + 0.5) / places * n - 0.5, 0, n - 1)
    below = np.minimum(at.astype(np.int64), max(0, n - 2))
    fraction = at - below
    quantiles = ordered[..., below] * (1 - fraction) + ordered[..., np.minimum(below + 1, n - 1)] * fraction
    tail = int(np.ceil(places * min(0.25, TRUSTED_TAIL_VALUES / n)))
    for outer, edge in ((slice(None, tail), tail), (slice(-tail, None), places - 1 - tail)):
        quantiles[..., outer] = quantiles[..., edge, None] * (like[outer] / like[edge])
    return np.sort(quantiles, -1)


def combine_wider_tails(first: Floats, second: Floats) -> Floats:
    """Take, of two ordered sets of as many values, the lower values in the lower half and the higher ones in the upper
    half."""
    half = first.shape[-1] // 2
    low = np.minimum(first[..., :half], second[..., :half])
    return np.concatenate([low, np.maximum(first[..., half:], second[..., half:])], -1)
