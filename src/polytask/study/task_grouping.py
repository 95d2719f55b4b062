"""Which tasks to train together: the best grouping into a number of networks, by the affinities of the tasks.

After TAG (Fifty et al., NeurIPS 2021): a task's score in a group is the mean affinity of the other tasks of the group
onto it, and the best grouping has the highest mean score over all tasks. Unlike there, each task is in one network, and
a task alone has the score 0: nobody helps it, and nobody hurts it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from polytask.array_types import Floats
from polytask.errors import PolytaskError
from polytask.task_chains import join_chains

MAX_GROUPED_TASKS = 12
"""Up to this many tasks all groupings are compared."""
Groups = tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Grouping:
    """Tasks by network, and the mean over all tasks of the affinity that the others in its network have onto it."""

    groups: Groups
    score: float


def find_best_grouping(
    tasks: Sequence[str], affinity: Floats, networks: int, together: Sequence[Sequence[str]] = ()
) -> Grouping:
    """Find the best grouping of the tasks into a number of networks, none of them without a task.

    Args:
        tasks: names of rows and columns.
        affinity: `[T, T]`, of the row's task onto the column's; NaN where it was never measured, which counts as no
            evidence.
        networks: number of groups; less where chains or too few tasks leave fewer.
        together: tasks that must be in one group, such as those of a chain.

    Raises:
        PolytaskError: too many tasks.
    """
    if len(tasks) > MAX_GROUPED_TASKS:
        raise PolytaskError(
            f"{len(tasks)} tasks have too many groupings to compare (at most {MAX_GROUPED_TASKS} tasks); group them by "
            "hand: --set model.groups=[[A, B], [C]]"
        )
    units = _join_tasks(tasks, together)
    networks = max(1, min(networks, len(units)))
    members = [
        [t for k, unit in enumerate(units) if mask >> k & 1 for t in unit] for mask in range(1 << len(units))
    ]
    worth = [_sum_scores(affinity, group) for group in members]
    # Best sum of scores of the units in `mask` as so many groups, and the group with its lowest unit.
    best: list[dict[int, tuple[float, int]]] = [{0: (0.0, 0)}]
    for _ in range(networks):
        extended: dict[int, tuple[float, int]] = {}
        for mask in range(1, 1 << len(units)):
            lowest = mask & -mask
            rest = part = mask ^ lowest
            while True:
                left = rest ^ part
                if left in best[-1]:
                    score = best[-1][left][0] + worth[part | lowest]
                    if mask not in extended or score > extended[mask][0] + 1e-15:
                        extended[mask] = (score, part | lowest)
                if part == 0:
                    break
                part = (part - 1) & rest
        best.append(extended)
    mask, groups = (1 << len(units)) - 1, []
    score = best[networks][mask][0] / len(tasks)
    for count in range(networks, 0, -1):
        group = best[count][mask][1]
        groups.append(tuple(tasks[t] for t in sorted(members[group])))
        mask ^= group
    return Grouping(tuple(sorted(groups, key=lambda g: tasks.index(g[0]))), score)


def _join_tasks(tasks: Sequence[str], together: Sequence[Sequence[str]]) -> list[list[int]]:
    """List the positions of tasks that stay together; every other task is alone."""
    units = [[tasks.index(t) for t in unit if t in tasks] for unit in together]
    joined = {t for unit in units for t in unit}
    return [unit for unit in units if unit] + [[t] for t in range(len(tasks)) if t not in joined]


def _sum_scores(affinity: Floats, group: Sequence[int]) -> float:
    """Add up the scores of the tasks of a group: each the mean of the known affinities of the others onto it."""
    total = 0.0
    for task in group:
        known = [
            affinity[other, task] for other in group if other != task and np.isfinite(affinity[other, task])
        ]
        total += float(np.mean(known)) if known else 0.0
    return total


def deal_out_tasks(tasks: Sequence[str], networks: int, after: Mapping[str, Sequence[str]]) -> Groups:
    """Deal the tasks out to networks in their order; the tasks of a chain stay together."""
    units = join_chains(tasks, after)
    networks = max(1, min(networks, len(units)))
    return tuple(tuple(task for unit in units[place::networks] for task in unit) for place in range(networks))


def write_groups(groups: Groups) -> str:
    """Write groups as a setting of the plan."""
    return f"model.groups={json.dumps(groups, ensure_ascii=False)}"
