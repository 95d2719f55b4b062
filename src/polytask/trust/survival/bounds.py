"""Times that a promised share of patients lives beyond, under censoring (DR-COSARC: Sesia and Svetnik 2025).

Every predicted quantile is a candidate: the one for 7 % is passed by less than 10 % of patients, or more, depending on
what the network is worth. How many events come before it is counted among held-out patients, each event and each
patient still at risk weighed by one over the probability of being followed so long.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from math import log

import numpy as np

from polytask.array_types import Floats
from polytask.trust.conformal import find_smallest_count
from polytask.trust.survival.cases import SHARES, SurvivalCases
from polytask.trust.survival.censoring import CensoringModel, fit_censoring


@dataclass(frozen=True)
class MissedCounts:
    """What held-out patients say about each of `SHARES` `[A]`: weighted events before its time, the weights of all
    whose outcome by that time is known, and the sum of their squares."""

    missed: Floats
    weight: Floats
    squares: Floats

    def __add__(self, other: MissedCounts) -> MissedCounts:
        return MissedCounts(
            self.missed + other.missed, self.weight + other.weight, self.squares + other.squares
        )


def find_followed_share(count: int) -> float:
    """Find the share that must be followed to a bound: 1 / ln n. Later ones would rest on few patients with large
    weights."""
    return min(0.99, 1 / max(1.0, log(max(count, 1))))


def count_missed(cases: SurvivalCases, censoring: CensoringModel, share: float) -> MissedCounts:
    """Count the events before each candidate time.

    Sesia and Svetnik draw an end of follow-up for each patient with an event, and keep who is followed to the
    candidate. Here the mean over all draws is taken, which is 1 / P(followed to the event), so that nothing is random.

    Args:
        share: see `find_followed_share`; candidates are cut where fewer are followed.
    """
    bound = np.minimum(cases.quantiles, censoring.find_ends(cases.risk, share)[:, None])
    alive = cases.times[:, None] >= bound
    before = ~alive & (cases.events[:, None] > 0)
    late = 1 / np.maximum(censoring.evaluate(cases.risk, bound), 1e-4)
    early = 1 / np.maximum(censoring.evaluate(cases.risk, cases.times), 1e-4)
    missed = before * early[:, None]
    weight = np.where(alive, late, missed)
    return MissedCounts(missed.sum(0), weight.sum(0), (weight**2).sum(0))


def choose_share(counts: Sequence[MissedCounts], alpha: float) -> float:
    """Choose the largest of `SHARES` before whose time at most α of the patients of all members have the event; 0 where
    none is small enough.

    A new patient counts as one more event, as everywhere in conformal prediction: without censoring the bound is the
    one of split conformal prediction.
    """
    total = reduce(MissedCounts.__add__, counts)
    effective = total.weight**2 / np.maximum(total.squares, 1e-12)
    rate = np.maximum.accumulate(total.missed / np.maximum(total.weight, 1e-12))
    allowed = alpha - (1 - alpha) / np.maximum(effective, 1e-12)
    good = np.logical_and.accumulate(rate <= allowed + 1e-9)
    return float(SHARES[np.flatnonzero(good)[-1]]) if good.any() else 0.0


@dataclass(frozen=True)
class MemberBound:
    """What one member needs for a bound: the censoring of its held-out patients and the share that must be followed."""

    censoring: CensoringModel
    followed: float


def fit_bounds(members: Sequence[SurvivalCases], alpha: float) -> tuple[float, tuple[MemberBound, ...]]:
    """Fit the share whose predicted time is the bound, for all members together → (share, what each member needs).

    The share is 0, and the bound then 0, where fewer events are known than the level needs answers.
    """
    fits = [
        MemberBound(fit_censoring(own.risk, own.times, own.events), find_followed_share(len(own.times)))
        if len(own.times)
        else MemberBound(CensoringModel(0.0, 1.0, 0.0), 1.0)
        for own in members
    ]
    if sum(float(own.events.sum()) for own in members) < find_smallest_count(alpha):
        return 0.0, tuple(fits)
    counts = [count_missed(own, fit.censoring, fit.followed) for own, fit in zip(members, fits, strict=True)]
    return choose_share(counts, alpha), tuple(fits)


def make_bounds(
    share: float,
    members: Sequence[MemberBound],
    risks: Sequence[Floats],
    quantiles: Sequence[Floats],
    plains: Sequence[Floats],
) -> Floats:
    """Make the bounds `[N]` of N patients.

    Each member gives the smaller of its times for the chosen share and for α (doubly robust: it then is enough that
    either the censoring or the survival is described well), cut where few are followed. Of several members the lower
    median is taken.

    Args:
        risks: of each member `[N]`. quantiles: of each member the times of the chosen share `[N]`. plains: those of α.
    """
    if share == 0:
        return np.zeros(len(risks[0]))
    own = [
        np.minimum(np.minimum(q, plain), fit.censoring.find_ends(risk, fit.followed))
        for fit, risk, q, plain in zip(members, risks, quantiles, plains, strict=True)
    ]
    return np.asarray(np.sort(np.stack(own), axis=0)[(len(own) - 1) // 2], dtype=np.float64)


def bracket_coverage(bound: Floats, times: Floats, events: Floats) -> tuple[float, float]:
    """Bracket the share of patients whose event comes at or after the bound → (at least, at most): of those censored
    before it nothing is known."""
    held = bound <= times
    return float(held.mean()), float(1 - (~held & (events > 0)).mean())
