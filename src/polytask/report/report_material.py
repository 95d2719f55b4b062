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
from polytask.evaluation.evaluated_part import locate_results
from polytask.evaluation.evaluation_result import Evaluation, PartName
from polytask.evaluation.part_answers import PartAnswers
from polytask.evaluation.run_comparison import EvaluatedRun, RunComparison, compare_evaluated_runs
from polytask.evaluation.run_costs import RunCosts, measure_run_costs, read_network_logs
from polytask.plan.plan_schema import Plan
from polytask.report.display_names import DisplayNames
from polytask.report.image_scale import choose_size_unit
from polytask.report.undefined_reasons import explain_undefined_metric
from polytask.tasks.task import Task
from polytask.training.run import find_run_cohort_folder
from polytask.trust.fit_runs import RunsTrust
from polytask.trust.prevalence_request import PrevalenceRequest
from polytask.trust.stored_promises import find_promises_about


@dataclass(frozen=True)
class ReportMaterial:
    """A run, its results on one part, and the runs it is compared with.

    Args:
        folder: folder of the results (predictions.csv, predictions/).
        record: content of `run.yaml`. log: network → entries of `metrics.jsonl`.
        comparisons: the run against each of the others. others: the evaluations of those.
        parts: `train`, `tune` and `held_out` → subjects of the run's fold; empty where that is not known.
        promises: what the run promises, alone and together with others. promise_notes: what about it is not shown.
        prevalences: at which PPV and NPV are given.
    """

    folder: Path
    record: Mapping[str, Any]
    plan: Plan
    cohort: Cohort
    tasks: dict[str, Task]
    evaluation: Evaluation
    answers: PartAnswers
    log: dict[str, list[Mapping[str, Any]]]
    costs: RunCosts
    comparisons: tuple[RunComparison, ...] = ()
    others: tuple[Evaluation, ...] = ()
    parts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    promises: tuple[RunsTrust, ...] = ()
    promise_notes: tuple[str, ...] = ()
    prevalences: tuple[PrevalenceRequest, ...] = ()

    @cached_property
    def names(self) -> DisplayNames:
        """The titles of tasks and classes on the page."""
        return DisplayNames.of(self.cohort.header)

    def why(self, task: str, metric: str, subjects: Collection[str] | None = None) -> str:
        """Explain why a metric is not defined, on all subjects or on some of them."""
        return explain_undefined_metric(self.tasks[task], metric, self.answers, subjects, self.names)

    def find_size_unit(self, task: str) -> str:
        """Return the unit of the size of a mask: `ml`, `cm²` or pixels; "" for other tasks."""
        return choose_size_unit(self.cohort, task, str(self.evaluation.tasks[task]["unit"]))


def gather_report_material(
    run: Path, against: Sequence[Path] = (), part: PartName = "held_out", resamples: int = 1000
) -> ReportMaterial:
    """Read an evaluated run and compare it with the other runs."""
    mine = EvaluatedRun.read(run, part)
    others = [EvaluatedRun.read(o, part) for o in against]
    plan = Plan.read(mine.run.folder)
    cohort = Cohort.read(find_run_cohort_folder(mine.run, plan))
    refuse_changed_cohort(mine, cohort)
    promises, notes = find_promises_about(mine.run)
    return ReportMaterial(
        folder=locate_results(mine.run.folder, part),
        record=mine.run.record,
        plan=plan,
        cohort=cohort,
        tasks=mine.tasks,
        evaluation=mine.evaluation,
        answers=mine.answers,
        log=read_network_logs(mine.run.folder),
        costs=measure_run_costs(mine.run),
        comparisons=tuple(compare_evaluated_runs(mine, o, resamples) for o in others),
        others=tuple(o.evaluation for o in others),
        parts=read_fold_parts(mine),
        promises=tuple(promises),
        promise_notes=tuple(notes),
    )


def refuse_changed_cohort(mine: EvaluatedRun, cohort: Cohort) -> None:
    """Refuse a cohort that no longer has the tasks or the subjects that were judged."""
    plan_again = "restore the cohort, or plan, train and evaluate again"
    for name, task in mine.evaluation.tasks.items():
        spec = cohort.header.tasks.get(name)
        if spec is None or spec.kind != task["kind"]:
            raise PolytaskError(
                f"{cohort.root}: no longer has the {task['kind']} task {name!r}; {plan_again}"
            )
    cases = {(case.subject, case.visit) for case in cohort.cases}
    for name in mine.tasks:
        for subject, visit in mine.answers.ids(name):
            # A subject task has items without a visit, so there only the subject is looked up.
            if subject not in cohort.subjects or (visit and (subject, visit) not in cases):
                raise PolytaskError(
                    f"{cohort.table}: {subject} {visit}".rstrip()
                    + f" was evaluated but is no longer in the table; {plan_again}"
                )


def read_fold_parts(mine: EvaluatedRun) -> dict[str, tuple[str, ...]]:
    """Read the subjects of each part of a run's fold; {} when the work folder no longer has its splits."""
    path, number = mine.run.work / "splits.json", int(mine.run.record["fold"])
    folds = Splits.read(path).folds if path.exists() else ()
    if number >= len(folds):
        return {}
    return {name: folds[number].part(name) for name in ("train", "tune", "held_out")}
