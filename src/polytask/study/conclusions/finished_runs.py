"""Reads the finished runs of a study with their answers, and gives each task's metric on common subjects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from polytask.errors import PolytaskError
from polytask.evaluation.part_statistic import PartStatistic
from polytask.evaluation.run_comparison import EvaluatedRun
from polytask.statistics.metric_values import FoldValues
from polytask.statistics.resample_counts import BOOTSTRAP_RESAMPLES
from polytask.study.conclusions.primary_metric import collect_fold_values
from polytask.study.margins import DEFAULT_MARGIN_POINTS, choose_default_margin, is_error_metric
from polytask.study.study_folder import Study, StudyRun

ArmSeed = tuple[str, int]
"""Name of the arm, and seed."""


@dataclass(frozen=True)
class FinishedRun:
    """A finished run with its evaluation and its answers."""

    run: StudyRun
    evaluated: EvaluatedRun

    @cached_property
    def statistic(self) -> PartStatistic:
        """The metrics of the run as a function of the subjects that are included."""
        evaluated = self.evaluated
        return PartStatistic(evaluated.tasks, evaluated.answers, list(evaluated.answers.sites))


@dataclass(frozen=True)
class TaskInfo:
    """What a reader has to know about a task.

    Args:
        metric: the primary metric. higher: whether more of it is better.
        points: points in one unit of the metric: 100, or 1 for a metric with its own unit. unit: unit of the points.
        title: how pages write the task: the header's `title`, or its name.
    """

    kind: str
    level: str
    metric: str
    higher: bool
    points: float
    unit: str
    title: str


@dataclass(frozen=True)
class GatheredRuns:
    """All finished runs of a study, by fold.

    Args:
        folds: fold → (arm, seed) → run. asked: task → description, in the order of the header.
        resamples: number of resamples of each bootstrap.
    """

    study: Study
    folds: Mapping[int, Mapping[ArmSeed, FinishedRun]]
    asked: Mapping[str, TaskInfo]
    resamples: int

    @property
    def arms(self) -> list[str]:
        """The arms with at least one finished run, `single` first."""
        finished_arms = {arm for runs in self.folds.values() for arm, _ in runs}
        return [a.name for a in self.study.arms if a.name in finished_arms]

    def of_arm(self, arm: str) -> list[FinishedRun]:
        """List the finished runs of an arm."""
        return [
            finished for runs in self.folds.values() for (name, _), finished in runs.items() if name == arm
        ]

    @cached_property
    def margins(self) -> dict[str, float]:
        """Task → margin of the study; the default for a study that was started without margins."""
        margins = dict(self.study.design.margins)
        for task in self.asked:
            runs = [r.evaluated.tasks for by_key in self.folds.values() for r in by_key.values()]
            known = [tasks[task] for tasks in runs if task in tasks]
            margins.setdefault(task, choose_default_margin(known) if known else DEFAULT_MARGIN_POINTS)
        return margins

    def values(self, task: str, arms: Sequence[str]) -> list[FoldValues]:
        """Collect a task's metric of some arms, on the subjects that all of them answered."""
        values_by_fold = []
        for fold, runs in self.folds.items():
            statistics = {
                k: r.statistic for k, r in runs.items() if k[0] in arms and task in r.evaluated.tasks
            }
            fold_values = collect_fold_values(fold, task, statistics) if statistics else None
            if fold_values is not None:
                values_by_fold.append(fold_values)
        return values_by_fold


def gather_finished_runs(study: Study, resamples: int = BOOTSTRAP_RESAMPLES) -> GatheredRuns:
    """Read all finished runs of a study.

    Raises:
        PolytaskError: no run is finished.
    """
    folds: dict[int, dict[ArmSeed, FinishedRun]] = {}
    for run in study.runs:
        if run.state == "done":
            evaluated = EvaluatedRun.read(run.folder, "held_out")
            folds.setdefault(run.fold, {})[run.arm.name, run.seed] = FinishedRun(run, evaluated)
    if not folds:
        raise PolytaskError(
            f"{study.folder}: no run of this study is finished; run `polytask study` again to go on"
        )
    task_infos: dict[str, TaskInfo] = {}
    for runs in folds.values():
        for finished in runs.values():
            for name, task in finished.evaluated.evaluation.tasks.items():
                task_infos.setdefault(
                    name, _describe_task(task, find_task_title(finished.evaluated.run.record, name))
                )
    return GatheredRuns(study, dict(sorted(folds.items())), task_infos, resamples)


def find_task_title(record: Mapping[str, Any], task: str) -> str:
    """Find the title of a task in the header that a run recorded in its `run.yaml`; the name when there is none."""
    tasks = (record.get("header") or {}).get("tasks") or {}
    return str((tasks.get(task) or {}).get("title") or task)


def _describe_task(task: Mapping[str, object], title: str) -> TaskInfo:
    """Describe a task. Metrics with 1 as best value are written in points (hundredths), others in their own unit."""
    metric, unit = str(task["primary"]), str(task.get("unit") or "")
    in_own_unit = is_error_metric(metric)
    return TaskInfo(
        str(task["kind"]),
        str(task["level"]),
        metric,
        bool(task["higher"]),
        1.0 if in_own_unit else 100.0,
        unit if in_own_unit else "points",
        title,
    )
