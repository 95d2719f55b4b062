"""Tasks of an arm that learned nothing: no word is said of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from polytask.evaluation.costs import read_log
from polytask.evaluation.learning import CONSTANT_LOSS, find_constant_answers, read_final_losses
from polytask.study.conclusions.gather import Finished, Gathered

HALF = 0.5


def find_unlearned(found: Gathered) -> dict[tuple[str, str], str]:
    """(task, arm) → why it was not learned: so in at least half of the arm's runs, and not above chance on average."""
    unlearned = {}
    for arm in found.arms:
        runs = found.of_arm(arm)
        reasons = [_reasons(run) for run in runs]
        for task in found.asked:
            mine = [by_task[task] for by_task in reasons if task in by_task]
            if mine and len(mine) >= HALF * len(runs) and not beats_chance(runs, task):
                unlearned[task, arm] = f"{mine[0]} in {len(mine)} of {len(runs)} runs"
    return unlearned


def _reasons(finished: Finished) -> dict[str, str]:
    """Task → why this run learned nothing of it."""
    evaluated = finished.evaluated
    if not evaluated.tasks:
        return {}
    found = find_constant_answers(evaluated.tasks, evaluated.answers)
    for task, loss in read_final_losses(read_log(evaluated.run.folder), evaluated.run.networks).items():
        if loss >= CONSTANT_LOSS:
            found.setdefault(task, "the loss of a constant answer")
    return found


def beats_chance(runs: Sequence[Finished], task: str) -> bool:
    """Whether a pooled task's skill, averaged over folds and seeds, is clearly above chance.

    Its mean is larger than the half-width of a run's own 95 % interval over the root of the number of folds. A Dice is
    never below 0, so for a voxel task this says nothing and the answer is no.
    """
    levels = {r.evaluated.evaluation.tasks.get(task, {}).get("level") for r in runs}
    judged = [(r.run.fold, r.evaluated.evaluation.skill.get(task)) for r in runs]
    known = [(fold, s) for fold, s in judged if s is not None and np.isfinite([s.estimate, s.low]).all()]
    if not known or "voxel" in levels:
        return False
    mean = float(np.mean([s.estimate for _, s in known]))
    below = float(np.mean([s.estimate - s.low for _, s in known])) / np.sqrt(len({fold for fold, _ in known}))
    return bool(mean - below > 0)
