"""Cross-checks of an effect: other tests of the same question. They are reported and decide nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from polytask.evaluation.run_comparison import list_common_ids
from polytask.kinds import find_answer_form
from polytask.statistics.cross_check import CrossCheck
from polytask.statistics.delong import ScoredFold, compare_by_delong
from polytask.statistics.effect import Effect
from polytask.statistics.paired_checks import flip_signs, wilcoxon
from polytask.statistics.swap_check import compare_by_swaps
from polytask.study.arms import BASELINE
from polytask.study.conclusions.finished_runs import ArmSeed, FinishedRun, GatheredRuns
from polytask.study.conclusions.fold_swaps import build_swaps_by_fold

MAX_SWAPS = 499
"""Largest number of random swaps: a cross-check needs no finer p-value, and a C-index of many patients is slow."""


def cross_check_effect(gathered: GatheredRuns, task: str, arm: str, effect: Effect) -> list[CrossCheck]:
    """Run the cross-checks that fit the task.

    Wilcoxon and sign flips need one value per case (the mean over seeds), DeLong needs two classes, and swaps of the
    arms' answers work for every metric over subjects.
    """
    if task in _list_voxel_tasks(gathered):
        values = _compute_case_differences(gathered, task, arm)
        return [wilcoxon(values), flip_signs(values)] if len(values) else []
    folds = [
        s
        for s in (_collect_binary_scores(runs, task, arm) for runs in gathered.folds.values())
        if s is not None
    ]
    values = _compute_error_differences(gathered, task, arm)
    by_case = [wilcoxon(values), flip_signs(values)] if len(values) else []
    over_subjects = [compare_by_delong(folds)] if folds else []
    if swapped := build_swaps_by_fold(gathered, task, arm, effect):
        by_case.append(compare_by_swaps(swapped, min(MAX_SWAPS, gathered.resamples)))
    return [*over_subjects, *by_case]


def _list_voxel_tasks(gathered: GatheredRuns) -> set[str]:
    return {t for runs in gathered.folds.values() for r in runs.values() for t in r.evaluated.answers.voxel}


def _select_task_runs(runs: Mapping[ArmSeed, FinishedRun], arm: str, task: str) -> list[FinishedRun]:
    return [r for (name, _), r in runs.items() if name == arm and task in r.evaluated.tasks]


def _compute_case_differences(
    gathered: GatheredRuns, task: str, arm: str
) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return arm − single of the primary metric, one value per subject, averaged over seeds; positive is better."""
    task_info = gathered.asked[task]
    differences = []
    for runs in gathered.folds.values():
        by_side = []
        for name in (arm, BASELINE):
            by_case: dict[tuple[str, str], list[float]] = {}
            for finished in _select_task_runs(runs, name, task):
                cases = finished.evaluated.answers.voxel[task]
                for who, value in zip(cases.ids, cases.column(task_info.metric), strict=True):
                    by_case.setdefault(who, []).append(float(value))
            by_side.append({who: float(np.mean(v)) for who, v in by_case.items()})
        arm_means, single_means = by_side
        differences += _average_by_subject(
            {w: arm_means[w] - single_means[w] for w in arm_means if w in single_means}
        )
    # A lower error is better, so its sign is turned: positive always favors the arm.
    scale = task_info.points if task_info.higher else -task_info.points
    return scale * np.array(differences, np.float64)


def _average_by_subject(cases: Mapping[tuple[str, str], float]) -> list[float]:
    """Return the mean over the visits of each subject: visits of one subject are no independent evidence."""
    values_by_subject: dict[str, list[float]] = {}
    for (subject, _), value in cases.items():
        # A metric may be undefined for one visit, for example with an empty mask; the other visits still count.
        if np.isfinite(value):
            values_by_subject.setdefault(subject, []).append(value)
    return [float(np.mean(values)) for values in values_by_subject.values()]


def _collect_binary_scores(runs: Mapping[ArmSeed, FinishedRun], task: str, arm: str) -> ScoredFold | None:
    """Collect truth and probabilities of a task with two classes, on the cases both sides answered; else None."""
    sides = [_select_task_runs(runs, name, task) for name in (arm, BASELINE)]
    if not all(sides) or any(
        find_answer_form(r.evaluated.tasks[task].kind) != "class" for side in sides for r in side
    ):
        return None
    first = sides[0][0].evaluated.answers
    ids = list_common_ids(first, sides[1][0].evaluated.answers, task)
    scores = []
    for side in sides:
        answered = [r.evaluated.answers.only({task: ids}).pooled[task] for r in side]
        if answered[0].prediction["p"].shape[1] != 2:
            return None
        scores.append(np.array([items.prediction["p"][:, 1] for items in answered], np.float64))
    items = first.only({task: ids}).pooled[task]
    known = items.known.reshape(len(items.known), -1).any(1)
    truth = items.value[known] == 1
    # DeLong compares a positive with a negative case, so it needs both.
    if not known.any() or truth.all() or not truth.any():
        return None
    return ScoredFold(truth, scores[0][:, known], scores[1][:, known])


def _compute_error_differences(
    gathered: GatheredRuns, task: str, arm: str
) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return single − arm of the absolute error of a number, per subject, averaged over seeds; positive is better."""
    differences: list[float] = []
    for runs in gathered.folds.values():
        sides = [_select_task_runs(runs, name, task) for name in (arm, BASELINE)]
        if not all(sides) or any(
            find_answer_form(r.evaluated.tasks[task].kind) != "number" for side in sides for r in side
        ):
            continue
        ids = list_common_ids(sides[0][0].evaluated.answers, sides[1][0].evaluated.answers, task)
        errors = []
        for side in sides:
            items = [r.evaluated.answers.only({task: ids}).pooled[task] for r in side]
            known = items[0].known.reshape(len(items[0].known), -1).any(1)
            answers = [np.abs(i.prediction["value"] - i.value.reshape(len(i.value)))[known] for i in items]
            errors.append(np.mean(answers, axis=0))
        who = [ids[k] for k in np.flatnonzero(known)]
        differences += _average_by_subject(dict(zip(who, (errors[1] - errors[0]).tolist(), strict=True)))
    return np.array(differences, np.float64)
