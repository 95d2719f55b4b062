"""Compares two runs on the same subjects: paired differences with intervals, and the costs of both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from polytask.errors import PolytaskError
from polytask.evaluation.agree import find_result_problems
from polytask.evaluation.answers import FILE as ANSWERS
from polytask.evaluation.answers import Answers, Id
from polytask.evaluation.costs import Costs, costs
from polytask.evaluation.gap import subtract
from polytask.evaluation.measure import estimate_of
from polytask.evaluation.measure_part import measure_task
from polytask.evaluation.measured import Measured, average
from polytask.evaluation.part import folder_of, tasks_of, weights_of
from polytask.evaluation.result import FILE, Estimate, Evaluation, Part
from polytask.evaluation.statistic import SKILL, Statistic
from polytask.tasks.task import Task
from polytask.training.folder import Run


@dataclass(frozen=True)
class Evaluated:
    """A run with its evaluation and its answers on one part."""

    run: Run
    evaluation: Evaluation
    answers: Answers
    tasks: dict[str, Task]

    @classmethod
    def read(cls, folder: Path | str, part: Part = "held_out") -> Evaluated:
        """Read an evaluated run; refuses results that were made with other weights than its present best ones."""
        run = Run.read(folder)
        place = folder_of(run.folder, part)
        again = f"run `polytask evaluate {run.folder}{'' if part == 'held_out' else f' --part {part}'}`"
        if not (place / FILE).exists():
            raise PolytaskError(f"{place / FILE}: not evaluated on {part}; {again} first")
        evaluation = Evaluation.read(place / FILE)
        # A run that was trained on has new best weights, but its old results still lie in the folder.
        if evaluation.weights != weights_of(run):
            raise PolytaskError(f"{place / FILE}: evaluated before the weights changed; {again} again")
        answers, tasks = Answers.read(place / ANSWERS), tasks_of(run)
        if evaluation.part != part:
            raise PolytaskError(
                f"{place / FILE}: of the part {evaluation.part}, expected {part}; {again} again"
            )
        for which, problem in find_result_problems(evaluation, answers, tasks):
            file = place / {"evaluation": FILE, "answers": ANSWERS}[which]
            raise PolytaskError(f"{file}: does not fit the run: {problem}; {again} again")
        return cls(run, evaluation, answers, tasks)


@dataclass(frozen=True)
class Difference:
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
class Comparison:
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
    part: Part
    subjects: int
    tasks: dict[str, Difference]
    only: tuple[str, ...]
    mean_skill: Estimate
    costs: tuple[Costs, Costs]

    def as_dict(self) -> dict[str, Any]:
        """Return the comparison as plain dicts; estimates become `{estimate, low, high, n, reason}`."""
        content = asdict(self)
        content["mean_skill"] = self.mean_skill._asdict()
        for name, task in self.tasks.items():
            content["tasks"][name]["difference"] = task.difference._asdict()
            content["tasks"][name]["skill"] = task.skill._asdict()
        return content


def compare(
    run: Path | str, others: Sequence[Path | str], part: Part = "held_out", resamples: int = 1000
) -> list[Comparison]:
    """Compare `run` with each of `others`; all must be evaluated on the same part of the same fold."""
    mine = Evaluated.read(run, part)
    return [paired(mine, Evaluated.read(o, part), resamples) for o in others]


def paired(mine: Evaluated, other: Evaluated, resamples: int = 1000) -> Comparison:
    """Compare two evaluated runs on the items that both answered, joined by subject and visit."""
    require_same(mine, other)
    shared = [t for t in mine.tasks if t in other.tasks]
    ids = {t: common(mine.answers, other.answers, t) for t in shared}
    found, whole = differences(
        {t: mine.tasks[t] for t in shared}, mine.answers.only(ids), other.answers.only(ids), resamples
    )
    return Comparison(
        run=mine.evaluation.run,
        other=other.evaluation.run,
        sharings=(mine.evaluation.sharing, other.evaluation.sharing),
        part=mine.evaluation.part,
        subjects=len(mine.evaluation.subjects),
        tasks=found,
        only=tuple(t for t in {**mine.tasks, **other.tasks} if t not in shared),
        mean_skill=whole,
        costs=(costs(mine.run), costs(other.run)),
    )


def differences(
    tasks: Mapping[str, Task], mine: Answers, other: Answers, resamples: int = 1000
) -> tuple[dict[str, Difference], Estimate]:
    """Measure the difference of each task, and that of the mean skill over the tasks whose skill both sides define.

    Args:
        mine, other: answers to the same items in the same order.
    """
    sides = [Statistic(tasks, answers, list(mine.sites)) for answers in (mine, other)]
    # The mean must be over the same tasks on both sides, or it would compare different sets of tasks.
    both = [t for t in tasks if all(t in s.skilled for s in sides)]
    found, skills = {}, []
    for name, task in tasks.items():
        first, second = (measure_task(s, name, resamples) for s in sides)
        gap = subtract(first[task.primary], second[task.primary], resamples)
        skill = subtract(first[SKILL], second[SKILL], resamples)
        found[name] = Difference(
            metric=task.primary,
            higher=task.higher,
            values=(sides[0].whole[name][task.primary], sides[1].whole[name][task.primary]),
            # A metric can be defined on fewer items of one side (no finite answer): the smaller n is what both rest on.
            difference=_estimate(gap, min(s.n(name, task.primary) for s in sides)),
            skill=_estimate(skill, min(s.n(name, SKILL) for s in sides)),
        )
        skills += [skill] if name in both else []
    return found, _estimate(average(skills, len(mine.sites)), len(both))


def _estimate(gap: Measured, n: int) -> Estimate:
    return estimate_of(gap, n if np.isfinite(gap.estimate) else 0)


def common(mine: Answers, other: Answers, task: str) -> list[Id]:
    """List the ids that both sides answered, in the order of the first side."""
    theirs = set(other.ids(task))
    return [i for i in mine.ids(task) if i in theirs]


def require_same(mine: Evaluated, other: Evaluated) -> None:
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
