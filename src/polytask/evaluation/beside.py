"""Results beyond the metrics: risk groups, operating points, decision curves, simple models, other people's answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from polytask.cohort.cohort import Cohort
from polytask.evaluation.answers import Answers
from polytask.evaluation.baselines.judge import judge_baselines
from polytask.evaluation.decision_curves import decision_curves
from polytask.evaluation.given.judge import GivenTable, judge_given
from polytask.evaluation.groups import compare_groups, known_survival
from polytask.evaluation.measure import Progress
from polytask.evaluation.operating import judge_points
from polytask.evaluation.result import Evaluation
from polytask.tasks.task import Task
from polytask.training.decisions import Decisions


def judge_beside(
    found: Evaluation,
    tasks: Mapping[str, Task],
    answers: Answers,
    cohort: Cohort,
    decisions: Decisions,
    baselines: Sequence[Sequence[Mapping[str, Any]]] = (),
    given: Sequence[GivenTable] = (),
    progress: Progress | None = None,
) -> Evaluation:
    """Add everything to an evaluation that is judged in addition to its metrics, on the same answers.

    Args:
        evaluation: the evaluation of these answers. answers: answers on a part of a run, or on another cohort.
        cohort: the cohort that the truths came from, under the header of the model.
        decisions: cut-offs and operating points of the model. baselines: simple models of each member of an ensemble.
        given: tables of other people's answers.
    """
    resamples = found.resamples
    others = {}
    for k, table in enumerate(given):
        if progress:
            progress(k, len(given), f"answers of {table.table.name}")
        others[table.table.name] = judge_given(table, tasks, answers, cohort, resamples).as_dict()
    if progress:
        progress(0, 1, "simple models")
    return replace(
        found,
        groups={
            name: compare_groups(*known_survival(answers.pooled[name]), cutoffs).as_dict()
            # A model may know more survival tasks than this cohort answers: those that it does not share are skipped.
            for name, cutoffs in decisions.cutoffs.items()
            if name in tasks and name in answers.pooled and answers.pooled[name].ids
        },
        operating_points=judge_points(tasks, answers, decisions, resamples),
        decision_curves=decision_curves(tasks, answers),
        baselines=judge_baselines(tasks, answers, cohort, baselines, resamples),
        answers=others,
    )
