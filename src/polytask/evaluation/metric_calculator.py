"""Computes every metric of one run from its items, with its interval and with the influence of each subject."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from polytask.array_types import Floats, Indices
from polytask.evaluation.interval_floors import INTERVAL_FLOORS, IntervalMethod, explain_missing_interval
from polytask.evaluation.measured_metric import Flags, MeasuredMetric, build_undefined_metric
from polytask.statistics.auc_interval import find_area_influence, find_auc_interval
from polytask.statistics.comparable_pairs import count_pairs
from polytask.statistics.concordance import find_concordance_influence, find_concordance_interval
from polytask.statistics.kappa import find_kappa_influence, find_kappa_interval
from polytask.statistics.mean_interval import find_mean_interval
from polytask.statistics.share_interval import find_share_interval
from polytask.statistics.unseen_subject import find_bounded_mean_interval
from polytask.tasks.confusion import compute_quadratic_kappa

FindInterval = Callable[[], tuple[float, float]]
"""A function that finds the ends of an interval. It is called only where there are enough cases for one."""
UNSEEN_ERROR_FACTOR = 2.0
"""Errors have no upper bound: an unseen subject is assumed to have twice the largest error that was seen. Where 6 % of
errors are five times as large, the interval of 20 cases then covers 94 % instead of 80 %."""


@dataclass(frozen=True)
class MetricCalculator:
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

    def restrict_to(self, chosen: Flags) -> MetricCalculator:
        """Return a calculator for the chosen items only; `chosen` is `[items]`."""
        return MetricCalculator(self.subjects, self.owner[chosen], self.resamples, self.seed)

    def sum(self, values: npt.ArrayLike) -> Floats:
        """Sum values `[items]` by subject; the result is `[subjects]`."""
        sums = np.bincount(self.owner, np.asarray(values, np.float64), self.subjects)
        return np.asarray(sums, np.float64)

    def count(self, chosen: Flags | None = None) -> int:
        """Count the subjects that have at least one (chosen) item."""
        return len(np.unique(self.owner if chosen is None else self.owner[chosen]))

    def share(self, right: npt.ArrayLike) -> MeasuredMetric:
        """Measure the share of items that are right."""
        hits, counts = self.sum(right), self.sum(np.ones(self.owner.size))
        return self._measure_weighted_mean("share", hits, counts, lambda: find_share_interval(hits, counts))

    def mean(self, values: npt.ArrayLike) -> MeasuredMetric:
        """Measure the mean of values of any sign."""
        sums, counts = self.sum(values), self.sum(np.ones(self.owner.size))

        def ends() -> tuple[float, float]:
            interval = find_mean_interval(sums, counts, resamples=self.resamples, seed=self.seed)
            return interval.low, interval.high

        return self._measure_weighted_mean("mean", sums, counts, ends)

    def error(self, values: npt.ArrayLike, far: float = UNSEEN_ERROR_FACTOR) -> MeasuredMetric:
        """Measure the mean of errors or distances, none below 0; an unseen one may be `far` times the largest."""
        sums, counts = self.sum(values), self.sum(np.ones(self.owner.size))
        most = far * float(np.max(np.asarray(values, np.float64), initial=0.0))
        return self._measure_weighted_mean(
            "error",
            sums,
            counts,
            lambda: find_bounded_mean_interval(
                sums, counts, (0.0, most), resamples=self.resamples, seed=self.seed
            ),
        )

    def bounded_mean(self, values: npt.ArrayLike, weights: npt.ArrayLike | None = None) -> MeasuredMetric:
        """Measure Σ values ÷ Σ weights, which lies between 0 and 1; each weight is 1 by default."""
        counts = self.sum(np.ones(self.owner.size) if weights is None else weights)
        sums = self.sum(values)
        return self._measure_weighted_mean(
            "bounded mean",
            sums,
            counts,
            lambda: find_bounded_mean_interval(sums, counts, resamples=self.resamples, seed=self.seed),
        )

    def _measure_weighted_mean(
        self, method: IntervalMethod, sums: Floats, counts: Floats, ends: FindInterval
    ) -> MeasuredMetric:
        total = float(counts.sum())
        if not total:
            return build_undefined_metric(self.subjects, method)
        estimate = float(sums.sum() / total)
        has_case = counts > 0
        # The derivative of a ratio of sums by the weight of one subject.
        influence = (sums - estimate * counts) / total
        return self._add_interval(method, estimate, influence, int(has_case.sum()), ends, has_case)

    def area(
        self, scores: npt.ArrayLike, positive: npt.ArrayLike, weights: npt.ArrayLike | None = None
    ) -> MeasuredMetric:
        """Measure the AUC. `weights` are those of the positives: they are read at the positions of positives only."""
        p = np.asarray(positive, bool)
        estimate, influence = find_area_influence(scores, p, weights)
        if not np.isfinite(estimate):
            return build_undefined_metric(self.subjects, "area")
        return self._add_interval(
            "area",
            estimate,
            self.sum(influence),
            # The rarer class decides how sure an AUC is.
            min(self.count(p), self.count(~p)),
            lambda: find_auc_interval(
                scores, p, self.owner, weights, resamples=self.resamples, seed=self.seed
            ),
        )

    def kappa(self, truth: npt.ArrayLike, answer: npt.ArrayLike, classes: int) -> MeasuredMetric:
        """Measure quadratic κ; undefined when all truths are of one class."""
        t, a = np.asarray(truth, np.int64), np.asarray(answer, np.int64)
        if len(np.unique(t)) < 2:
            return build_undefined_metric(self.subjects, "kappa")
        tables = np.zeros((self.subjects, classes, classes))
        np.add.at(tables, (self.owner, t, a), 1.0)
        estimate = compute_quadratic_kappa(tables.sum(0))
        return self._add_interval(
            "kappa",
            estimate,
            find_kappa_influence(tables),
            self.count(),
            lambda: find_kappa_interval(tables, resamples=self.resamples, seed=self.seed),
        )

    def concordance(self, risk: npt.ArrayLike, times: npt.ArrayLike, events: npt.ArrayLike) -> MeasuredMetric:
        """Measure Harrell's concordance index C."""
        # A risk that is not a number cannot be ranked: C is undefined rather than of the others only.
        if not np.isfinite(np.asarray(risk, np.float64)).all():
            return build_undefined_metric(self.subjects, "concordance")
        pairs = count_pairs(risk, times, events)
        total = float(pairs.early.sum())
        if not total:
            return build_undefined_metric(self.subjects, "concordance")
        estimate = float(pairs.early_right.sum()) / total
        influence = self.sum(find_concordance_influence(pairs))
        happened = self.count(np.asarray(events) > 0)
        known = np.unique(self.owner)
        return self._add_interval(
            "concordance",
            estimate,
            influence,
            happened,
            lambda: find_concordance_interval(estimate, influence[known], total, happened),
        )

    def judge_on_scale(
        self,
        estimate: float,
        influence: npt.ArrayLike,
        stretched: float,
        slope: float,
        back: Callable[[float], float],
    ) -> MeasuredMetric:
        """Measure a smooth function of means, judged on a scale on which its distribution is nearly symmetric.

        Args:
            influence: `[items]`, influence of each item on the estimate.
            stretched, slope: the estimate on that scale, and the derivative of that scale by the estimate.
            back: function from that scale back to the scale of the estimate.
        """
        by_subject = self.sum(influence)
        if not np.isfinite([estimate, stretched, slope]).all():
            undefined = build_undefined_metric(self.subjects, "spread")
            return replace(undefined, estimate=estimate, shortage="no error to compute an interval from")
        known = np.unique(self.owner)

        def ends() -> tuple[float, float]:
            # Pseudo-values: their mean is the estimate on that scale, and their spread is that of the influences.
            values = stretched + slope * known.size * by_subject[known]
            judged = find_mean_interval(values, resamples=self.resamples, seed=self.seed)
            low, high = sorted((back(judged.low), back(judged.high)))
            return low, high

        return self._add_interval("spread", estimate, by_subject, known.size, ends)

    def _add_interval(
        self,
        method: IntervalMethod,
        estimate: float,
        influence: Floats,
        count: int,
        ends: FindInterval,
        has_case: Flags | None = None,
    ) -> MeasuredMetric:
        if has_case is None:
            has_case = np.bincount(self.owner, minlength=self.subjects) > 0
        measured = MeasuredMetric(
            estimate,
            influence,
            has_case,
            method,
            shortage=explain_missing_interval(INTERVAL_FLOORS[method], count),
        )
        if measured.shortage:
            return measured
        low, high = ends()
        # For instance all values are equal, so that a bootstrap has nothing to draw from.
        if not np.isfinite([low, high]).all():
            return replace(measured, shortage="too few values that vary")
        return replace(measured, low=float(low), high=float(high))
