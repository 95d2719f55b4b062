"""The area under the ROC curve (AUC): what each item adds to it, and its interval.

The interval allows for one unseen positive and one unseen negative (`unseen_subject.py`).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from polytask.array_types import NAN, Floats, Indices
from polytask.statistics.unseen_subject import BOUNDED_LEVEL, draw_weights, find_interval_ends


def find_area_influence(
    scores: npt.ArrayLike, positive: npt.ArrayLike, weights: npt.ArrayLike | None = None
) -> tuple[float, Floats]:
    """Compute P(a positive scores higher than a negative), ties one half, and its derivative by each item's weight.

    The derivatives `[items]` sum to 0. Both are NaN unless there are positives and negatives. The derivative is V/m of
    a positive and V/n of a negative, where V is the share of the other class that the item is ordered right against,
    minus the area (DeLong, DeLong and Clarke-Pearson 1988). For `weights` see `find_auc_interval`.
    """
    s, p = np.asarray(scores, np.float64), np.asarray(positive, bool)
    if not p.any() or p.all() or not np.isfinite(s).all():
        return NAN, np.full(s.size, NAN)
    up = np.ones(int(p.sum())) if weights is None else np.asarray(weights, np.float64)[p]
    down = float((~p).sum())
    negatives, order = np.sort(s[~p]), np.argsort(s[p], kind="stable")
    ranked, mass = s[p][order], np.concatenate([[0.0], np.cumsum(up[order])])
    won = sum(np.searchsorted(negatives, s[p], side) for side in ("left", "right")) / 2
    lost = sum(mass[np.searchsorted(ranked, s[~p], side)] for side in ("left", "right")) / 2
    area = float((up * won).sum() / (up.sum() * down))
    influence = np.zeros(s.size)
    influence[p] = up * (won / down - area) / up.sum()
    influence[~p] = (1 - lost / up.sum() - area) / down
    return area, influence


def find_auc_interval(
    scores: npt.ArrayLike,
    positive: npt.ArrayLike,
    subjects: npt.ArrayLike | None = None,
    weights: npt.ArrayLike | None = None,
    level: float = BOUNDED_LEVEL,
    resamples: int = 1000,
    seed: int = 0,
) -> tuple[float, float]:
    """Find the interval of P(a positive scores higher than a negative), ties one half.

    For the lower end an unseen positive scores below everything and an unseen negative above everything; for the upper
    end it is the other way round. So a sample that is answered completely right gives no certainty: at 15 positives and
    15 negatives the lower end is 0.88.

    Args:
        scores, positive: `[items]`.
        subjects: `[items]`, which subject an item belongs to (any whole numbers): the items of a subject are drawn
            together. By default each item is a subject.
        weights: `[items]`, of the positives, used at their positions only (1/G of a time-dependent AUC).
    """
    s, p = np.asarray(scores, np.float64), np.asarray(positive, bool)
    if not p.any() or p.all() or not np.isfinite(s).all():
        return NAN, NAN
    names = np.arange(s.size) if subjects is None else np.asarray(subjects)
    owner: Indices = np.unique(names, return_inverse=True)[1].astype(np.int64)
    own = np.ones(s.size) if weights is None else np.asarray(weights, np.float64)
    # Ranks instead of scores: running sums over them count all pairs of a resample without looking at each.
    place: Indices = np.unique(s, return_inverse=True)[1].astype(np.int64)
    places = int(place.max()) + 1
    of_one = (own[p].sum() / np.unique(owner[p]).size, float((~p).sum()) / np.unique(owner[~p]).size)
    lower, upper = [], []
    for drawn, unseen in draw_weights(int(owner.max()) + 1, resamples, seed, unseen=2):
        each = drawn[:, owner] * np.where(p, own, 1.0)
        high = sum_by_rank(each[:, p], place[p], places)
        low = sum_by_rank(each[:, ~p], place[~p], places)
        # Half of the negatives at the same rank: ties count one half.
        wins = (high * (np.cumsum(low, 1) - low / 2)).sum(1)
        up, down = high.sum(1), low.sum(1)
        more, less = unseen[:, 0] * of_one[0], unseen[:, 1] * of_one[1]
        pairs = (up + more) * (down + less)
        lower.append(wins / pairs)
        upper.append((pairs - up * down + wins) / pairs)
    ends = find_interval_ends(np.concatenate(lower), np.concatenate(upper), level)
    return max(0.0, ends[0]), min(1.0, ends[1])


def sum_by_rank(values: Floats, place: Indices, places: int) -> Floats:
    """Sum those columns of `values [resamples, items]` that stand at the same of `places` places."""
    order = np.argsort(place, kind="stable")
    occupied, starts = np.unique(place[order], return_index=True)
    sums = np.zeros((len(values), places))
    sums[:, occupied] = np.add.reduceat(values[:, order], starts, axis=1)
    return sums
