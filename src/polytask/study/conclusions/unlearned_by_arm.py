"""Finds tasks on which an arm learned nothing; no verdict is given for them."""

from __future__ import annotations

from polytask.evaluation.learning_check import UNLEARNED_LOSS, find_constant_answers, read_final_losses
from polytask.evaluation.run_costs import read_network_logs
from polytask.study.conclusions.arm_comparison import beats_chance
from polytask.study.conclusions.finished_runs import FinishedRun, GatheredRuns

MIN_UNLEARNED_SHARE = 0.5


def find_unlearned_by_arm(gathered: GatheredRuns) -> dict[tuple[str, str], str]:
    """Return (task, arm) → reason, for tasks not learned in at least half of the runs nor above chance on average."""
    unlearned = {}
    for arm in gathered.arms:
        runs = gathered.of_arm(arm)
        reasons = [_explain_unlearned_tasks(run) for run in runs]
        for task in gathered.asked:
            # A Dice is never below 0, so a positive skill of a voxel task does not show that anything was learned.
            is_above_chance = gathered.asked[task].level != "voxel" and beats_chance(runs, task)
            task_reasons = [by_task[task] for by_task in reasons if task in by_task]
            if task_reasons and len(task_reasons) >= MIN_UNLEARNED_SHARE * len(runs) and not is_above_chance:
                unlearned[task, arm] = f"{task_reasons[0]} in {len(task_reasons)} of {len(runs)} runs"
    return unlearned


def _explain_unlearned_tasks(finished: FinishedRun) -> dict[str, str]:
    """Return task → reason, for the tasks on which this run learned nothing."""
    evaluated = finished.evaluated
    if not evaluated.tasks:
        return {}
    reasons = find_constant_answers(evaluated.tasks, evaluated.answers)
    for task, loss in read_final_losses(
        read_network_logs(evaluated.run.folder), evaluated.run.networks
    ).items():
        if loss >= UNLEARNED_LOSS:
            reasons.setdefault(task, "the loss of a constant answer")
    return reasons
