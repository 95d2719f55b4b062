"""Counts structures that are missed, or predicted where there are none, and leaves them out of the mean distance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from polytask.array_types import NAN
from polytask.evaluation.part_answers import CaseMetrics, PartAnswers
from polytask.kinds import find_answer_form
from polytask.tasks.task import Task

DISTANCE_METRIC = "hd95"


def leave_out_missed_distances(tasks: Mapping[str, Task], answers: PartAnswers) -> PartAnswers:
    """Return the answers with HD95 only where both masks exist.

    Where one of the two masks is empty, a case carries the diagonal of the image as its distance, so that two runs can
    be compared on the same cases. In a mean that people read it would measure the size of the image and not the model,
    so evaluations leave it out and count such cases.
    """
    voxel = dict(answers.voxel)
    for name, cases in answers.voxel.items():
        task = tasks.get(name)
        if task is not None and find_answer_form(task.kind) == "masks":
            names: Sequence[str] = task.structures  # type: ignore[attr-defined]
            voxel[name] = CaseMetrics(
                cases.ids, tuple(_drop_one_sided_distances(m, names) for m in cases.metrics)
            )
    return replace(answers, voxel=voxel)


def _drop_one_sided_distances(metrics: Mapping[str, float], names: Sequence[str]) -> dict[str, float]:
    corrected = dict(metrics)
    for name in names:
        empty = [bool(metrics.get(f"{side}.{name}", 0)) for side in ("empty_truth", "empty_answer")]
        if f"{DISTANCE_METRIC}.{name}" in corrected and empty[0] != empty[1]:
            corrected[f"{DISTANCE_METRIC}.{name}"] = NAN
    each = np.array(
        [corrected[f"{DISTANCE_METRIC}.{n}"] for n in names if f"{DISTANCE_METRIC}.{n}" in corrected],
        np.float64,
    )
    if each.size:
        # The mean over the structures of a case is computed again without the distances that were left out.
        corrected[DISTANCE_METRIC] = float(np.nanmean(each)) if np.isfinite(each).any() else NAN
    return corrected


def count_missed_structures(cases: CaseMetrics, names: Sequence[str]) -> dict[str, dict[str, int]]:
    """Count for each structure `missed` (it is there, the prediction is empty) and `only_predicted` (the other way
    round)."""
    counts: dict[str, dict[str, int]] = {"missed": {}, "only_predicted": {}}
    for name in names:
        truth, answer = (cases.column(f"{k}.{name}") for k in ("empty_truth", "empty_answer"))
        counts["missed"][name] = int(((truth == 0) & (answer == 1)).sum())
        counts["only_predicted"][name] = int(((truth == 1) & (answer == 0)).sum())
    return counts
