"""Compares two runs on the same subjects: paired differences with intervals, and the costs of both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from polytask.errors import PolytaskError
from polytask.evaluation.evaluated_part import hash_weights, locate_results, rebuild_run_tasks
from polytask.evaluation.evaluation_result import EVALUATION_FILE, Estimate, Evaluation, PartName
from polytask.evaluation.measured_metric import MeasuredMetric, average_metrics
from polytask.evaluation.metric_estimates import build_estimate
from polytask.evaluation.paired_difference import subtract_paired
from polytask.evaluation.part_answers import ANSWERS_FILE as ANSWERS
from polytask.evaluation.part_answers import PartAnswers
from polytask.evaluation.part_metrics import measure_task_metrics
from polytask.evaluation.part_statistic import SKILL_METRIC, PartStatistic
from polytask.evaluation.result_checks import find_result_problems
from polytask.evaluation.run_costs import RunCosts, measure_run_costs
from polytask.inference.pooled_answers import CaseId
from polytask.tasks.task import Task
from polytask.training.folder import Run


@dataclass(frozen=True)
class EvaluatedRun:
    """A run with its evaluation and its answers on one part."""

    run: Run
    evaluation: Evaluation
    answers: PartAnswers
    tasks: dict[str, Task]

    @classmethod
    def read(cls, folder: Path | str, part: PartName = "held_out") -> EvaluatedRun:
        """Read an evaluated run; refuses results that were made with other weights than its present best ones."""
        run = Run.read(folder)
        place = locate_results(run.folder, part)
        again = f"run `polytask evaluate {run.folder}{'' if part == 'held_out' else f' --part {part}'}`"
        if not (place / EVALUATION_FILE).exists():
            raise PolytaskError(f"{place / EVALUATION_FILE}: not evaluated on {part}; {again} first")
        evaluation = Evaluation.read(place / EVALUATION_FILE)
        # A run that was trained on has new best weights, but its old results still lie in the folder.
        if evaluation.weights != hash_weights(run):
            raise PolytaskError(
                f"{place / EVALUATION_FILE}: evaluated before the weights changed; {again} again"
            )
        answers, tasks = PartAnswers.read(place / ANSWERS), rebuild_run_tasks(run)
        if evaluation.part != part:
            raise PolytaskError(
                f"{place / EVALUATION_FILE}: of the part {evaluation.part}, expected {part}; {again} again"
            )
        for which, problem in find_result_problems(evaluation, answers, tasks):
            file = place / {"evaluation": EVALUATION_FILE, "answers": ANSWERS}[which]
            raise PolytaskError(f"{file}: does not fit the run: {problem}; {again} again")
        return cls(run, evaluation, answers, tasks)


@dataclass(frozen=True)
class TaskDifference:
    """The difference of two runs on one task.

    Args:
        metric, higher: its primary metric, and whether more is better.
        values: of the run and of the other, on the items both answered.
        difference: run − other, paired over subjects.
        skill: difference of the skills.
    """

    metric: str
    higher: bool
    values: tuple[float, float]
    difference: Estimate
    skill: Estimate


@dataclass(frozen=True)
class RunComparison:
    """The comparison of one run with another.

    Args:
        run, other: names of the two runs. sharings: the sharing of each.
        tasks: task that both have → difference. only: tasks that one of the two lacks.
        mean_skill: difference of the mean skills over the tasks of both.
        costs: of the run and of the other.
    """

    run: str
    other: str
    sharings: tuple[str, str]
    part: PartName
    subjects: int
    tasks: dict[str, TaskDifference]
    only: tuple[str, ...]
    mean_skill: Estimate
    costs: tuple[RunCosts, RunCosts]

    def as_dict(self) -> dict[str, Any]:
        """Return the comparison as plain dicts; estimates become `{estimate, low, high, n, reason}`."""
        content = asdict(self)
        content["mean_skill"] = self.mean_skill._asdict()
        for name, task in self.tasks.items():
            content["tasks"][name]["difference"] = task.difference._asdict()
            content["tasks"][name]["skill"] = task.skill._asdict()
        return content


def compare_runs(
    run: Path | str, others: Sequence[Path | str], part: PartName = "held_out", resamples: int = 1000
) -> list[RunComparison]:
    """Compare `run` with each of `others`; all must be evaluated on the same part of the same fold."""
    mine = EvaluatedRun.read(run, part)
    return [compare_evaluated_runs(mine, EvaluatedRun.read(o, part), resamples) for o in others]


def compare_evaluated_runs(mine: EvaluatedRun, other: EvaluatedRun, resamples: int = 1000) -> RunComparison:
    """Compare two evaluated runs on the items that both answered, joined by subject and visit."""
    require_comparable(mine, other)
    shared = [t for t in mine.tasks if t in other.tasks]
    ids = {t: list_common_ids(mine.answers, other.answers, t) for t in shared}
    differences, whole = measure_differences(
        {t: mine.tasks[t] for t in shared}, mine.answers.only(ids), other.answers.only(ids), resamples
    )
    return RunComparison(
        run=mine.evaluation.run,
        other=other.evaluation.run,
        sharings=(mine.evaluation.sharing, other.evaluation.sharing),
        part=mine.evaluation.part,
        subjects=len(mine.evaluation.subjects),
        tasks=differences,
        only=tuple(t for t in {**mine.tasks, **other.tasks} if t not in shared),
        mean_skill=whole,
        costs=(measure_run_costs(mine.run), measure_run_costs(other.run)),
    )


def measure_differences(
    tasks: Mapping[str, Task], mine: PartAnswers, other: PartAnswers, resamples: int = 1000
) -> tuple[dict[str, TaskDifference], Estimate]:
    """Measure the difference of each task, and that of the mean skill over the tasks whose skill both sides define.

    Args:
        mine, other: answers to the same items in the same order.
    """
    sides = [PartStatistic(tasks, answers, list(mine.sites)) for answers in (mine, other)]
    # The mean must be over the same tasks on both sides, or it would compare different sets of tasks.
    skilled_tasks = [t for t in tasks if all(t in s.skilled for s in sides)]
    differences, skills = {}, []
    for name, task in tasks.items():
        first, second = (measure_task_metrics(s, name, resamples) for s in sides)
        gap = subtract_paired(first[task.primary], second[task.primary], resamples)
        skill = subtract_paired(first[SKILL_METRIC], second[SKILL_METRIC], resamples)
        differences[name] = TaskDifference(
            metric=task.primary,
            higher=task.higher,
            values=(sides[0].whole[name][task.primary], sides[1].whole[name][task.primary]),
            # A metric can be defined on fewer items of one side (no finite answer): the smaller n is what both rest on.
            difference=_convert_difference(gap, min(s.n(name, task.primary) for s in sides)),
            skill=_convert_difference(skill, min(s.n(name, SKILL_METRIC) for s in sides)),
        )
        skills += [skill] if name in skilled_tasks else []
    return differences, _convert_difference(average_metrics(skills, len(mine.sites)), len(skilled_tasks))


def _convert_difference(gap: MeasuredMetric, n: int) -> Estimate:
    return build_estimate(gap, n if np.isfinite(gap.estimate) else 0)


def list_common_ids(mine: PartAnswers, other: PartAnswers, task: str) -> list[CaseId]:
    """List the ids that both sides answered, in the order of the first side."""
    theirs = set(other.ids(task))
    return [i for i in mine.ids(task) if i in theirs]


def require_comparable(mine: EvaluatedRun, other: EvaluatedRun) -> None:
    """Refuse runs that are not of the same fold of the same cohort, or were judged on different subjects."""
    a, b = mine.evaluation, other.evaluation
    where = f"{other.run.folder} cannot be compared with {mine.run.folder}"
    if mine.run.record["cohort"] != other.run.record["cohort"]:
        raise PolytaskError(f"{where}: they are of different cohorts; compare runs of one plan")
    if a.part != b.part:
        raise PolytaskError(f"{where}: {b.part} against {a.part}; evaluate both on the same part")
    if a.fold != b.fold:
        raise PolytaskError(
            f"{where}: fold {b.fold} against fold {a.fold}, so their subjects differ; compare runs of one fold"
        )
    if set(a.subjects) != set(b.subjects):
        raise PolytaskError(f"{where}: judged on different subjects; evaluate both again")
