"""Net benefit of acting on a model's probabilities, of acting on all, and on none, over the thresholds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from polytask.evaluation.answers import Answers
from polytask.evaluation.questions import yes_no_of
from polytask.plain import plain
from polytask.statistics.net_benefit import compute_net_benefit
from polytask.tasks.task import Task


def decision_curves(tasks: Mapping[str, Task], answers: Answers) -> dict[str, dict[str, Any]]:
    """Task → label (or the positive class) → `thresholds`, `model`, `all`, `none`, `n`, `positives`.

    Tasks with two classes have one, labels one each; where all the truths are alike there is none.
    """
    found: dict[str, dict[str, Any]] = {}
    for name, task in tasks.items():
        items = answers.pooled.get(name)
        if items is None:
            continue
        for question in yes_no_of(task, items):
            if not question.truth.any() or question.truth.all():
                continue
            curve = compute_net_benefit(question.p, question.truth)
            label = question.label or str(getattr(task, "classes", ("", ""))[1])
            found.setdefault(name, {})[label] = plain(
                {
                    "thresholds": curve.thresholds.tolist(),
                    "model": curve.model.round(6).tolist(),
                    "all": curve.everybody.round(6).tolist(),
                    "none": [0.0] * len(curve.thresholds),
                    "n": curve.n,
                    "positives": curve.positives,
                }
            )
    return found
