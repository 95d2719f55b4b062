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
from polytask.evaluation.evaluation_result import Estimate
from polytask.evaluation.metric_estimates import build_estimate
from polytask.evaluation.other_answers.answer_cells import OtherPooledAnswers, read_other_pooled
from polytask.evaluation.other_answers.answer_table import AnswerTable, read_answer_table
from polytask.evaluation.other_answers.other_masks import measure_other_masks, require_answer_files
from polytask.evaluation.other_answers.paired_views import (
    PairedView,
    list_judged_ids,
    list_pooled_views,
    list_voxel_views,
    wrap_view_side,
)
from polytask.evaluation.paired_difference import subtract_paired
from polytask.evaluation.part_answers import PartAnswers
from polytask.evaluation.part_metrics import measure_task_metrics
from polytask.evaluation.part_statistic import PartStatistic
from polytask.plain import make_plain, write_plain_json
from polytask.tasks.task import Task

LOWER_IS_BETTER = ("mae", "rmse", "brier", "hd95", "volume_error", "dvh")
"""Metrics for which a lower value is better."""


@dataclass(frozen=True)
class OtherAnswers:
    """A table of answers whose cells have all been read and checked.

    Args:
        table: the rows and columns of the file.
        items: visit or subject task → its answers. Masks are read only when they are judged.
    """

    table: AnswerTable
    items: dict[str, OtherPooledAnswers]


@dataclass(frozen=True)
class MetricJudgment:
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
class OtherAnswersResult:
    """The results of one table of answers compared with ours.

    Args:
        name: name of the table. tasks: task → metrics, the primary one first where it can be judged.
        cases: task → number of visits or subjects that both answered.
        elsewhere: task → number of answers to cases outside the judged part, or that we did not answer.
        ignored: columns that are about no task.
    """

    name: str
    tasks: dict[str, tuple[MetricJudgment, ...]]
    cases: dict[str, int]
    elsewhere: dict[str, int]
    ignored: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return the results as plain dicts for JSON."""
        tasks = {
            name: [{**vars(j), "difference": j.difference._asdict()} for j in judgments]
            for name, judgments in self.tasks.items()
        }
        plain_values: dict[str, Any] = make_plain({"polytask": 1, **vars(self), "tasks": tasks})
        return plain_values


def read_other_answers(
    paths: Sequence[Path | str], tasks: Mapping[str, Task], cohort: Cohort
) -> list[OtherAnswers]:
    """Read whole tables of answers, so that a bad cell is reported before any long work begins."""
    tables: dict[str, OtherAnswers] = {}
    for path in paths:
        table = read_answer_table(path, tasks, cohort)
        if table.name in tables:
            raise PolytaskError(
                f"{path}: a second table named {table.name!r}; expected different file names, as results go to "
                f"answers_{table.name}.json; rename one"
            )
        items = {}
        for name in table.columns:
            if tasks[name].level == "voxel":
                require_answer_files(table, tasks[name])
            else:
                items[name] = read_other_pooled(table, tasks[name])
        tables[table.name] = OtherAnswers(table, items)
    return list(tables.values())


def judge_other_answers(
    given: OtherAnswers, tasks: Mapping[str, Task], ours: PartAnswers, cohort: Cohort, resamples: int = 1000
) -> OtherAnswersResult:
    """Judge a table and our answers on the cases that both answered.

    Args:
        given: the table. tasks: tasks of the model. ours: our answers with the truths, of any part or cohort.
        cohort: cohort that the truths came from.
        resamples: number of resamples of the bootstrap over subjects.
    """
    table = given.table
    judgments: dict[str, tuple[MetricJudgment, ...]] = {}
    cases, elsewhere = {}, {}
    for name, rows in table.rows.items():
        if name in ours.pooled:
            views = list_pooled_views(tasks[name], ours.pooled[name], given.items[name])
        else:
            # Masks are large: only those of cases that ours answered are read.
            theirs = measure_other_masks(table, tasks[name], cohort, [i for i in ours.ids(name) if i in rows])
            views = list_voxel_views(ours.voxel[name], theirs)
        cases[name] = len(list_judged_ids(views))
        elsewhere[name] = len(rows) - cases[name]
        if views:
            judgments[name] = tuple(judge_all_views(tasks[name], views, ours.sites, resamples))
    if not judgments:
        raise PolytaskError(
            f"{table.path}: no case in common: none of its answers is to a case that was judged here "
            f"({len(ours.sites)} subjects); expected answers to the same part; name it with --part, or correct the ids"
        )
    return OtherAnswersResult(table.name, judgments, cases, elsewhere, table.ignored)


def judge_all_views(
    task: Task, views: Sequence[PairedView], sites: Mapping[str, str], resamples: int
) -> list[MetricJudgment]:
    """Judge every metric that belongs to a view and that both sides define."""
    judgments: list[MetricJudgment] = []
    for view in views:
        mine, other = (wrap_view_side(task.name, side, sites) for side in (view.ours, view.theirs))
        judgments += judge_view(task, mine, other, view, resamples)
    return sorted(judgments, key=lambda j: (j.metric != task.primary, "." in j.metric))


def judge_view(
    task: Task, mine: PartAnswers, other: PartAnswers, view: PairedView, resamples: int
) -> list[MetricJudgment]:
    """Judge the metrics of one view; differences are found as between two runs."""
    sides = [PartStatistic({task.name: task}, answers, list(mine.sites)) for answers in (mine, other)]
    first, second = (measure_task_metrics(side, task.name, resamples) for side in sides)
    judgments = []
    for metric in first:
        if not view.includes_metric(metric) or metric not in second:
            continue
        values = (first[metric].estimate, second[metric].estimate)
        if not all(isfinite(v) for v in values):
            continue
        n = min(side.n(task.name, metric) for side in sides)
        difference = build_estimate(subtract_paired(first[metric], second[metric], resamples), n)
        judgments.append(MetricJudgment(metric, is_higher(task, metric), *values, difference))
    return judgments


def write_other_results(judged: Mapping[str, Mapping[str, Any]], folder: Path) -> None:
    """Write the results of each table to `answers_NAME.json`, whole or not at all."""
    for name, content in judged.items():
        write_plain_json(folder / f"answers_{name}.json", content)


def is_higher(task: Task, metric: str) -> bool:
    """Whether a higher value of a metric is better."""
    return task.higher if metric == task.primary else metric.partition(".")[0] not in LOWER_IS_BETTER
