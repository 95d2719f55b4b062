"""The metrics of survival at a horizon, under censoring: of all subjects, or of those at risk at each landmark."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from polytask.array_types import Floats
from polytask.evaluation.measured_metric import (
    Flags,
    MeasuredMetric,
    average_metrics,
    build_undefined_metric,
)
from polytask.evaluation.metric_calculator import MetricCalculator
from polytask.inference.pooled_answers import PooledAnswers
from polytask.kinds.step_curves import TimeCurve
from polytask.tasks.survival_metrics import compute_censoring_weights, is_horizon_defined

SHORT_FOLLOW_UP_REASON = "fewer than a tenth of the training subjects were followed so long"


@dataclass(frozen=True)
class KnownSurvival:
    """The items with a known outcome: predicted risk `[N]` and probabilities `[N, horizons]`, times and events `[N]`,
    and the visit of each."""

    risk: Floats
    p: Floats
    times: Floats
    events: Floats
    visits: tuple[str, ...]

    @classmethod
    def of(cls, items: PooledAnswers) -> KnownSurvival:
        """Read what stands in answers, without those whose outcome is unknown."""
        known = np.asarray(items.known, bool)
        times, events = np.asarray(items.value, np.float64)[known].reshape(-1, 2).T
        risk, p = (np.asarray(items.prediction[k], np.float64)[known] for k in ("risk", "p"))
        visits = tuple(visit for (_, visit), there in zip(items.ids, known, strict=True) if there)
        return cls(risk, p, times, events, visits)

    def take(self, chosen: Flags) -> KnownSurvival:
        """Select some of the items; `chosen` is bool `[N]`."""
        visits = tuple(visit for visit, there in zip(self.visits, chosen, strict=True) if there)
        return KnownSurvival(
            self.risk[chosen], self.p[chosen], self.times[chosen], self.events[chosen], visits
        )


def measure_horizons(
    task: Any, answers: KnownSurvival, censoring: TimeCurve, calculator: MetricCalculator, place: str = ""
) -> dict[str, MeasuredMetric]:
    """Measure the AUC and Brier score at each horizon, weighted by the inverse probability of censoring (IPCW). Where
    one is not defined, the reason is given.

    Args:
        censoring: curve of the training part. place: what stands before the horizon in the names, e.g. `week6.`.
    """
    metrics: dict[str, MeasuredMetric] = {}
    for h, t in enumerate(task.horizons):
        area, brier = f"auc.{place}T{t:g}", f"brier.{place}T{t:g}"
        # So late few training subjects are still followed, and single weights 1/G would dominate both metrics.
        lost = "" if is_horizon_defined(censoring, t) else SHORT_FOLLOW_UP_REASON
        why = lost or task.explain_undefined(t)
        metrics[area] = replace(build_undefined_metric(calculator.subjects, "area"), shortage=lost)
        metrics[brier] = replace(build_undefined_metric(calculator.subjects, "error"), shortage=why)
        if lost:
            continue
        times, p = answers.times, answers.p[:, h]
        weight = compute_censoring_weights(times, censoring)
        # Subjects that are censored before the horizon are in neither group; the weights of the others stand for them.
        case, beyond = (times <= t) & (answers.events > 0), times > t
        keep = case | beyond
        score = p if task.loss == "hazard" else answers.risk
        if np.isfinite(score[keep]).all():
            metrics[area] = calculator.restrict_to(keep).area(score[keep], case[keep], weight[keep])
        else:
            metrics[area] = replace(metrics[area], shortage=why)
        if times.size and np.isfinite(p).all():
            # Subjects beyond the horizon t were followed through t itself, so their weight is 1/G(t): the function
            # gives 1/G(t−), and is asked for the next larger float.
            late = compute_censoring_weights(np.nextafter([t], np.inf), censoring)
            terms = case * (1 - p) ** 2 * weight + beyond * p**2 * late
            metrics[brier] = calculator.error(terms)
    return metrics


def measure_landmarks(
    task: Any, answers: KnownSurvival, calculator: MetricCalculator
) -> dict[str, MeasuredMetric]:
    """Measure the dynamic AUC and Brier score at each landmark + horizon, among those at risk at the landmark.

    `auc.VISIT.T365` judges the subjects still at risk at that visit, by what their visits so far say of the 365 days
    after it (Blanche 2015). `auc.T365` is the mean over the landmarks that have an interval, or over all that are
    defined where none has one.
    """
    at: dict[str, MeasuredMetric] = {}
    for visit, censoring in task.landmarks.items():
        here = np.array([v == visit for v in answers.visits], bool)
        at |= measure_horizons(task, answers.take(here), censoring, calculator.restrict_to(here), f"{visit}.")
    means: dict[str, MeasuredMetric] = {}
    for t in task.horizons:
        for base in ("auc", "brier"):
            defined = [m for v in task.landmarks if np.isfinite((m := at[f"{base}.{v}.T{t:g}"]).estimate)]
            sure = [m for m in defined if np.isfinite(m.low)]
            means[f"{base}.T{t:g}"] = average_metrics(sure or defined, calculator.subjects)
    return means | at
