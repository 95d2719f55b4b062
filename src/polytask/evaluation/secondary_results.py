"""Results beyond the metrics: risk groups, operating points, decision curves, simple models, other people's answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from polytask.cohort.cohort import Cohort
from polytask.evaluation.baselines.judge_baselines import judge_baselines
from polytask.evaluation.decision_curves import compute_decision_curves
from polytask.evaluation.evaluation_result import Evaluation
from polytask.evaluation.metric_estimates import Progress
from polytask.evaluation.operating_points import measure_operating_points
from polytask.evaluation.other_answers.judge_other_answers import OtherAnswers, judge_other_answers
from polytask.evaluation.part_answers import PartAnswers
from polytask.evaluation.risk_group_survival import compare_risk_groups, select_known_survival
from polytask.tasks.task import Task
from polytask.training.decisions import Decisions


def add_secondary_results(
    evaluation: Evaluation,
    tasks: Mapping[str, Task],
    answers: PartAnswers,
    cohort: Cohort,
    decisions: Decisions,
    baselines: Sequence[Sequence[Mapping[str, Any]]] = (),
    given: Sequence[OtherAnswers] = (),
    progress: Progress | None = None,
) -> Evaluation:
    """Add everything to an evaluation that is judged in addition to its metrics, on the same answers.

    Args:
        evaluation: the evaluation of these answers. answers: answers on a part of a run, or on another cohort.
        cohort: the cohort that the truths came from, under the header of the model.
        decisions: cut-offs and operating points of the model. baselines: simple models of each member of an ensemble.
        given: tables of other people's answers.
    """
    resamples = evaluation.resamples
    judged_tables = {}
    for k, table in enumerate(given):
        if progress:
            progress(k, len(given), f"answers of {table.table.name}")
        judged_tables[table.table.name] = judge_other_answers(
            table, tasks, answers, cohort, resamples
        ).as_dict()
    if progress:
        progress(0, 1, "simple models")
    return replace(
        evaluation,
        groups={
            name: compare_risk_groups(*select_known_survival(answers.pooled[name]), cutoffs).as_dict()
            # A model may know more survival tasks than this cohort answers: those that it does not share are skipped.
            for name, cutoffs in decisions.cutoffs.items()
            if name in tasks and name in answers.pooled and answers.pooled[name].ids
        },
        operating_points=measure_operating_points(tasks, answers, decisions, resamples),
        decision_curves=compute_decision_curves(tasks, answers),
        baselines=judge_baselines(tasks, answers, cohort, baselines, resamples),
        answers=judged_tables,
    )
