"""Operating points: thresholds that reach a wanted sensitivity or specificity, chosen on tune and judged elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from polytask.errors import PolytaskError, nearest
from polytask.evaluation.answers import Answers
from polytask.evaluation.measure import estimate_of, names_of
from polytask.evaluation.measures import Measures
from polytask.evaluation.questions import YesNo, is_yes_no, yes_no_of
from polytask.kinds import answer_form
from polytask.plain import plain
from polytask.statistics.operating_point import choose_threshold
from polytask.tasks.task import Task
from polytask.training.decisions import Aim, Decisions, OperatingPoint


@dataclass(frozen=True)
class AskedPoint:
    """An operating point that a person asked for: a share of a task, or of one of its labels."""

    task: str
    label: str
    aim: Aim
    target: float

    @property
    def words(self) -> str:
        """The option as it was written on the command line."""
        return f"--{self.aim} {self.task}{f'.{self.label}' if self.label else ''}={self.target:g}"


def read_asked(text: str, aim: Aim, tasks: Mapping[str, Task]) -> list[AskedPoint]:
    """Parse `TASK=0.9` (for a multilabel task all its labels) or `TASK.LABEL=0.9`.

    Raises:
        PolytaskError: no share, no such task or label, or a task without a yes/no answer.
    """
    # The last `=`: names of labels may hold one.
    what, equals, share = text.rpartition("=")
    try:
        target = float(share) if equals else float("nan")
    except ValueError:
        target = float("nan")
    if not 0 < target < 1:
        raise PolytaskError(
            f"--{aim} {text}: expected TASK=SHARE with a share between 0 and 1, such as response=0.9"
        )
    task = tasks.get(what)
    if task is not None:
        if not is_yes_no(task):
            raise PolytaskError(
                f"--{aim} {text}: {what} is a {task.kind}{_classes(task)}; expected a task with two classes, or labels"
            )
        labels = list(names_of(task)) if answer_form(task.kind) == "labels" else [""]
        return [AskedPoint(what, label, aim, target) for label in labels]
    for name, owner in tasks.items():
        if (
            answer_form(owner.kind) == "labels"
            and what.startswith(f"{name}.")
            and what[len(name) + 1 :] in names_of(owner)
        ):
            return [AskedPoint(name, what[len(name) + 1 :], aim, target)]
    known = [n for n, t in tasks.items() if is_yes_no(t)]
    known += [
        f"{n}.{label}"
        for n in known
        if answer_form(tasks[n].kind) == "labels"
        for label in names_of(tasks[n])
    ]
    raise PolytaskError(
        f"--{aim} {text}: {what!r} is no task with two classes or labels, {nearest(what, known, 'use')}"
    )


def choose_points(
    asked: Sequence[AskedPoint], tasks: Mapping[str, Task], tune: Answers, before: Decisions
) -> Decisions:
    """Choose thresholds on the answers to the tune part, and add them to the decisions that there are.

    Raises:
        PolytaskError: a share that tune cannot hold, with the reason.
    """
    found = before
    for ask in asked:
        question = next(q for q in yes_no_of(tasks[ask.task], tune.pooled[ask.task]) if q.label == ask.label)
        try:
            threshold = choose_threshold(question.p, question.truth, ask.aim, ask.target)
        except PolytaskError as error:
            raise PolytaskError(f"{ask.words}: on tune, {error}") from None
        point = OperatingPoint(
            ask.label, ask.aim, ask.target, threshold, int(question.truth.size), int(question.truth.sum())
        )
        found = found.with_points(ask.task, [point])
    return found


def judge_points(
    tasks: Mapping[str, Task], answers: Answers, decisions: Decisions, resamples: int = 1000
) -> dict[str, list[dict[str, Any]]]:
    """Measure each operating point of each task: sensitivity, specificity, PPV and NPV with intervals, and the same at
    the threshold of the plain answer (½)."""
    found: dict[str, list[dict[str, Any]]] = {}
    for name, points in decisions.points.items():
        if name not in tasks or name not in answers.pooled or not is_yes_no(tasks[name]):
            continue
        questions = {q.label: q for q in yes_no_of(tasks[name], answers.pooled[name])}
        for point in points:
            question = questions[point.label]
            at = {
                "at_threshold": judge_threshold(question, point.threshold, resamples),
                "plain": judge_threshold(question, 0.5, resamples),
            }
            entry = {**vars(point), "name": point.name, **at, "items": int(question.truth.size)}
            found.setdefault(name, []).append(plain(entry))
    return found


def judge_threshold(question: YesNo, threshold: float, resamples: int = 1000) -> dict[str, dict[str, Any]]:
    """Measure sensitivity, specificity, PPV and NPV at a threshold, with intervals over subjects; n is the number of
    cases that the share is taken of."""
    called, truth = question.p >= threshold, question.truth
    people = list(dict.fromkeys(question.subjects))
    place = {s: k for k, s in enumerate(people)}
    owner = np.array([place[s] for s in question.subjects], np.int64)
    of = Measures(len(people), owner, resamples)
    among = {
        # Each share: among which cases, and which of them are right.
        "sensitivity": (truth, called),
        "specificity": (~truth, ~called),
        "ppv": (called, truth),
        "npv": (~called, ~truth),
    }
    return {
        share: estimate_of(of.among(base).share(right[base]), int(base.sum()))._asdict()
        for share, (base, right) in among.items()
    }


def _classes(task: Task) -> str:
    count = len(names_of(task))
    return f" with {count} classes" if answer_form(task.kind) in ("class", "grade") else ""
