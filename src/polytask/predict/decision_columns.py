"""Columns of `predictions.csv` that say what was decided: the risk group, the answer at an operating point."""

from __future__ import annotations

import numpy as np

from polytask.kinds import find_answer_form
from polytask.tasks.risk_groups import RISK_GROUP_NAMES, assign_risk_groups
from polytask.tasks.task import Arrays, Task
from polytask.training.decisions import Decisions, OperatingPoint


def make_decision_columns(task: Task, decisions: Decisions, prediction: Arrays, row: int) -> dict[str, str]:
    """Make the columns that say what was decided.

    They are `.group` of a survival task, `.at_sensitivity_90` (the class) and `.at_sensitivity_90.LABEL` (1 or 0).

    Args:
        prediction: decoded arrays of the task, `[N, …]`.
        row: the index in 0..N-1 that is decided.
    """
    cells: dict[str, str] = {}
    cutoffs = decisions.cutoffs.get(task.name, ())
    if cutoffs and find_answer_form(task.kind) == "time" and np.isfinite(prediction["risk"][row]):
        cells[".group"] = RISK_GROUP_NAMES[len(cutoffs)][
            int(assign_risk_groups(prediction["risk"][row], cutoffs))
        ]
    for point in decisions.points.get(task.name, ()):
        probability = select_positive_probability(task, prediction, point)[row]
        # NaN compares as false and would be called negative; without a probability there is no decision.
        if np.isfinite(probability):
            called = bool(probability >= point.threshold)
            classes = getattr(task, "classes", ())
            cells[f".{point.name}"] = classes[int(called)] if classes else str(int(called))
    return cells


def describe_decisions(decisions: Decisions) -> list[str]:
    """Write a sentence for each set of risk groups and each threshold: which column holds it, how it was chosen."""
    sentences = []
    for task, cuts in decisions.cutoffs.items():
        if cuts:
            at = " and ".join(f"{c:.3g}" for c in cuts)
            sentences.append(
                f"{task}.group: {', '.join(RISK_GROUP_NAMES[len(cuts)])}, cut at the training risks {at}"
            )
    for task, points in decisions.points.items():
        sentences += [
            f"{task}.{p.name}: positive if the probability is at least {p.threshold:.3f}; reaches {p.aim} "
            f"{p.target:g} on "
            f"{p.part} (n {p.n}, {p.positives} positive)"
            for p in points
        ]
    return sentences


def select_positive_probability(task: Task, prediction: Arrays, point: OperatingPoint) -> np.ndarray:
    """Select the probability `[N]` that an operating point cuts: that of the second class, or of the point's label."""
    labels = list(getattr(task, "labels", ()))
    return np.asarray(prediction["p"], np.float64)[:, labels.index(point.label) if point.label else 1]
