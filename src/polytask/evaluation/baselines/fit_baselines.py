"""Fits the simple models of a run on the train part of its fold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from polytask.cohort.cohort import Cohort
from polytask.evaluation.baselines.baseline_inputs import (
    BaselineInputs,
    PredictedVolumes,
    describe_table_inputs,
    list_feature_names,
    read_features,
    select_readable_cases,
)
from polytask.evaluation.baselines.baseline_models import (
    FittedBaseline,
    fit_cox_baseline,
    fit_linear_baseline,
    fit_logistic_baseline,
)
from polytask.evaluation.metric_estimates import list_class_names
from polytask.inference.pooled_answers import CaseId
from polytask.kinds import find_answer_form
from polytask.kinds.kind import AnswerForm
from polytask.plain import make_plain
from polytask.plan.plan_schema import FoldPlan
from polytask.prepare.sample_targets import make_pooled_target
from polytask.prepare.store import Store
from polytask.tasks.mask_sizes import compute_voxel_size
from polytask.tasks.task import Task

BaselineEntry = dict[str, Any]
"""Coefficients of one simple model, and what is needed to apply them: plain JSON, without data of any subject."""
TABLE_BASELINE = "table"
BASELINE_METHODS: dict[AnswerForm, str] = {
    "class": "logistic regression",
    "grade": "multinomial logistic regression",
    "labels": "logistic regression for each label",
    "number": "linear regression",
    "time": "Cox regression",
}
MIN_TRAINING_CASES = 10
"""No model is fitted on fewer known training cases than this."""
# With fewer events in training no Cox model is fitted.
MIN_TRAINING_EVENTS = 5


def fit_baselines(
    cohort: Cohort, tasks: Mapping[str, Task], fold: FoldPlan, train: Sequence[str], store: Store | None
) -> list[BaselineEntry]:
    """Fit every simple model of every visit and subject task.

    Args:
        train: subjects of the train part; no other subject is read.
        store: prepared arrays with the true masks of the train part, for models of a volume; None to go without these.
    """
    pooled = {n: t for n, t in tasks.items() if t.level != "voxel"}
    entries: list[BaselineEntry] = []
    if any(fold.tables.values()):
        entries += [
            b
            for t in pooled.values()
            if (b := fit_baseline(TABLE_BASELINE, describe_table_inputs(fold), cohort, t, train, {}))
        ]
    for name, task in tasks.items():
        if find_answer_form(task.kind) != "masks" or store is None or not pooled:
            continue
        volumes = {name: measure_train_volumes(cohort, task, train, store)}
        inputs = describe_volume_inputs(task, volumes)
        entries += [
            b
            for t in pooled.values()
            if (b := fit_baseline(f"volume of {name}", inputs, cohort, t, train, volumes))
        ]
    return entries


def fit_baseline(
    name: str,
    inputs: BaselineInputs,
    cohort: Cohort,
    task: Task,
    train: Sequence[str],
    volumes: PredictedVolumes,
) -> BaselineEntry | None:
    """Fit one simple model of one task; None with too few known cases, or where no feature varies."""
    spec = cohort.header.tasks[task.name]
    visits = getattr(spec, "visits", None)
    ids, rows, values, known = [], [], [], []
    for subject in train:
        visit_names = [""] if task.level == "subject" else [c.visit for c in cohort.subjects[subject]]
        for who in ((subject, v) for v in visit_names):
            cases = select_readable_cases(cohort, task.name, who, visits)
            features = read_features(inputs, cohort, cases, volumes)
            if features is None:
                continue
            target = make_pooled_target(cohort, task.name, cases)
            single = task.level == "subject"
            value, is_known = (x.numpy() if single else x.numpy()[0] for x in (target.value, target.known))
            if np.any(is_known):
                ids.append(subject)
                rows.append(features)
                values.append(value)
                known.append(is_known)
    if len(ids) < MIN_TRAINING_CASES:
        return None
    if find_answer_form(task.kind) == "time" and np.sum(np.stack(values)[:, 1] > 0) < MIN_TRAINING_EVENTS:
        return None
    x = np.stack(rows)
    center, scale = x.mean(0), x.std(0)
    if not (scale > 0).any():
        return None
    # A constant feature becomes 0 after centering; dividing by its deviation of 0 would make it NaN.
    scale = np.where(scale > 0, scale, 1.0)
    fitted = _fit_by_answer_form(task, (x - center) / scale, np.stack(values), np.stack(known), ids)
    entry: BaselineEntry = make_plain(
        {
            "name": name,
            "task": task.name,
            "kind": task.kind,
            "level": task.level,
            "visits": visits,
            "method": BASELINE_METHODS[find_answer_form(task.kind)],
            "inputs": inputs,
            "features": list_feature_names(inputs),
            "center": center.tolist(),
            "scale": scale.tolist(),
            "coefficients": np.concatenate([f.coefficients for f in fitted]).tolist(),
            "intercepts": np.concatenate([f.intercepts for f in fitted]).tolist(),
            "penalties": [f.penalty for f in fitted],
            "horizons": list(getattr(task, "horizons", ())),
            "n": len(ids),
            **fitted[0].extra,
        }
    )
    return entry


def _fit_by_answer_form(
    task: Task, x: Any, value: Any, known: Any, subjects: list[str]
) -> list[FittedBaseline]:
    """Fit the model that suits the task; for a multilabel task one for each label, on the cases where it is known."""
    if find_answer_form(task.kind) == "time":
        return [fit_cox_baseline(x, value[:, 0].astype(np.float64), value[:, 1].astype(np.float64), subjects)]
    if find_answer_form(task.kind) == "number":
        return [fit_linear_baseline(x, value.astype(np.float64), subjects)]
    if find_answer_form(task.kind) != "labels":
        return [fit_logistic_baseline(x, value.astype(np.int64), len(list_class_names(task)), subjects)]
    models = []
    for k in range(len(list_class_names(task))):
        at = np.flatnonzero(known[:, k])
        truth = (value[at, k] > 0.5).astype(np.int64)
        models.append(fit_logistic_baseline(x[at], truth, 2, [subjects[i] for i in at]))
    return models


def describe_volume_inputs(task: Task, volumes: PredictedVolumes) -> BaselineInputs:
    """Describe the volumes of a mask's structures as inputs; the unit of each is the median of its training volumes."""
    structures = list(list_class_names(task))
    units = []
    for structure in structures:
        positive_volumes = [v[structure] for v in volumes[task.name].values() if v.get(structure, 0.0) > 0]
        units.append(float(np.median(positive_volumes)) if positive_volumes else 1.0)
    return {"volumes": {"task": task.name, "structures": structures, "units": units}}


def measure_train_volumes(
    cohort: Cohort, task: Task, train: Sequence[str], store: Store
) -> dict[CaseId, dict[str, float]]:
    """Measure the volumes of the true masks of the train part: case → known structure → volume. Cases without a known
    structure are left out."""
    image = str(getattr(cohort.header.tasks[task.name], "image", ""))
    volumes: dict[CaseId, dict[str, float]] = {}
    for subject in train:
        for case in cohort.subjects[subject]:
            stored = store.case(case.key)
            known, prepared = stored.known(task.name), stored.prepared(image)
            if not any(known) or prepared is None:
                continue
            unit = compute_voxel_size(prepared.grid.spacing, str(getattr(task, "unit", "mm")))
            value = np.asarray(stored.voxel[task.name])
            exclusive = bool(getattr(task, "exclusive", True))
            volumes[case.subject, case.visit] = {
                s: float(((value == k + 1) if exclusive else (value[k] > 0)).sum()) * unit
                for k, s in enumerate(list_class_names(task))
                if known[k]
            }
    return volumes
