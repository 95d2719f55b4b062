"""Compares every joint arm with the single networks, task by task: effect, verdict and cross-checks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from polytask.evaluation.part_metrics import measure_task_metrics
from polytask.evaluation.part_statistic import SKILL_METRIC
from polytask.statistics.cross_check import CrossCheck
from polytask.statistics.delta_m import DeltaM, compute_delta_m
from polytask.statistics.effect import Effect, compare_arms
from polytask.statistics.verdict_words import Verdict, judge_comparisons
from polytask.study.arms import BASELINE
from polytask.study.conclusions.cross_checks import cross_check_effect
from polytask.study.conclusions.finished_runs import FinishedRun, GatheredRuns

Z_95 = 1.96


@dataclass(frozen=True)
class ArmComparison:
    """The comparison of one arm with `single` on one task.

    Args:
        effect: arm − single in points. verdict: the judgment, adjusted for all comparisons of the study.
        checks: other tests of the same question on the cases; they do not change the verdict.
    """

    task: str
    arm: str
    effect: Effect
    verdict: Verdict
    checks: tuple[CrossCheck, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return the comparison as plain data for JSON."""
        return {
            "task": self.task,
            "arm": self.arm,
            "effect": self.effect.as_dict(),
            "verdict": self.verdict.as_dict(),
            "checks": [c.as_dict() for c in self.checks],
        }


def compare_all_arms(gathered: GatheredRuns) -> list[ArmComparison]:
    """Compare all arms on all tasks, with one Holm adjustment over all these comparisons."""
    effects: dict[tuple[str, str], Effect] = {}
    for task, task_info in gathered.asked.items():
        # The same subjects for all arms, so that every comparison of a task rests on the same cases.
        values = gathered.values(task, gathered.arms)
        for arm in gathered.arms:
            if arm != BASELINE:
                effects[task, arm] = compare_arms(
                    values, arm, BASELINE, task_info.higher, task_info.points, gathered.resamples
                )
    # All comparisons of a study are adjusted together; adjusting per task would allow more false "better".
    judged = judge_comparisons(effects)
    return [
        ArmComparison(
            task, arm, effect, judged[task, arm], tuple(cross_check_effect(gathered, task, arm, effect))
        )
        for (task, arm), effect in effects.items()
    ]


def compute_arm_delta_m(gathered: GatheredRuns, all_comparisons: list[ArmComparison]) -> dict[str, DeltaM]:
    """Compute Δm of every joint arm over the tasks whose single network clearly beats chance on average."""
    beats = {task: beats_chance(gathered.of_arm(BASELINE), task) for task in gathered.asked}
    gains = {}
    for arm in gathered.arms:
        if arm == BASELINE:
            continue
        own = [c for c in all_comparisons if c.arm == arm]
        unlearned = {c.task: "nothing learned yet" for c in own if c.verdict.word == "nothing learned yet"}
        learned_effects = {c.task: c.effect for c in own if c.task not in unlearned}
        gain = compute_delta_m(
            {t: e.arm for t, e in learned_effects.items()},
            {t: e.baseline for t, e in learned_effects.items()},
            {t: gathered.asked[t].higher for t in learned_effects},
            {t: beats[t] for t in learned_effects},
        )
        gains[arm] = replace(gain, left_out={**unlearned, **gain.left_out})
    return gains


def beats_chance(runs: Sequence[FinishedRun], task: str) -> bool:
    """Whether the skill of an arm, averaged over folds and seeds, is clearly above chance.

    The mean must be larger than 1.96 × (mean standard error of a run) / √(number of folds). All folds together may be
    enough even when each is too small for an interval of its own.
    """
    judged = [
        (r.run.fold, measure_task_metrics(r.statistic, task, resamples=1)[SKILL_METRIC])
        for r in runs
        if task in r.statistic.tasks
    ]
    known = [(fold, s) for fold, s in judged if np.isfinite(s.estimate)]
    if not known:
        return False
    skills, folds = [s for _, s in known], {fold for fold, _ in known}
    mean = float(np.mean([s.estimate for s in skills]))
    errors = [float(np.sqrt((s.influence**2).sum())) for s in skills]
    # Seeds of a fold share their subjects, so only folds shrink the standard error.
    below = Z_95 * float(np.mean(errors)) / np.sqrt(len(folds))
    return bool(mean - below > 0)
