"""The metrics of each kind of task, as `tasks/` defines them, each with its interval."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from polytask.array_types import NAN, Floats
from polytask.evaluation.horizon_metrics import KnownSurvival, measure_horizons, measure_landmarks
from polytask.evaluation.measured_metric import Flags, MeasuredMetric, average_metrics, build_undefined_metric
from polytask.evaluation.metric_calculator import UNSEEN_ERROR_FACTOR, MetricCalculator
from polytask.inference.pooled_answers import PooledAnswers
from polytask.kinds import KINDS, find_answer_form
from polytask.kinds.kind import AnswerForm
from polytask.statistics.r2_interval import find_r2_interval

MetricsByName = dict[str, MeasuredMetric]
Measure = Callable[[Any, PooledAnswers, MetricCalculator], MetricsByName]
YES_NO_METRICS = ("accuracy", "f1", "sensitivity", "specificity")


def measure_classification(task: Any, items: PooledAnswers, calculator: MetricCalculator) -> MetricsByName:
    """Measure a classification. The second of two classes is the positive one; of more classes each is measured
    against the rest, and the mean over the classes is added."""
    known, p, truth = _select_known_classes(items)
    calculator, answer, each = calculator.restrict_to(known), p.argmax(1), range(len(task.classes))
    by_class = [_measure_yes_no(calculator, truth == k, answer == k) for k in each]
    areas = [calculator.area(p[:, k], truth == k) for k in each]
    metrics = {"accuracy": calculator.share(answer == truth)}
    # A class without a case makes these means undefined: they must not silently become means over fewer classes.
    metrics["balanced_accuracy"] = average_metrics([f["sensitivity"] for f in by_class], calculator.subjects)
    metrics["f1"] = average_metrics([f["f1"] for f in by_class], calculator.subjects)
    if len(task.classes) == 2:
        return metrics | {"auc": areas[1], **{n: by_class[1][n] for n in ("sensitivity", "specificity")}}
    for k, c in enumerate(task.classes):
        metrics[f"auc.{c}"] = areas[k]
        metrics |= {f"{n}.{c}": by_class[k][n] for n in ("sensitivity", "specificity")}
    for name in ("auc", "sensitivity", "specificity"):
        metrics[name] = average_metrics([metrics[f"{name}.{c}"] for c in task.classes], calculator.subjects)
    return metrics


def measure_multilabel(task: Any, items: PooledAnswers, calculator: MetricCalculator) -> MetricsByName:
    """Measure every label, and the mean over the labels for which a metric is defined."""
    metrics: MetricsByName = {}
    for k, c in enumerate(task.labels):
        known = np.asarray(items.known, bool)[:, k]
        p, truth = items.prediction["p"][known, k], items.value[known, k] > 0.5
        label_calculator = calculator.restrict_to(known)
        metrics[f"auc.{c}"] = label_calculator.area(p, truth)
        metrics |= {f"{n}.{c}": m for n, m in _measure_yes_no(label_calculator, truth, p >= 0.5).items()}
    for name in ("auc", *YES_NO_METRICS):
        # Unlike classes, labels are separate questions: one that is undefined is left out of the mean.
        each = [metrics[f"{name}.{c}"] for c in task.labels]
        metrics[name] = average_metrics([m for m in each if np.isfinite(m.estimate)], calculator.subjects)
    return metrics


def measure_ordinal(task: Any, items: PooledAnswers, calculator: MetricCalculator) -> MetricsByName:
    """Measure quadratic κ, MAE in classes, accuracy, and `auc.CLASS`: that class or a higher one against the lower
    ones."""
    known, p, truth = _select_known_classes(items)
    calculator, answer = calculator.restrict_to(known), task.grade({"p": p})
    metrics = {
        "kappa": calculator.kappa(truth, answer, len(task.classes)),
        "accuracy": calculator.share(answer == truth),
        "mae": calculator.error(np.abs(truth - answer)),
    }
    for k, c in enumerate(task.classes[1:], start=1):
        metrics[f"auc.{c}"] = calculator.area(p[:, k:].sum(1), truth >= k)
    return metrics


def measure_regression(task: Any, items: PooledAnswers, calculator: MetricCalculator) -> MetricsByName:
    """Measure MAE, RMSE (the root of the mean square), R² (judged on the scale of log(1 − R²)) and Pearson's r (judged
    on Fisher's scale)."""
    known = np.asarray(items.known, bool)
    truth, answer = (np.asarray(x, np.float64)[known] for x in (items.value, items.prediction["value"]))
    calculator, n = calculator.restrict_to(known), int(known.sum())
    error, plain = answer - truth, task.metrics(items.prediction, items.value, known)
    metrics = {
        "mae": calculator.error(np.abs(error)),
        "rmse": _take_root(calculator.error(error**2, far=UNSEEN_ERROR_FACTOR**2)),
    }
    metrics |= {name: build_undefined_metric(calculator.subjects, "spread") for name in ("r2", "pearson")}
    r2, r = plain["r2"], plain["pearson"]
    if np.isfinite(r2):
        metrics["r2"] = measure_r2(truth, answer, calculator)
    if np.isfinite(r):
        # Influence of a case on r, from the standardized values. With |r| = 1 Fisher's scale is infinite: then r is
        # given without an interval.
        x, y = ((v - v.mean()) / v.std() for v in (truth, answer))
        influence = (x * y - r * (x**2 + y**2) / 2) / n
        inner = 1 - r**2
        metrics["pearson"] = calculator.judge_on_scale(
            r, influence, np.arctanh(r) if inner > 0 else NAN, 1 / inner if inner > 0 else NAN, np.tanh
        )
    return metrics


def measure_r2(truth: Floats, answer: Floats, calculator: MetricCalculator) -> MeasuredMetric:
    """Measure R² of a truth that varies. The lower end allows for an unseen subject with a large error; the upper end
    is the larger one of two methods."""
    spread, error = (truth - truth.mean()) ** 2, (answer - truth) ** 2
    residual_share = float(error.sum() / spread.sum())
    influence = (residual_share * spread - error) / spread.sum()
    # A perfect fit has no logarithm of its rest: R² is 1, without an interval.
    if residual_share <= 0:
        return calculator.judge_on_scale(1.0, influence, NAN, NAN, _compute_r2_from_log_residual)
    measured = calculator.judge_on_scale(
        1 - residual_share,
        influence,
        float(np.log(residual_share)),
        -1 / residual_share,
        _compute_r2_from_log_residual,
    )
    if not np.isfinite(measured.low):
        return measured
    low, high = find_r2_interval(
        error, truth, calculator.owner, resamples=calculator.resamples, seed=calculator.seed
    )
    return replace(measured, low=low, high=max(high, measured.high))


def measure_survival(task: Any, items: PooledAnswers, calculator: MetricCalculator) -> MetricsByName:
    """Measure Harrell's C, and the AUC and Brier score of each horizon, at each landmark where the task has some."""
    answers, calculator = KnownSurvival.of(items), calculator.restrict_to(np.asarray(items.known, bool))
    metrics = {"c": calculator.concordance(answers.risk, answers.times, answers.events)}
    if getattr(task, "landmarks", {}):
        return metrics | measure_landmarks(task, answers, calculator)
    return metrics | measure_horizons(task, answers, task.censoring, calculator)


METRICS_FROM_0_TO_1 = ("dice", "surface_dice", "cldice")
NON_NEGATIVE_METRICS = ("hd95", "mae", "rmse")


def average_voxel_cases(names: list[str], values: Floats, calculator: MetricCalculator) -> MetricsByName:
    """Average the metrics of a voxel task over its cases.

    Args:
        names: names of the metrics. values: `[items, names]`, NaN where a case does not define a metric.
    """
    metrics = {}
    for name, column in zip(names, values.T, strict=True):
        defined = np.isfinite(column)
        case_calculator, base = calculator.restrict_to(defined), name.partition(".")[0]
        if base in METRICS_FROM_0_TO_1:
            metrics[name] = case_calculator.bounded_mean(column[defined])
        else:
            # `dvh` alone is a mean of absolute errors; its single statistics, like volume errors, have a sign.
            positive = base in NON_NEGATIVE_METRICS or name == "dvh"
            metrics[name] = (
                case_calculator.error(column[defined]) if positive else case_calculator.mean(column[defined])
            )
    return metrics


def measure_skill(task: Any, metrics: Mapping[str, MeasuredMetric], subjects: int) -> MeasuredMetric:
    """Turn the primary metric into a skill (chance 0, perfect 1), with its interval; undefined for a kind of task that
    is not of this package."""
    primary = metrics.get(task.primary, build_undefined_metric(subjects))
    rule = KINDS[task.kind].skill_rule if task.kind in KINDS else "own"
    if rule == "rank":
        classes = getattr(task, "classes", ())
        if classes and not np.isfinite(primary.estimate):
            each = [metrics[f"auc.{c}"] for c in classes if f"auc.{c}" in metrics]
            primary = average_metrics([m for m in each if np.isfinite(m.estimate)], subjects)
        # AUC and C are ½ by chance, so 2x − 1 puts chance at 0.
        return primary.scale(2.0, -1.0)
    if rule == "error" and (task.primary == "mae" or not np.isfinite(primary.estimate)):
        mae = metrics.get("mae", build_undefined_metric(subjects))
        return mae.scale(-1 / task.deviation, 1.0) if task.deviation > 0 else build_undefined_metric(subjects)
    return build_undefined_metric(subjects) if rule == "own" else primary


MEASURES_BY_FORM: dict[AnswerForm, Measure] = {
    "class": measure_classification,
    "labels": measure_multilabel,
    "grade": measure_ordinal,
    "number": measure_regression,
    "time": measure_survival,
}
"""Form of the answers of a visit or subject task → the function that measures its metrics."""


def find_measure(kind: str) -> Measure | None:
    """Find the function that measures the metrics of a kind of visit or subject task, each with its interval.

    None for a kind with metrics of its own: these are measured by leaving subjects out (`jackknife.py`).
    """
    if kind not in KINDS or KINDS[kind].skill_rule == "own":
        return None
    return MEASURES_BY_FORM.get(find_answer_form(kind))


def _select_known_classes(items: PooledAnswers) -> tuple[Flags, Floats, np.ndarray[Any, Any]]:
    known = np.asarray(items.known, bool)
    return known, np.asarray(items.prediction["p"], np.float64)[known], items.value[known].astype(np.int64)


def _measure_yes_no(calculator: MetricCalculator, truth: Flags, answer: Flags) -> MetricsByName:
    """Measure the answers to one yes/no question: accuracy, F1 of yes, sensitivity, specificity."""
    return {
        "accuracy": calculator.share(truth == answer),
        "f1": calculator.bounded_mean(2.0 * (truth & answer), 1.0 * truth + answer)
        if truth.any()
        else build_undefined_metric(calculator.subjects),
        "sensitivity": calculator.restrict_to(truth).share(answer[truth]),
        "specificity": calculator.restrict_to(~truth).share(~answer[~truth]),
    }


def _take_root(square: MeasuredMetric) -> MeasuredMetric:
    """Take the root of a mean square, of its interval and of its influence (delta method)."""
    root = float(np.sqrt(square.estimate))
    # The derivative of √x is 1 / (2√x), which is infinite at 0: keep the influence of the square there.
    influence = square.influence / (2 * root) if root > 0 else square.influence
    low, high = (float(np.sqrt(x)) for x in (square.low, square.high))
    return replace(square, estimate=root, influence=influence, low=low, high=high)


def _compute_r2_from_log_residual(value: float) -> float:
    return 1 - float(np.exp(value))
