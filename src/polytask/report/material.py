"""Reads everything that a report shows, once."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from polytask.cohort.cohort import Cohort
from polytask.cohort.splits import Splits
from polytask.errors import PolytaskError
from polytask.evaluation.answers import Answers
from polytask.evaluation.comparison import Comparison, Evaluated, paired
from polytask.evaluation.costs import Costs, costs, read_log
from polytask.evaluation.part import folder_of
from polytask.evaluation.result import Evaluation, Part
from polytask.plan.files import read_plan
from polytask.plan.plan import Plan
from polytask.report.names import Names
from polytask.report.reasons import why_undefined
from polytask.report.scale import area_of
from polytask.tasks.task import Task
from polytask.training.run import cohort_folder_of


@dataclass(frozen=True)
class Material:
    """A run, its results on one part, and the runs it is compared with.

    Args:
        folder: folder of the results (predictions.csv, predictions/).
        record: content of `run.yaml`. log: network → entries of `metrics.jsonl`.
        comparisons: the run against each of the others. others: the evaluations of those.
        parts: `train`, `tune` and `held_out` → subjects of the run's fold; empty where that is not known.
    """

    folder: Path
    record: Mapping[str, Any]
    plan: Plan
    cohort: Cohort
    tasks: dict[str, Task]
    evaluation: Evaluation
    answers: Answers
    log: dict[str, list[Mapping[str, Any]]]
    costs: Costs
    comparisons: tuple[Comparison, ...] = ()
    others: tuple[Evaluation, ...] = ()
    parts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @cached_property
    def names(self) -> Names:
        """The titles of tasks and classes on the page."""
        return Names.of(self.cohort.header)

    def why(self, task: str, metric: str, subjects: Collection[str] | None = None) -> str:
        """Explain why a metric is not defined, on all subjects or on some of them."""
        return why_undefined(self.tasks[task], metric, self.answers, subjects, self.names)

    def area_of(self, task: str) -> str:
        """Return the unit of the size of a mask: `ml`, `cm²` or pixels; "" for other tasks."""
        return area_of(self.cohort, task, str(self.evaluation.tasks[task]["unit"]))


def gather(
    run: Path, against: Sequence[Path] = (), part: Part = "held_out", resamples: int = 1000
) -> Material:
    """Read an evaluated run and compare it with the other runs."""
    mine = Evaluated.read(run, part)
    others = [Evaluated.read(o, part) for o in against]
    plan = read_plan(mine.run.folder)
    cohort = Cohort.read(cohort_folder_of(mine.run, plan))
    ensure_cohort_of(mine, cohort)
    return Material(
        folder=folder_of(mine.run.folder, part),
        record=mine.run.record,
        plan=plan,
        cohort=cohort,
        tasks=mine.tasks,
        evaluation=mine.evaluation,
        answers=mine.answers,
        log=read_log(mine.run.folder),
        costs=costs(mine.run),
        comparisons=tuple(paired(mine, o, resamples) for o in others),
        others=tuple(o.evaluation for o in others),
        parts=parts_of(mine),
    )


def ensure_cohort_of(mine: Evaluated, cohort: Cohort) -> None:
    """Refuse a cohort that no longer has the tasks or the subjects that were judged."""
    plan_again = "restore the cohort, or plan, train and evaluate again"
    for name, task in mine.evaluation.tasks.items():
        spec = cohort.header.tasks.get(name)
        if spec is None or spec.kind != task["kind"]:
            raise PolytaskError(f"{cohort.root}: has no {task['kind']} task {name!r} any more; {plan_again}")
    cases = {(case.subject, case.visit) for case in cohort.cases}
    for name in mine.tasks:
        for subject, visit in mine.answers.ids(name):
            # A subject task has items without a visit, so there only the subject is looked up.
            if subject not in cohort.subjects or (visit and (subject, visit) not in cases):
                raise PolytaskError(
                    f"{cohort.table}: {subject} {visit}".rstrip() + f" was judged and is gone; {plan_again}"
                )


def parts_of(mine: Evaluated) -> dict[str, tuple[str, ...]]:
    """Read the subjects of each part of a run's fold; {} when the work folder no longer has its splits."""
    path, number = mine.run.work / "splits.json", int(mine.run.record["fold"])
    folds = Splits.read(path).folds if path.exists() else ()
    if number >= len(folds):
        return {}
    return {name: folds[number].part(name) for name in ("train", "tune", "held_out")}
