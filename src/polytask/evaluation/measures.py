"""Computes every metric of one run from its items, with its interval and with the influence of each subject."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from polytask.evaluation.floors import FLOORS, Method, find_shortage
from polytask.evaluation.measured import Flags, Measured, undefined
from polytask.statistics.area import find_area_influence, judge_area
from polytask.statistics.comparable_pairs import count_pairs
from polytask.statistics.concordance import find_concordance_influence, judge_concordance
from polytask.statistics.draws import Floats, Indices
from polytask.statistics.kappa import find_kappa_influence, judge_kappa
from polytask.statistics.mean import judge_mean
from polytask.statistics.share import judge_share
from polytask.statistics.unseen import judge_bounded_mean
from polytask.tasks.confusion import quadratic_kappa

Ends = Callable[[], tuple[float, float]]
"""A function that finds the ends of an interval. It is called only where there are enough cases for one."""
UNSEEN_ERROR = 2.0
"""Errors have no upper bound: an unseen subject is assumed to have twice the largest error that was seen. Where 6 % of
errors are five times as large, the interval of 20 cases then covers 94 % instead of 80 %."""


@dataclass(frozen=True)
class Measures:
    """Computes metrics of items that belong to subjects; intervals are over subjects, not over items.

    Args:
        subjects: number of subjects, with and without items.
        owner: `[items]`, position of the subject that each item belongs to.
        resamples, seed: number of resamples and seed of the bootstraps.
    """

    subjects: int
    owner: Indices
    resamples: int
    seed: int = 0

    def among(self, chosen: Flags) -> Measures:
        """Return a calculator for the chosen items only; `chosen` is `[items]`."""
        return Measures(self.subjects, self.owner[chosen], self.resamples, self.seed)

    def sum(self, values: npt.ArrayLike) -> Floats:
        """Sum values `[items]` by subject; the result is `[subjects]`."""
        found = np.bincount(self.owner, np.asarray(values, np.float64), self.subjects)
        return np.asarray(found, np.float64)

    def count(self, chosen: Flags | None = None) -> int:
        """Count the subjects that have at least one (chosen) item."""
        return len(np.unique(self.owner if chosen is None else self.owner[chosen]))

    def share(self, right: npt.ArrayLike) -> Measured:
        """Measure the share of items that are right."""
        hits, counts = self.sum(right), self.sum(np.ones(self.owner.size))
        return self._mean("share", hits, counts, lambda: judge_share(hits, counts))

    def mean(self, values: npt.ArrayLike) -> Measured:
        """Measure the mean of values of any sign."""
        sums, counts = self.sum(values), self.sum(np.ones(self.owner.size))

        def ends() -> tuple[float, float]:
            found = judge_mean(sums, counts, resamples=self.resamples, seed=self.seed)
            return found.low, found.high

        return self._mean("mean", sums, counts, ends)

    def error(self, values: npt.ArrayLike, far: float = UNSEEN_ERROR) -> Measured:
        """Measure the mean of errors or distances, none below 0; an unseen one may be `far` times the largest."""
        sums, counts = self.sum(values), self.sum(np.ones(self.owner.size))
        most = far * float(np.max(np.asarray(values, np.float64), initial=0.0))
        return self._mean(
            "error",
            sums,
            counts,
            lambda: judge_bounded_mean(sums, counts, (0.0, most), resamples=self.resamples, seed=self.seed),
        )

    def bounded_mean(self, values: npt.ArrayLike, weights: npt.ArrayLike | None = None) -> Measured:
        """Measure Σ values ÷ Σ weights, which lies between 0 and 1; each weight is 1 by default."""
        counts = self.sum(np.ones(self.owner.size) if weights is None else weights)
        sums = self.sum(values)
        return self._mean(
            "bounded mean",
            sums,
            counts,
            lambda: judge_bounded_mean(sums, counts, resamples=self.resamples, seed=self.seed),
        )

    def _mean(self, method: Method, sums: Floats, counts: Floats, ends: Ends) -> Measured:
        total = float(counts.sum())
        if not total:
            return undefined(self.subjects, method)
        estimate = float(sums.sum() / total)
        there = counts > 0
        # The derivative of a ratio of sums by the weight of one subject.
        influence = (sums - estimate * counts) / total
        return self._judged(method, estimate, influence, int(there.sum()), ends, there)

    def area(
        self, scores: npt.ArrayLike, positive: npt.ArrayLike, weights: npt.ArrayLike | None = None
    ) -> Measured:
        """Measure the AUC. `weights` are those of the positives: they are read at the positions of positives only."""
        p = np.asarray(positive, bool)
        estimate, influence = find_area_influence(scores, p, weights)
        if not np.isfinite(estimate):
            return undefined(self.subjects, "area")
        return self._judged(
            "area",
            estimate,
            self.sum(influence),
            # The rarer class decides how sure an AUC is.
            min(self.count(p), self.count(~p)),
            lambda: judge_area(scores, p, self.owner, weights, resamples=self.resamples, seed=self.seed),
        )

    def kappa(self, truth: npt.ArrayLike, answer: npt.ArrayLike, classes: int) -> Measured:
        """Measure quadratic κ; undefined when all truths are of one class."""
        t, a = np.asarray(truth, np.int64), np.asarray(answer, np.int64)
        if len(np.unique(t)) < 2:
            return undefined(self.subjects, "kappa")
        tables = np.zeros((self.subjects, classes, classes))
        np.add.at(tables, (self.owner, t, a), 1.0)
        estimate = quadratic_kappa(tables.sum(0))
        return self._judged(
            "kappa",
            estimate,
            find_kappa_influence(tables),
            self.count(),
            lambda: judge_kappa(tables, resamples=self.resamples, seed=self.seed),
        )

    def concordance(self, risk: npt.ArrayLike, times: npt.ArrayLike, events: npt.ArrayLike) -> Measured:
        """Measure Harrell's concordance index C."""
        # A risk that is not a number cannot be ranked: C is undefined rather than of the others only.
        if not np.isfinite(np.asarray(risk, np.float64)).all():
            return undefined(self.subjects, "concordance")
        pairs = count_pairs(risk, times, events)
        total = float(pairs.early.sum())
        if not total:
            return undefined(self.subjects, "concordance")
        estimate = float(pairs.early_right.sum()) / total
        influence = self.sum(find_concordance_influence(pairs))
        happened = self.count(np.asarray(events) > 0)
        known = np.unique(self.owner)
        return self._judged(
            "concordance",
            estimate,
            influence,
            happened,
            lambda: judge_concordance(estimate, influence[known], total, happened),
        )

    def curved(
        self,
        estimate: float,
        influence: npt.ArrayLike,
        stretched: float,
        slope: float,
        back: Callable[[float], float],
    ) -> Measured:
        """Measure a smooth function of means, judged on a scale on which its distribution is nearly symmetric.

        Args:
            influence: `[items]`, influence of each item on the estimate.
            stretched, slope: the estimate on that scale, and the derivative of that scale by the estimate.
            back: function from that scale back to the scale of the estimate.
        """
        by_subject = self.sum(influence)
        if not np.isfinite([estimate, stretched, slope]).all():
            found = undefined(self.subjects, "spread")
            return replace(found, estimate=estimate, shortage="nothing is wrong to tell it by")
        known = np.unique(self.owner)

        def ends() -> tuple[float, float]:
            # Pseudo-values: their mean is the estimate on that scale, and their spread is that of the influences.
            values = stretched + slope * known.size * by_subject[known]
            judged = judge_mean(values, resamples=self.resamples, seed=self.seed)
            low, high = sorted((back(judged.low), back(judged.high)))
            return low, high

        return self._judged("spread", estimate, by_subject, known.size, ends)

    def _judged(
        self,
        method: Method,
        estimate: float,
        influence: Floats,
        count: int,
        ends: Ends,
        there: Flags | None = None,
    ) -> Measured:
        if there is None:
            there = np.bincount(self.owner, minlength=self.subjects) > 0
        found = Measured(estimate, influence, there, method, shortage=find_shortage(FLOORS[method], count))
        if found.shortage:
            return found
        low, high = ends()
        # For instance all values are equal, so that a bootstrap has nothing to draw from.
        if not np.isfinite([low, high]).all():
            return replace(found, shortage="too few values that vary")
        return replace(found, low=float(low), high=float(high))
