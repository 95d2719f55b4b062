"""Finds tasks on which an arm learned nothing; no verdict is given for them."""

from __future__ import annotations

from polytask.evaluation.costs import read_log
from polytask.evaluation.learning import CONSTANT_LOSS, find_constant_answers, read_final_losses
from polytask.study.conclusions.compare import beats_chance
from polytask.study.conclusions.gather import Finished, Gathered

HALF = 0.5


def find_unlearned(found: Gathered) -> dict[tuple[str, str], str]:
    """Return (task, arm) → reason, for tasks not learned in at least half of the runs nor above chance on average."""
    unlearned = {}
    for arm in found.arms:
        runs = found.of_arm(arm)
        reasons = [_reasons(run) for run in runs]
        for task in found.asked:
            # A Dice is never below 0, so a positive skill of a voxel task does not show that anything was learned.
            above = found.asked[task].level != "voxel" and beats_chance(runs, task)
            mine = [by_task[task] for by_task in reasons if task in by_task]
            if mine and len(mine) >= HALF * len(runs) and not above:
                unlearned[task, arm] = f"{mine[0]} in {len(mine)} of {len(runs)} runs"
    return unlearned


def _reasons(finished: Finished) -> dict[str, str]:
    """Return task → reason, for the tasks on which this run learned nothing."""
    evaluated = finished.evaluated
    if not evaluated.tasks:
        return {}
    found = find_constant_answers(evaluated.tasks, evaluated.answers)
    for task, loss in read_final_losses(read_log(evaluated.run.folder), evaluated.run.networks).items():
        if loss >= CONSTANT_LOSS:
            found.setdefault(task, "the loss of a constant answer")
    return found
