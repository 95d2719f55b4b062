"""Judges other people's answers and ours on the same cases: both metrics, the paired difference with interval, and
n."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

from polytask.cohort.cohort import Cohort
from polytask.errors import PolytaskError
from polytask.evaluation.answers import Answers
from polytask.evaluation.gap import subtract
from polytask.evaluation.given.cells import GivenItems, read_items
from polytask.evaluation.given.masks import check_files, judge_masks
from polytask.evaluation.given.table import AnswerTable, read_answer_table
from polytask.evaluation.given.views import View, answers_of, ids_of, pooled_views, voxel_views
from polytask.evaluation.measure import estimate_of
from polytask.evaluation.measure_part import measure_task
from polytask.evaluation.result import Estimate
from polytask.evaluation.statistic import Statistic
from polytask.plain import plain, write_json
from polytask.tasks.task import Task

LOWER = ("mae", "rmse", "brier", "hd95", "volume_error", "dvh")
"""Metrics for which a lower value is better."""


@dataclass(frozen=True)
class GivenTable:
    """A table of answers whose cells have all been read and checked.

    Args:
        table: the rows and columns of the file.
        items: visit or subject task → its answers. Masks are read only when they are judged.
    """

    table: AnswerTable
    items: dict[str, GivenItems]


@dataclass(frozen=True)
class Judgement:
    """One metric of one task for our and for their answers to the same cases.

    Args:
        metric: name of the metric. higher: whether more of it is better.
        ours, theirs: its two values. difference: ours − theirs, paired over subjects, with n.
    """

    metric: str
    higher: bool
    ours: float
    theirs: float
    difference: Estimate


@dataclass(frozen=True)
class GivenJudged:
    """The results of one table of answers compared with ours.

    Args:
        name: name of the table. tasks: task → metrics, the primary one first where it can be judged.
        cases: task → number of visits or subjects that both answered.
        elsewhere: task → number of answers to cases outside the judged part, or that we did not answer.
        ignored: columns that are about no task.
    """

    name: str
    tasks: dict[str, tuple[Judgement, ...]]
    cases: dict[str, int]
    elsewhere: dict[str, int]
    ignored: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return the results as plain dicts for JSON."""
        tasks = {
            name: [{**vars(j), "difference": j.difference._asdict()} for j in found]
            for name, found in self.tasks.items()
        }
        found: dict[str, Any] = plain({"polytask": 1, **vars(self), "tasks": tasks})
        return found


def read_given(paths: Sequence[Path | str], tasks: Mapping[str, Task], cohort: Cohort) -> list[GivenTable]:
    """Read whole tables of answers, so that a bad cell is reported before anything long begins."""
    found: dict[str, GivenTable] = {}
    for path in paths:
        table = read_answer_table(path, tasks, cohort)
        if table.name in found:
            raise PolytaskError(
                f"{path}: a second table named {table.name!r}; expected different file names, as results go to "
                f"answers_{table.name}.json; rename one"
            )
        items = {}
        for name in table.columns:
            if tasks[name].level == "voxel":
                check_files(table, tasks[name])
            else:
                items[name] = read_items(table, tasks[name])
        found[table.name] = GivenTable(table, items)
    return list(found.values())


def judge_given(
    given: GivenTable, tasks: Mapping[str, Task], ours: Answers, cohort: Cohort, resamples: int = 1000
) -> GivenJudged:
    """Judge a table and our answers on the cases that both answered.

    Args:
        given: the table. tasks: tasks of the model. ours: our answers with the truths, of any part or cohort.
        cohort: cohort that the truths came from.
        resamples: number of resamples of the bootstrap over subjects.
    """
    table = given.table
    found: dict[str, tuple[Judgement, ...]] = {}
    cases, elsewhere = {}, {}
    for name, rows in table.rows.items():
        if name in ours.pooled:
            views = pooled_views(tasks[name], ours.pooled[name], given.items[name])
        else:
            # Masks are large: only those of cases that ours answered are read.
            theirs = judge_masks(table, tasks[name], cohort, [i for i in ours.ids(name) if i in rows])
            views = voxel_views(ours.voxel[name], theirs)
        cases[name] = len(ids_of(views))
        elsewhere[name] = len(rows) - cases[name]
        if views:
            found[name] = tuple(judge_views(tasks[name], views, ours.sites, resamples))
    if not found:
        raise PolytaskError(
            f"{table.path}: no case in common: none of its answers is to a case that was judged here "
            f"({len(ours.sites)} subjects); expected answers to the same part; name it with --part, or mend the ids"
        )
    return GivenJudged(table.name, found, cases, elsewhere, table.ignored)


def judge_views(
    task: Task, views: Sequence[View], sites: Mapping[str, str], resamples: int
) -> list[Judgement]:
    """Judge every metric that belongs to a view and that both sides define."""
    found: list[Judgement] = []
    for view in views:
        mine, other = (answers_of(task.name, side, sites) for side in (view.ours, view.theirs))
        found += judge_metrics(task, mine, other, view, resamples)
    return sorted(found, key=lambda j: (j.metric != task.primary, "." in j.metric))


def judge_metrics(task: Task, mine: Answers, other: Answers, view: View, resamples: int) -> list[Judgement]:
    """Judge the metrics of one view; differences are found as between two runs."""
    sides = [Statistic({task.name: task}, answers, list(mine.sites)) for answers in (mine, other)]
    first, second = (measure_task(side, task.name, resamples) for side in sides)
    found = []
    for metric in first:
        if not view.wants(metric) or metric not in second:
            continue
        values = (first[metric].estimate, second[metric].estimate)
        if not all(isfinite(v) for v in values):
            continue
        n = min(side.n(task.name, metric) for side in sides)
        difference = estimate_of(subtract(first[metric], second[metric], resamples), n)
        found.append(Judgement(metric, is_higher(task, metric), *values, difference))
    return found


def write_given(judged: Mapping[str, Mapping[str, Any]], folder: Path) -> None:
    """Write the results of each table to `answers_NAME.json`, whole or not at all."""
    for name, content in judged.items():
        write_json(folder / f"answers_{name}.json", content)


def is_higher(task: Task, metric: str) -> bool:
    """Whether a higher value of a metric is better."""
    return task.higher if metric == task.primary else metric.partition(".")[0] not in LOWER
