"""Decision curves: the net benefit of acting on the model's probabilities, on everybody or on nobody, by threshold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from polytask.evaluation.part_answers import PartAnswers
from polytask.evaluation.yes_no_questions import list_yes_no_questions
from polytask.plain import make_plain
from polytask.statistics.net_benefit import compute_net_benefit
from polytask.tasks.task import Task


def compute_decision_curves(tasks: Mapping[str, Task], answers: PartAnswers) -> dict[str, dict[str, Any]]:
    """Compute the curves: task → label (or the positive class) → `thresholds`, `model`, `all`, `none`, `n`,
    `positives`.

    A task with two classes has one curve, a multilabel task one for each label. There is none where all truths are
    the same.
    """
    curves: dict[str, dict[str, Any]] = {}
    for name, task in tasks.items():
        items = answers.pooled.get(name)
        if items is None:
            continue
        for question in list_yes_no_questions(task, items):
            # With truths of one kind, acting on everybody (or on nobody) is always best: there is nothing to compare.
            if not question.truth.any() or question.truth.all():
                continue
            curve = compute_net_benefit(question.p, question.truth)
            label = question.label or str(getattr(task, "classes", ("", ""))[1])
            curves.setdefault(name, {})[label] = make_plain(
                {
                    "thresholds": curve.thresholds.tolist(),
                    "model": curve.model.round(6).tolist(),
                    "all": curve.everybody.round(6).tolist(),
                    "none": [0.0] * len(curve.thresholds),
                    "n": curve.n,
                    "positives": curve.positives,
                }
            )
    return curves
