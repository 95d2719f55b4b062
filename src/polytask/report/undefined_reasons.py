"""Explains why a metric is not defined: what the judged subjects lack, in words."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
import numpy.typing as npt

from polytask.evaluation.metric_estimates import list_class_names
from polytask.evaluation.part_answers import CaseMetrics, PartAnswers
from polytask.inference.pooled_answers import PooledAnswers
from polytask.kinds import find_answer_form, find_voxel_kind
from polytask.report.display_names import PLAIN_NAMES, DisplayNames
from polytask.tasks.mask_sizes import LENGTH_METRICS, SIZE_METRICS
from polytask.tasks.survival_metrics import is_horizon_defined
from polytask.tasks.task import Task

GENERIC_REASON = "these cases lack data that the metric needs"


def explain_undefined_metric(
    task: Task,
    metric: str,
    answers: PartAnswers,
    subjects: Collection[str] | None = None,
    names: DisplayNames = PLAIN_NAMES,
) -> str:
    """Explain in a few words why a metric is not defined.

    Args:
        task: the task. metric: one of its metrics, e.g. `auc.G3`, `dice.liver`, `auc.T365`.
        answers: answers of the whole part. subjects: only these subjects (for example a site), all by default.
        names: titles of classes and structures.
    """
    whom = "subject" if task.level == "subject" else "case"
    base, _, rest = metric.partition(".")
    if task.name in answers.voxel:
        return _explain_voxel_metric(
            task, _select_case_metrics(answers.voxel[task.name], subjects), base, rest, names
        )
    items = answers.pooled.get(task.name)
    if items is None or not items.ids:
        lost = answers.unanswered.get(task.name, 0)
        return f"nothing was predicted for {lost} known {whom}s" if lost else f"no {whom} was answered"
    is_selected = np.array([subjects is None or s in subjects for s, _ in items.ids], bool)
    chosen = items.take(np.flatnonzero(is_selected))
    if not chosen.known.any():
        return f"the answer is known for no {whom}"
    if find_answer_form(task.kind) == "time":
        return _explain_survival_metric(task, chosen, base, rest)
    if find_answer_form(task.kind) == "number":
        return _explain_number_metric(chosen, whom, base)
    if find_answer_form(task.kind) == "labels":
        return _explain_label_metric(task, chosen, rest, whom, names)
    return _explain_class_metric(task, chosen, base, rest, whom, names)


def _select_case_metrics(cases: CaseMetrics, subjects: Collection[str] | None) -> list[Any]:
    return [
        m for (s, _), m in zip(cases.ids, cases.metrics, strict=True) if subjects is None or s in subjects
    ]


def _explain_voxel_metric(task: Task, cases: list[Any], base: str, rest: str, names: DisplayNames) -> str:
    what = find_voxel_kind(task.kind).noun
    if not cases:
        return f"the {what} is known for no case"
    if find_answer_form(task.kind) == "field":
        return "no structure with a known mask lies in the judged region" if base == "dvh" else GENERIC_REASON
    # Metrics over all structures have no name after the dot, so `structure` stays empty for them.
    structure = next((n for n in list_class_names(task) if rest == n), "")
    if structure and not any(np.isfinite(m.get(f"dice.{structure}", np.nan)) for m in cases):
        return f"{names.word(task.name, structure)} is known in no case"
    if (
        base in (*LENGTH_METRICS, *SIZE_METRICS)
        and getattr(task, "unit", "") == "mm"
        and _lacks_physical_sizes(cases, task)
    ):
        return "the plan measures in mm, but no image here says how large a pixel is"
    if base in ("hd95", "surface_dice"):
        return "no case has both a true and a predicted surface in the judged region"
    return GENERIC_REASON


def _lacks_physical_sizes(cases: list[Any], task: Task) -> bool:
    """Whether masks were judged and none of them had a physical size."""
    sizes = [m.get(f"volume.{n}", np.nan) for m in cases for n in list_class_names(task) if f"dice.{n}" in m]
    return bool(sizes) and not np.isfinite(sizes).any()


def _explain_survival_metric(task: Any, items: PooledAnswers, base: str, rest: str) -> str:
    visit, _, rest = rest.rpartition("T")
    visit = visit.removesuffix(".")
    censoring = task.landmarks[visit] if visit else task.censoring
    if visit:
        here = np.flatnonzero(
            [v == visit and bool(k) for (_, v), k in zip(items.ids, items.known, strict=True)]
        )
        if not here.size:
            return f"nobody here is at risk at {visit}"
        items = items.take(here)
    times, events = np.asarray(items.value[items.known], np.float64).reshape(-1, 2).T
    risk = np.asarray(items.prediction["risk"], np.float64)[items.known]
    if not np.isfinite(risk).all():
        return "the model gave no finite risk"
    if base == "c":
        if not (events > 0).any():
            return "no event was observed"
        return "nobody was followed beyond the first event"
    horizon = float(rest or "nan")
    unit = f" {task.unit}" if task.unit else ""
    # These metrics divide by the share of training subjects who are still followed; near 0 they explode.
    if not is_horizon_defined(censoring, horizon):
        return f"fewer than a tenth of the training subjects were followed for {horizon:g}{unit}"
    why = task.explain_undefined(horizon)
    if why and (base == "brier" or task.loss == "hazard"):
        return f"no probability: {why}"
    if base == "auc":
        if not ((times <= horizon) & (events > 0)).any():
            return f"no event by {horizon:g}{unit}"
        return f"nobody was followed beyond {horizon:g}{unit}"
    return "the model gives no probabilities at this time"


def _explain_number_metric(items: PooledAnswers, whom: str, base: str) -> str:
    truth = np.asarray(items.value, np.float64)[items.known]
    if truth.size < 2:
        return f"fewer than 2 {whom}s are known"
    if np.ptp(truth) == 0:
        return "all true values are equal"
    return "all predicted values are equal" if base == "pearson" else GENERIC_REASON


def _explain_label_metric(
    task: Task, items: PooledAnswers, label: str, whom: str, names: DisplayNames
) -> str:
    reasons = []
    for k, name in enumerate(list_class_names(task)):
        if label in ("", name):
            known = items.known[:, k]
            is_present = items.value[known, k] > 0.5
            reasons.append(_explain_one_sided_truth(names.word(task.name, name), is_present, whom))
    return reasons[0] if label and reasons else f"no label is both present and absent in known {whom}s"


def _explain_class_metric(
    task: Task, items: PooledAnswers, base: str, word: str, whom: str, names: DisplayNames
) -> str:
    truth = np.asarray(items.value, np.int64)[items.known]
    classes = list(list_class_names(task))
    if find_answer_form(task.kind) == "grade":
        if word in classes:
            shown = f"{names.word(task.name, word)} or higher"
            return _explain_one_sided_truth(shown, truth >= classes.index(word), whom)
        if base == "kappa" and len(set(truth.tolist())) < 2:
            return f"all known {whom}s are {names.word(task.name, classes[int(truth[0])])}"
        return GENERIC_REASON
    if word in classes:
        return _explain_one_sided_truth(names.word(task.name, word), truth == classes.index(word), whom)
    gone = [names.word(task.name, c) for k, c in enumerate(classes) if not (truth == k).any()]
    return f"no known {whom} is {' or '.join(gone)}" if gone else GENERIC_REASON


def _explain_one_sided_truth(class_title: str, is_present: npt.NDArray[np.bool_], whom: str) -> str:
    if not is_present.size:
        return f"{class_title} is known for no {whom}"
    if not is_present.any():
        return f"no known {whom} has {class_title}"
    return f"every known {whom} has {class_title}" if is_present.all() else GENERIC_REASON
