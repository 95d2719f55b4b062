"""Applies a simple model to a case, with nothing but its coefficients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.special import log_softmax

from polytask.array_types import Floats
from polytask.cohort.cohort import Case, Cohort
from polytask.errors import PolytaskError
from polytask.evaluation.baselines.baseline_inputs import (
    PredictedVolumes,
    read_features,
    select_readable_cases,
)
from polytask.inference.pooled_answers import CaseId
from polytask.kinds import find_answer_form
from polytask.kinds.step_curves import evaluate_hazard
from polytask.tasks.task import Arrays

MAX_COX_SCORE = 50.0


def apply_baseline(
    coefficients: Mapping[str, Any],
    cohort: Cohort,
    cases: Sequence[Case],
    volumes: PredictedVolumes | None = None,
) -> Arrays | None:
    """Apply a simple model to one item; the answer has the form of the network's, arrays with a leading axis of 1.

    Args:
        coefficients: the model as `baselines.json` and a bundle's `model.json` hold it.
        cohort: cohort whose header has the table columns.
        cases: the visits that the answer may read (`select_readable_cases`).
        volumes: predicted volumes, `PartAnswers.volumes`; needed by models of a volume.

    Returns:
        The answer; None where none of the model's inputs is known.
    """
    try:
        features = read_features(coefficients["inputs"], cohort, cases, volumes or {})
        if features is None:
            return None
        x = (features - np.asarray(coefficients["center"])) / np.asarray(coefficients["scale"])
        # A class that no training case had has the intercept −∞, which JSON cannot hold: it is null in the file.
        intercepts = np.array([-np.inf if b is None else b for b in coefficients["intercepts"]], np.float64)
        scores = np.asarray(coefficients["coefficients"], np.float64) @ x + intercepts
        return _decode_scores(coefficients, scores)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise PolytaskError(
            f"the simple model {coefficients.get('name')!r} of {coefficients.get('task')!r} cannot be applied "
            f"({type(error).__name__}: {error}); evaluate the run again, or export the model again"
        ) from None


def _decode_scores(coefficients: Mapping[str, Any], scores: Floats) -> Arrays:
    kind = coefficients["kind"]
    if find_answer_form(kind) == "number":
        return {"value": scores}
    if find_answer_form(kind) == "time":
        risk = scores[:1]
        hazard = evaluate_hazard(coefficients["baseline"], np.asarray(coefficients["horizons"], np.float64))
        # Table values far outside the training range must not overflow the exponential.
        ratio = np.exp(np.clip(risk, -MAX_COX_SCORE, MAX_COX_SCORE))
        return {"risk": risk, "p": -np.expm1(-hazard * ratio[:, None])}
    if find_answer_form(kind) == "labels":
        pairs = log_softmax(scores.reshape(-1, 2), axis=1)
        return {"p": np.exp(pairs[:, 1])[None]}
    return {"p": np.exp(log_softmax(scores))[None]}


def answer_with_baseline(
    members: Sequence[Mapping[str, Any]], cohort: Cohort, ids: Sequence[CaseId], volumes: PredictedVolumes
) -> tuple[list[CaseId], Arrays]:
    """Apply one simple model to many items; of an ensemble the mean over its members.

    Returns:
        (ids that were answered, answers with a leading axis N in the order of these ids).
    """
    task = str(members[0]["task"])
    answered, rows = [], []
    for who in ids:
        cases = select_readable_cases(cohort, task, who, members[0]["visits"])
        answers = [apply_baseline(m, cohort, cases, volumes) for m in members]
        known_answers = [f for f in answers if f is not None]
        # A mean over fewer members would be another model from case to case.
        if len(known_answers) == len(members):
            answered.append(who)
            rows.append({k: np.mean([f[k] for f in known_answers], axis=0) for k in known_answers[0]})
    keys = list(rows[0]) if rows else []
    return answered, {k: np.concatenate([r[k] for r in rows]) for k in keys}
