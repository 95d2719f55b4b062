"""Explains why a metric is not defined: what the judged subjects lack, in words."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
import numpy.typing as npt

from polytask.evaluation.answers import Answers, Cases, Items
from polytask.evaluation.measure import names_of
from polytask.kinds import answer_form
from polytask.report.names import PLAIN, Names
from polytask.tasks.sizes import LENGTHS, SIZES
from polytask.tasks.survival_metrics import defined
from polytask.tasks.task import Task

OTHERWISE = "these cases lack what it needs"


def why_undefined(
    task: Task,
    metric: str,
    answers: Answers,
    subjects: Collection[str] | None = None,
    names: Names = PLAIN,
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
        return _of_voxels(task, _cases(answers.voxel[task.name], subjects), base, rest, names)
    items = answers.pooled.get(task.name)
    if items is None or not items.ids:
        lost = answers.unanswered.get(task.name, 0)
        return f"nothing was predicted for {lost} known {whom}s" if lost else f"no {whom} was answered"
    place = np.array([subjects is None or s in subjects for s, _ in items.ids], bool)
    chosen = items.take(np.flatnonzero(place))
    if not chosen.known.any():
        return f"the answer is known for no {whom}"
    if answer_form(task.kind) == "time":
        return _of_survival(task, chosen, base, rest)
    if answer_form(task.kind) == "number":
        return _of_numbers(chosen, whom, base)
    if answer_form(task.kind) == "labels":
        return _of_labels(task, chosen, rest, whom, names)
    return _of_classes(task, chosen, base, rest, whom, names)


def _cases(cases: Cases, subjects: Collection[str] | None) -> list[Any]:
    return [
        m for (s, _), m in zip(cases.ids, cases.metrics, strict=True) if subjects is None or s in subjects
    ]


def _of_voxels(task: Task, cases: list[Any], base: str, rest: str, names: Names) -> str:
    what = "dose" if answer_form(task.kind) == "field" else "mask"
    if not cases:
        return f"the {what} is known for no case"
    if answer_form(task.kind) == "field":
        return "no structure with a known mask lies where the dose counts" if base == "dvh" else OTHERWISE
    # Metrics over all structures have no name after the dot, so `structure` stays empty for them.
    structure = next((n for n in names_of(task) if rest == n), "")
    if structure and not any(np.isfinite(m.get(f"dice.{structure}", np.nan)) for m in cases):
        return f"{names.word(task.name, structure)} is known in no case"
    if base in (*LENGTHS, *SIZES) and getattr(task, "unit", "") == "mm" and _lack_scale(cases, task):
        return "the plan counts in mm, but no image here says how large a pixel is"
    if base in ("hd95", "surface_dice"):
        return "no case has both a true and a predicted surface where the masks count"
    return OTHERWISE


def _lack_scale(cases: list[Any], task: Task) -> bool:
    """Whether masks were judged and none of them had a physical size."""
    sizes = [m.get(f"volume.{n}", np.nan) for m in cases for n in names_of(task) if f"dice.{n}" in m]
    return bool(sizes) and not np.isfinite(sizes).any()


def _of_survival(task: Any, items: Items, base: str, rest: str) -> str:
    times, events = np.asarray(items.value[items.known], np.float64).reshape(-1, 2).T
    risk = np.asarray(items.prediction["risk"], np.float64)[items.known]
    if not np.isfinite(risk).all():
        return "the model gave no finite risk"
    if base == "c":
        if not (events > 0).any():
            return "no event was observed"
        return "nobody was followed beyond the first event"
    horizon = float(rest.removeprefix("T") or "nan")
    unit = f" {task.unit}" if task.unit else ""
    # These metrics divide by the share of training subjects who are still followed; near 0 they explode.
    if not defined(task.censoring, horizon):
        return f"fewer than a tenth of the training subjects were followed for {horizon:g}{unit}"
    why = task.explain_undefined(horizon)
    if why and (base == "brier" or task.loss == "hazard"):
        return f"no probability: {why}"
    if base == "auc":
        if not ((times <= horizon) & (events > 0)).any():
            return f"no event by {horizon:g}{unit}"
        return f"nobody was followed beyond {horizon:g}{unit}"
    return "the model gives no probabilities at this time"


def _of_numbers(items: Items, whom: str, base: str) -> str:
    truth = np.asarray(items.value, np.float64)[items.known]
    if truth.size < 2:
        return f"fewer than 2 {whom}s are known"
    if np.ptp(truth) == 0:
        return "all true values are equal"
    return "all predicted values are equal" if base == "pearson" else OTHERWISE


def _of_labels(task: Task, items: Items, label: str, whom: str, names: Names) -> str:
    found = []
    for k, name in enumerate(names_of(task)):
        if label in ("", name):
            known = items.known[:, k]
            there = items.value[known, k] > 0.5
            found.append(_one_sided(names.word(task.name, name), there, whom))
    return found[0] if label and found else f"no label is both present and absent in known {whom}s"


def _of_classes(task: Task, items: Items, base: str, word: str, whom: str, names: Names) -> str:
    truth = np.asarray(items.value, np.int64)[items.known]
    classes = list(names_of(task))
    if answer_form(task.kind) == "grade":
        if word in classes:
            shown = f"{names.word(task.name, word)} or higher"
            return _one_sided(shown, truth >= classes.index(word), whom)
        if base == "kappa" and len(set(truth.tolist())) < 2:
            return f"all known {whom}s are {names.word(task.name, classes[int(truth[0])])}"
        return OTHERWISE
    if word in classes:
        return _one_sided(names.word(task.name, word), truth == classes.index(word), whom)
    gone = [names.word(task.name, c) for k, c in enumerate(classes) if not (truth == k).any()]
    return f"no known {whom} is {' or '.join(gone)}" if gone else OTHERWISE


def _one_sided(shown: str, there: npt.NDArray[np.bool_], whom: str) -> str:
    if not there.size:
        return f"{shown} is known for no {whom}"
    if not there.any():
        return f"no known {whom} has {shown}"
    return f"every known {whom} has {shown}" if there.all() else OTHERWISE
