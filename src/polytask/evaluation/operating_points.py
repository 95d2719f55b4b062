"""Operating points: thresholds that reach a wanted sensitivity or specificity, chosen on tune and judged elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from polytask.errors import PolytaskError, suggest_word
from polytask.evaluation.metric_calculator import MetricCalculator
from polytask.evaluation.metric_estimates import build_estimate, list_class_names
from polytask.evaluation.part_answers import PartAnswers
from polytask.evaluation.yes_no_questions import YesNoQuestion, is_yes_no, list_yes_no_questions
from polytask.kinds import find_answer_form
from polytask.plain import make_plain
from polytask.statistics.operating_point import choose_threshold
from polytask.tasks.task import Task
from polytask.training.decisions import DecisionAim, Decisions, OperatingPoint


@dataclass(frozen=True)
class RequestedPoint:
    """An operating point that a person asked for: a share of a task, or of one of its labels."""

    task: str
    label: str
    aim: DecisionAim
    target: float

    @property
    def words(self) -> str:
        """The option as it was written on the command line."""
        return f"--{self.aim} {self.task}{f'.{self.label}' if self.label else ''}={self.target:g}"


def parse_requested_points(text: str, aim: DecisionAim, tasks: Mapping[str, Task]) -> list[RequestedPoint]:
    """Parse `TASK=0.9` (for a multilabel task all its labels) or `TASK.LABEL=0.9`.

    Raises:
        PolytaskError: the share is missing, the task or label does not exist, or the task has no yes/no answer.
    """
    # The last `=`: names of labels may hold one.
    question_name, equals, share = text.rpartition("=")
    try:
        target = float(share) if equals else float("nan")
    except ValueError:
        target = float("nan")
    if not 0 < target < 1:
        raise PolytaskError(
            f"--{aim} {text}: expected TASK=SHARE with a share between 0 and 1, such as response=0.9"
        )
    task = tasks.get(question_name)
    if task is not None:
        if not is_yes_no(task):
            raise PolytaskError(
                f"--{aim} {text}: {question_name} is a {task.kind}{_describe_class_count(task)}; expected a task with "
                "two classes, or labels"
            )
        labels = list(list_class_names(task)) if find_answer_form(task.kind) == "labels" else [""]
        return [RequestedPoint(question_name, label, aim, target) for label in labels]
    for name, owner in tasks.items():
        if (
            find_answer_form(owner.kind) == "labels"
            and question_name.startswith(f"{name}.")
            and question_name[len(name) + 1 :] in list_class_names(owner)
        ):
            return [RequestedPoint(name, question_name[len(name) + 1 :], aim, target)]
    known = [n for n, t in tasks.items() if is_yes_no(t)]
    known += [
        f"{n}.{label}"
        for n in known
        if find_answer_form(tasks[n].kind) == "labels"
        for label in list_class_names(tasks[n])
    ]
    raise PolytaskError(
        f"--{aim} {text}: {question_name!r} is no task with two classes or labels, "
        f"{suggest_word(question_name, known, 'use')}"
    )


def choose_point_thresholds(
    requested: Sequence[RequestedPoint], tasks: Mapping[str, Task], tune: PartAnswers, decisions: Decisions
) -> Decisions:
    """Choose thresholds on the answers to the tune part, and add them to the existing decisions.

    Raises:
        PolytaskError: a share that cannot be reached on tune, with the reason.
    """
    extended = decisions
    for request in requested:
        question = next(
            q
            for q in list_yes_no_questions(tasks[request.task], tune.pooled[request.task])
            if q.label == request.label
        )
        try:
            threshold = choose_threshold(question.p, question.truth, request.aim, request.target)
        except PolytaskError as error:
            raise PolytaskError(f"{request.words}: on tune, {error}") from None
        point = OperatingPoint(
            request.label,
            request.aim,
            request.target,
            threshold,
            int(question.truth.size),
            int(question.truth.sum()),
        )
        extended = extended.with_points(request.task, [point])
    return extended


def measure_operating_points(
    tasks: Mapping[str, Task], answers: PartAnswers, decisions: Decisions, resamples: int = 1000
) -> dict[str, list[dict[str, Any]]]:
    """Measure each operating point of each task: sensitivity, specificity, PPV and NPV with intervals, and the same at
    the threshold of the plain answer (½)."""
    measured: dict[str, list[dict[str, Any]]] = {}
    for name, points in decisions.points.items():
        if name not in tasks or name not in answers.pooled or not is_yes_no(tasks[name]):
            continue
        questions = {q.label: q for q in list_yes_no_questions(tasks[name], answers.pooled[name])}
        for point in points:
            question = questions[point.label]
            shares = {
                "at_threshold": measure_threshold(question, point.threshold, resamples),
                "plain": measure_threshold(question, 0.5, resamples),
            }
            entry = {**vars(point), "name": point.name, **shares, "items": int(question.truth.size)}
            measured.setdefault(name, []).append(make_plain(entry))
    return measured


def measure_threshold(
    question: YesNoQuestion, threshold: float, resamples: int = 1000
) -> dict[str, dict[str, Any]]:
    """Measure sensitivity, specificity, PPV and NPV at a threshold, with intervals over subjects; n is the number of
    cases that the share is taken of."""
    called, truth = question.p >= threshold, question.truth
    people = list(dict.fromkeys(question.subjects))
    place = {s: k for k, s in enumerate(people)}
    owner = np.array([place[s] for s in question.subjects], np.int64)
    calculator = MetricCalculator(len(people), owner, resamples)
    among = {
        # Each share: among which cases, and which of them are right.
        "sensitivity": (truth, called),
        "specificity": (~truth, ~called),
        "ppv": (called, truth),
        "npv": (~called, ~truth),
    }
    return {
        share: build_estimate(calculator.restrict_to(base).share(right[base]), int(base.sum()))._asdict()
        for share, (base, right) in among.items()
    }


def _describe_class_count(task: Task) -> str:
    count = len(list_class_names(task))
    return f" with {count} classes" if find_answer_form(task.kind) in ("class", "grade") else ""
