"""Fits what runs promise: every task whose answers have a form with a promise, on the held-out answers of each fold."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from polytask.errors import PolytaskError
from polytask.evaluation.cohort_check import ensure_cohort_unchanged
from polytask.evaluation.part_answers import PartAnswers
from polytask.evaluation.run_comparison import EvaluatedRun
from polytask.evaluation.subgroup_results import SITE
from polytask.inference.pooled_answers import PooledAnswers
from polytask.kinds import find_answer_form
from polytask.kinds.applicability import describe_condition
from polytask.kinds.kind import AnswerForm
from polytask.predict.load_runs import load_runs
from polytask.trust.answer_forms import FORMS
from polytask.trust.conformal import find_worst_case_coverage
from polytask.trust.fit_task import Spread, TaskTrust, fit_task
from polytask.trust.group_coverage import GroupsBySubject
from polytask.trust.inputs.input_trust import InputTrust
from polytask.trust.measures.cross_fitted import stack_cross_fitted
from polytask.trust.measures.questions import FIND_CONFIDENCE
from polytask.trust.measures.refer_targets import parse_refer_targets
from polytask.trust.measures.task_measures import TaskMeasures, measure_task
from polytask.trust.survival.curves import add_curves, list_curve_times
from polytask.trust.survival.fit_survival import SurvivalTrust, explain_without_curves, fit_survival
from polytask.trust.voxels.fit_voxels import VOXEL_FORMS, VoxelTrust, fit_voxels

if TYPE_CHECKING:
    from polytask.tasks.survival import Survival

TrustProgress = Callable[[int, int, str], None]
"""Called with (tasks done, tasks in all, task that comes next)."""


@dataclass(frozen=True)
class TrustMember:
    """The runs of one fold, whose seeds are averaged.

    Args:
        runs: names of the runs. weights: run → network → sha256 of its weights.
    """

    fold: int
    runs: tuple[str, ...]
    weights: dict[str, dict[str, str]]


@dataclass(frozen=True)
class RunsTrust:
    """What the runs of one plan promise together.

    Args:
        level: share of the sets that shall hold the truth.
        members: one for each fold. tasks: task → what each member promises, in the order of `members`.
        words: task → its classes or labels; empty for numbers.
        without: task → why nothing is promised.
        tta: whether the answers are means over mirror images.
        given: task that follows another → when it applies; its sets hold the truth of these cases.
        inputs: what is known about ordinary inputs; None where nothing was fitted.
        measures: task → whether its probabilities come true, and when not to answer; of all members together.
        voxels: voxel task → what the members promise about it.
        survival: survival task → what is promised about its times.
    """

    level: float
    members: tuple[TrustMember, ...]
    tasks: dict[str, tuple[TaskTrust, ...]]
    words: dict[str, tuple[str, ...]]
    without: dict[str, str] = field(default_factory=dict)
    tta: bool = False
    given: dict[str, str] = field(default_factory=dict)
    inputs: InputTrust | None = None
    measures: dict[str, TaskMeasures] = field(default_factory=dict)
    voxels: dict[str, VoxelTrust] = field(default_factory=dict)
    survival: dict[str, SurvivalTrust] = field(default_factory=dict)

    def count_known(self, task: str) -> list[int]:
        """Count the known answers of each member."""
        return [sum(map(len, own.scores.values())) for own in self.tasks[task]]

    def find_worst_case(self, task: str) -> float:
        """Find the coverage that is proved for the members together, see `find_worst_case_coverage`."""
        return find_worst_case_coverage(self.count_known(task), 1 - self.level)

    def average_coverage(self, task: str) -> Spread | None:
        """Average the checked coverage over members, weighed by their known answers; None if none was checked."""
        checks = [own.check for own in self.tasks[task] if own.check is not None]
        return average_spreads([c.coverage for c in checks], [c.n for c in checks]) if checks else None


def fit_runs(
    folders: Sequence[Path | str],
    level: float = 0.9,
    seed: int = 0,
    progress: TrustProgress | None = None,
    refer: Sequence[str] = (),
) -> RunsTrust:
    """Fit what one run promises, or several of one plan (folds, seeds) together.

    Only held-out answers are used: `tune` chose epochs and thresholds. Runs of one fold are averaged first.

    Args:
        folders: folders of evaluated runs. level: share of the sets that shall hold the truth, above 0 and below 1.
        seed: of the splits of the check.
        refer: errors that are allowed among the answered, see `parse_refer_targets`.
    """
    if not 0 < level < 1:
        raise PolytaskError(f"--level {level:g}: expected a share between 0 and 1, e.g. 0.9")
    places = [Path(f) for f in folders]
    if len({p.resolve() for p in places}) < len(places):
        raise PolytaskError("a run is named twice")
    load_runs(places)
    runs = [EvaluatedRun.read(place) for place in places]
    if len({run.evaluation.tta for run in runs}) > 1:
        raise PolytaskError(
            "some of the runs were evaluated with --tta and some without; evaluate them alike"
        )
    for run in runs:
        ensure_cohort_unchanged(run.run)
    by_fold: dict[int, list[EvaluatedRun]] = {}
    for run in runs:
        by_fold.setdefault(int(run.run.record["fold"]), []).append(run)
    refuse_shared_subjects(by_fold)
    members = tuple(
        TrustMember(
            fold, tuple(r.run.folder.name for r in own), {r.run.folder.name: r.run.weights for r in own}
        )
        for fold, own in sorted(by_fold.items())
    )
    voxels: dict[str, VoxelTrust] = {}
    tasks, words, without, measures, survival = {}, {}, {}, {}, {}
    described = runs[0].tasks
    targets = parse_refer_targets(refer, {n: find_answer_form(t.kind) for n, t in described.items()})
    for k, (name, task) in enumerate(described.items()):
        if progress is not None:
            progress(k, len(described), name)
        if find_answer_form(task.kind) == "time":
            fitted = _fit_times(name, [by_fold[m.fold] for m in members], 1 - level, seed)
            if isinstance(fitted, str):
                without[name] = fitted
            else:
                survival[name] = fitted
            continue
        form = FORMS.get(find_answer_form(task.kind))
        if find_answer_form(task.kind) in VOXEL_FORMS:
            told = fit_voxels(task, [[r.answers for r in by_fold[m.fold]] for m in members], 1 - level, seed)
            if isinstance(told, str):
                without[name] = told
            else:
                voxels[name] = told
            continue
        if form is None:
            without[name] = f"nothing is promised for {task.kind} yet"
            continue
        answers = [average_seeds([r.answers.pooled[name] for r in by_fold[m.fold]]) for m in members]
        if not any(own.known.any() for own in answers):
            without[name] = "no held-out answer is known"
            continue
        tasks[name] = tuple(
            fit_task(form, name, own, 1 - level, seed, list_groups(by_fold[m.fold][0].answers))
            for own, m in zip(answers, members, strict=True)
        )
        words[name] = tuple(getattr(task, "classes", getattr(task, "labels", ())))
        measured = measure_members(find_answer_form(task.kind), tasks[name], targets.get(name), seed)
        if measured is not None:
            measures[name] = measured
    # Only known answers are fitted on, and a task that follows another is known only where it applies.
    given = {n: describe_condition(getattr(described[n], "applies_when", {})) for n in (*tasks, *survival)}
    tta = runs[0].evaluation.tta
    given = {n: g for n, g in given.items() if g}
    return RunsTrust(
        level, members, tasks, words, without, tta, given, measures=measures, voxels=voxels, survival=survival
    )


def measure_members(
    form: AnswerForm, members: Sequence[TaskTrust], refer: float | None = None, seed: int = 0
) -> TaskMeasures | None:
    """Measure a task on the checked answers of all members; None where too few subjects were checked."""
    checked = [(m, m.check.answers) for m in members if m.check is not None and m.check.answers is not None]
    if not checked or form not in FIND_CONFIDENCE:
        return None
    given = [own.uncalibrated if m.calibrator is None else own for m, own in checked]
    return measure_task(
        form, stack_cross_fitted([own for _, own in checked]), stack_cross_fitted(given), refer, seed
    )


def list_groups(answers: PartAnswers) -> GroupsBySubject:
    """List the sites and the subgroups of the subjects: column → subject → group."""
    return {SITE: answers.sites, **answers.strata}


def _fit_times(
    name: str, members: Sequence[Sequence[EvaluatedRun]], alpha: float, seed: int
) -> SurvivalTrust | str:
    """Fit what is promised for a survival task; a text says why nothing is.

    Args:
        members: of each fold its runs.
    """
    tasks: list[Survival] = []
    answers = []
    for runs in members:
        own: list[Any] = [run.tasks[name] for run in runs]
        if why := next(filter(None, map(explain_without_curves, own)), ""):
            return why
        told = [run.answers.pooled[name] for run in runs]
        times = list_curve_times(own[0])
        curves = [
            replace(a, prediction=add_curves(task, a.prediction, times)) if a.ids else a
            for task, a in zip(own, told, strict=True)
        ]
        tasks.append(own[0])
        answers.append(average_seeds(curves))
    if not any(a.known.any() for a in answers):
        return "no held-out answer is known"
    return fit_survival(tasks, answers, alpha, seed)


def refuse_shared_subjects(by_fold: Mapping[int, Sequence[EvaluatedRun]]) -> None:
    """Refuse folds of different splits: a subject that several folds hold out was trained on by none of them alone."""
    owners: dict[str, EvaluatedRun] = {}
    for run in (own[0] for own in by_fold.values()):
        for subject in run.answers.sites:
            if (other := owners.setdefault(subject, run)) is not run:
                raise PolytaskError(
                    f"{run.run.folder} and {other.run.folder}: both hold out {subject}, so they are of different "
                    "splits; take runs of one plan"
                )


def average_seeds(answers: Sequence[PooledAnswers]) -> PooledAnswers:
    """Average the predictions of runs of one fold, subject by subject."""
    first = answers[0]
    if any(own.ids != first.ids for own in answers):
        raise PolytaskError("runs of one fold have answers for other subjects; evaluate them again")
    prediction = {key: np.mean([own.prediction[key] for own in answers], axis=0) for key in first.prediction}
    return replace(first, prediction=prediction)


def average_spreads(spreads: Sequence[Spread], weights: Sequence[float]) -> Spread:
    """Average means and standard deviations with weights."""
    return Spread(
        float(np.average([s.mean for s in spreads], weights=weights)),
        float(np.average([s.sd for s in spreads], weights=weights)),
    )
