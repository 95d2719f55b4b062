"""Applies what runs promise to new answers: calibrated probabilities, sets and intervals as columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from polytask.array_types import Floats
from polytask.errors import PolytaskError
from polytask.kinds import find_answer_form
from polytask.tasks.task import Arrays, Task, expect_pooled_task
from polytask.trust.answer_forms import FORMS, Sets
from polytask.trust.class_sets import draw_shares
from polytask.trust.fit_task import TaskTrust
from polytask.trust.inputs.input_columns import InputColumns
from polytask.trust.measures.questions import FIND_CONFIDENCE
from polytask.trust.survival.curves import add_curves, list_curve_times
from polytask.trust.survival.survival_cells import fits_task, make_survival_cells
from polytask.trust.trust_file import parse_trust
from polytask.trust.voxels.apply_voxels import TrustedVoxels

if TYPE_CHECKING:
    from polytask.predict.case_answer import CaseAnswer
    from polytask.predict.predictor import Predictor

LABEL_ANSWERS = {(False, True): "1", (True, False): "0", (True, True): "0;1"}
"""(holds no, holds yes) → the cell of a label."""


class TrustedColumns:
    """Makes the cells of `predictions.csv` that a model's promises add or replace.

    Args:
        predictor: the model; its members are compared with the folds that the promises are made for.
        content: of `trust.json`. place: where it was read, for messages.
    """

    def __init__(self, predictor: Predictor, content: Mapping[str, Any], place: Path):
        self.trust = parse_trust(content, place, predictor.promise_folder)
        self.inputs = self.trust.inputs and InputColumns(self.trust.inputs, predictor.members, str(place))
        predictor.watches_inputs = self.inputs is not None
        self.tasks = {name: predictor.tasks[name] for name in self.trust.tasks if name in predictor.tasks}
        folds = [m.fold for m in predictor.members]
        # Of each fold the numbers of its members: their answers are averaged first.
        self.numbers = [[k for k, fold in enumerate(folds) if fold == m.fold] for m in self.trust.members]
        if sorted(set(folds)) != sorted(m.fold for m in self.trust.members) or set(self.tasks) != set(
            self.trust.tasks
        ):
            raise PolytaskError(
                f"{place}: promises of other folds or tasks than the model's; run `polytask trust` again"
            )
        self.voxels = TrustedVoxels(predictor, self.trust.voxels, 1 - self.trust.level, self.numbers, place)
        # Of each survival task the task as each fold knows it, of its first member.
        self.survival: dict[str, list[Any]] = {
            name: [predictor.members[own[0]].tasks.get(name) for own in self.numbers]
            for name in self.trust.survival
        }
        self.members = predictor.members
        for name, known in self.survival.items():
            if not fits_task(self.trust.survival[name], known):
                raise PolytaskError(f"{place}: {name}: promises of another task; run `polytask trust` again")
        for name, task in self.tasks.items():
            own = self.trust.tasks[name]
            fitted = [m.calibrator for m in own if m.calibrator is not None]
            form = FORMS.get(find_answer_form(task.kind))
            rows = task.outputs if form is not None and form.calibrator == "labels" else 1
            if (
                form is None
                or len(own) != len(self.numbers)
                or any(c.name != form.calibrator or len(c.numbers) != rows for c in fitted)
            ):
                raise PolytaskError(f"{place}: {name}: promises of another task; run `polytask trust` again")

    def make_cells(self, answer: CaseAnswer) -> dict[str, str]:
        """Make the cells of one answer: `TASK.set`, `TASK.set.LABEL`, `TASK.low`, `TASK.high`, `TASK.bound`,
        `TASK.refer`, `TASK.refer.LABEL`, and where answers are calibrated the answer and its probabilities anew; and
        `input.ood_p` and `input.ood_reason`."""
        cells = self.voxels.make_cells(answer)
        cells |= self.inputs.make_cells(answer.measures) if self.inputs else {}
        for name, task in self.tasks.items():
            if name in answer.pooled:
                own = self.average_members(answer, name)
                given = self.calibrate_answers(task, own, answer.pooled[name])
                cells |= self._calibrate_cells(task, given)
                cells |= self._list_refer_cells(task, given)
                cells |= self._list_set_cells(task, own, (answer.subject, answer.visit))
        for name in (own for own in self.survival if own in answer.pooled):
            cells |= self._make_survival_cells(answer, name)
        return cells

    def average_members(self, answer: CaseAnswer, task: str) -> list[Arrays]:
        """Average the answers of the members of each fold."""
        return [_average_arrays([answer.members[k][task] for k in numbers]) for numbers in self.numbers]

    def _make_survival_cells(self, answer: CaseAnswer, name: str) -> dict[str, str]:
        tasks = self.survival[name]
        own = []
        for first, numbers in zip(tasks, self.numbers, strict=True):
            seeds: list[Any] = [self.members[k].tasks[name] for k in numbers]
            told = [answer.members[k][name] for k in numbers]
            times = list_curve_times(first)
            own.append(_average_arrays([add_curves(s, t, times) for s, t in zip(seeds, told, strict=True)]))
        mean, alpha = answer.pooled[name], 1 - self.trust.level
        return make_survival_cells(self.trust.survival[name], tasks, own, mean, answer.visit, alpha)

    def calibrate_answers(self, task: Task, own: Sequence[Arrays], mean: Arrays) -> Arrays:
        """Calibrate the answers of each fold and average them; `mean` where nothing is calibrated."""
        members = self.trust.tasks[task.name]
        if all(m.calibrator is None for m in members):
            return mean
        return {**mean, "p": np.mean(calibrate_members(own, members), axis=0)}

    def _list_refer_cells(self, task: Task, given: Arrays) -> dict[str, str]:
        measures, words = self.trust.measures.get(task.name), self.trust.words[task.name]
        rules = {name: own.refer for name, own in measures.answering.items()} if measures else {}
        confidences = FIND_CONFIDENCE[find_answer_form(task.kind)](given) if any(rules.values()) else {}
        return {
            f"{task.name}.refer{f'.{words[int(name)]}' if name else ''}": "answered"
            if rule.is_answered(confidences[name])[0]
            else "refer"
            for name, rule in rules.items()
            if rule is not None
        }

    def _calibrate_cells(self, task: Task, given: Arrays) -> dict[str, str]:
        if all(m.calibrator is None for m in self.trust.tasks[task.name]):
            return {}
        return make_probability_cells(task, given, given["p"])

    def _list_set_cells(self, task: Task, own: Sequence[Arrays], who: tuple[str, str]) -> dict[str, str]:
        form, members = FORMS[find_answer_form(task.kind)], self.trust.tasks[task.name]
        draws = draw_shares([who], task.name)
        sets = form.make_sets(own, [m.scores for m in members], 1 - self.trust.level, draws)
        return {f"{task.name}.{k}": v for k, v in format_set(sets, self.trust.words[task.name]).items()}


def calibrate_members(own: Sequence[Arrays], members: Sequence[TaskTrust]) -> list[Floats]:
    """Calibrate the probabilities `[N, C]` of every member on its own fold; they are averaged afterwards."""
    raw = [np.asarray(told["p"], np.float64) for told in own]
    return [p if m.calibrator is None else m.calibrator.apply(p) for p, m in zip(raw, members, strict=True)]


def make_probability_cells(task: Task, answer: Arrays, p: Floats) -> dict[str, str]:
    """Make the cells of one answer to a task whose probabilities `[1, C]` were replaced."""
    columns = expect_pooled_task(task).columns({**answer, "p": p}, 0)
    return {f"{task.name}{k}": v if isinstance(v, str) else f"{v:.6g}" for k, v in columns.items()}


def _average_arrays(told: Sequence[Arrays]) -> Arrays:
    return {key: np.mean([own[key] for own in told], axis=0) for key in told[0]}


def format_set(sets: Sets, words: Sequence[str]) -> dict[str, str]:
    """Format the set of one answer: column → cell. Words are joined by `;`; an endless interval has empty cells."""
    if sets.low.size:
        ends = {"low": sets.low[0], "high": sets.high[0]}
        return {name: f"{end:.6g}" if np.isfinite(end) else "" for name, end in ends.items()}
    if sets.kept.ndim == 3:
        return {
            f"set.{word}": LABEL_ANSWERS[bool(no), bool(yes)]
            for word, (no, yes) in zip(words, sets.kept[0], strict=True)
        }
    return {"set": ";".join(word for word, kept in zip(words, sets.kept[0], strict=True) if kept)}
