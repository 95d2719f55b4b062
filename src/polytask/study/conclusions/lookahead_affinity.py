"""What a step for one task does to the losses of the others, over the runs of an arm, and the groupings that follow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from polytask.array_types import Floats
from polytask.plain import make_plain
from polytask.plan.plan_schema import Plan
from polytask.study.arms import BASELINE, MEASURING_ARM
from polytask.study.conclusions.finished_runs import FinishedRun, GatheredRuns
from polytask.study.conclusions.task_affinity import MIN_RUNS_FOR_ERROR
from polytask.study.grouped_run import read_mean_affinity
from polytask.study.task_grouping import MAX_GROUPED_TASKS, Groups, find_best_grouping
from polytask.task_chains import join_chains
from polytask.training.gradient_log import average_over_batches


@dataclass(frozen=True)
class RatedGrouping:
    """The best grouping into a number of networks.

    Args:
        groups: tasks by network. score: mean over tasks of the affinity that the others in its network have onto it.
        runs: how many of the runs, each taken alone, have the same best grouping into as many networks.
    """

    groups: Groups
    score: float
    runs: int


@dataclass(frozen=True)
class LookaheadAffinity:
    """Affinities by looking one step ahead (`polytask.training.lookahead`) in the runs of one arm.

    Args:
        arm: name of the arm. runs, looks: how many of its runs, and of their looks, were read.
        tasks: the order of rows and columns.
        affinity: `[T, T]`, of the row's task onto the column's: the mean over the looks of a run, then over runs.
        spread: its standard error over runs; NaN for fewer than `MIN_RUNS_FOR_ERROR`.
        groupings: the best grouping into 1, 2, … networks; none for too many tasks.
        trained: arm with groups → groups → how many of its runs have trained them.
    """

    arm: str
    runs: int
    looks: int
    tasks: tuple[str, ...]
    affinity: Floats
    spread: Floats
    groupings: tuple[RatedGrouping, ...]
    trained: dict[str, dict[Groups, int]]

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as plain data for JSON; matrices become lists."""
        trained = {
            arm: [{"groups": groups, "runs": runs} for groups, runs in counts.items()]
            for arm, counts in self.trained.items()
        }
        content: dict[str, Any] = make_plain(
            {
                **vars(self),
                "affinity": self.affinity.tolist(),
                "spread": self.spread.tolist(),
                "groupings": [vars(g) for g in self.groupings],
                "trained": trained,
            }
        )
        return content


def measure_lookahead_affinity(gathered: GatheredRuns) -> LookaheadAffinity | None:
    """Gather the affinities of the arm that groups are made from, or of the joint arm with the most looks; None if
    there are none."""
    tasks, best = tuple(gathered.asked), None
    for arm in sorted((a for a in gathered.arms if a != BASELINE), key=lambda a: a != MEASURING_ARM):
        measured = _measure_arm(gathered.of_arm(arm), arm, tasks, gathered)
        if measured is not None and (
            best is None or (best.arm != MEASURING_ARM and measured.looks > best.looks)
        ):
            best = measured
    return best


def _measure_arm(
    runs: Sequence[FinishedRun], arm: str, tasks: tuple[str, ...], gathered: GatheredRuns
) -> LookaheadAffinity | None:
    read = [read_mean_affinity(finished.run.folder, list(tasks)) for finished in runs]
    by_run, looks = [matrix for matrix, count in read if count], sum(count for _, count in read)
    if not by_run:
        return None
    affinity = average_over_batches(by_run)
    spread = np.full_like(affinity, np.nan)
    if len(by_run) >= MIN_RUNS_FOR_ERROR:
        spread = np.std(by_run, axis=0, ddof=1) / np.sqrt(len(by_run))
    after = Plan.read(runs[0].run.folder).shared.model.after
    groupings = rate_groupings(tasks, affinity, by_run, join_chains(tasks, after))
    return LookaheadAffinity(
        arm, len(by_run), looks, tasks, affinity, spread, groupings, _count_trained_groups(gathered)
    )


def rate_groupings(
    tasks: tuple[str, ...], affinity: Floats, by_run: Sequence[Floats], chains: Sequence[Sequence[str]] = ()
) -> tuple[RatedGrouping, ...]:
    """Find the best grouping into each number of networks, and how many of the runs alone find the same."""
    if len(tasks) > MAX_GROUPED_TASKS:
        return ()
    rated = []
    for networks in range(1, len(chains or tasks)):
        best = find_best_grouping(tasks, affinity, networks, chains)
        same = sum(find_best_grouping(tasks, own, networks, chains).groups == best.groups for own in by_run)
        rated.append(RatedGrouping(best.groups, best.score, same))
    return tuple(rated)


def _count_trained_groups(gathered: GatheredRuns) -> dict[str, dict[Groups, int]]:
    """Count the groups that the runs of each arm with groups have trained, the most frequent first."""
    trained: dict[str, dict[Groups, int]] = {}
    for arm in gathered.study.arms:
        counts: dict[Groups, int] = {}
        for finished in gathered.of_arm(arm.name) if arm.groups else ():
            groups = tuple(tuple(tasks) for tasks in finished.evaluated.run.networks.values())
            counts[groups] = counts.get(groups, 0) + 1
        if counts:
            trained[arm.name] = dict(sorted(counts.items(), key=lambda item: -item[1]))
    return trained
