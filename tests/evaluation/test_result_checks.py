"""Whether results and answers are those of a run's tasks."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from polytask.evaluation.evaluate_run import evaluate_answers
from polytask.evaluation.part_answers import CaseMetrics, PartAnswers
from polytask.evaluation.result_checks import find_pooled_problem, find_result_problems
from polytask.tasks import make_task
from polytask.tasks.task import Task
from tests.evaluation.worlds import items

TASKS: dict[str, Task] = {
    "two": make_task("two", {"kind": "classification", "level": "visit", "classes": ["no", "yes"]}),
    "mask": make_task("mask", {"kind": "segmentation", "structures": ["s"], "exclusive": True}),
}
OTHERS: dict[str, Task] = {
    "finds": make_task("finds", {"kind": "multilabel", "level": "visit", "labels": ["u", "v", "w"]}),
    "size": make_task("size", {"kind": "regression", "level": "visit"}),
    "os": make_task("os", {"kind": "survival", "level": "subject", "horizons": [5.0]}),
    "grade": make_task("grade", {"kind": "ordinal", "level": "visit", "classes": ["a", "b"]}),
}
RECORD = {"name": "x", "fold": 0, "seed": 0, "sharing": "hard"}
P = np.array([[0.9, 0.1], [0.2, 0.8]])
CASES = CaseMetrics((("s0", ""),), ({"n": 1.0, "dice": 0.5},))
GIVEN = PartAnswers({"s0": "", "s1": ""}, {"two": items({"p": P}, [0, 1])}, {"mask": CASES}, {})
RESULT = evaluate_answers(TASKS, GIVEN, RECORD, "held_out", 5)


def find(
    evaluation: Any = RESULT, answers: PartAnswers = GIVEN, tasks: dict[str, Task] | None = None
) -> list[str]:
    return [f"{which}: {what}" for which, what in find_result_problems(evaluation, answers, tasks or TASKS)]


def test_what_belongs_together_has_no_problem() -> None:
    assert find() == []


def test_tasks_are_those_of_the_run() -> None:
    assert find(tasks={"two": TASKS["two"]}) == ["evaluation: its tasks are not those of the run"]
    other = make_task("two", {"kind": "classification", "level": "subject", "classes": ["no", "yes", "x"]})
    told = find(tasks={**TASKS, "two": other})
    assert told[:2] == [
        "evaluation: tasks.two.level is not that of the run",
        "evaluation: tasks.two.names is not that of the run",
    ]
    assert find(answers=replace(GIVEN, voxel={})) == ["answers: its tasks are not those of the run"]
    assert find(answers=replace(GIVEN, pooled={})) == ["answers: its tasks are not those of the run"]


def test_a_dose_may_have_other_structures() -> None:
    dose = make_task("dose", {"kind": "dose", "structures": ["a"]})
    given = PartAnswers({"s0": ""}, {}, {"dose": CASES}, {})
    result = evaluate_answers({"dose": dose}, given, RECORD, "held_out", 5)
    other = make_task("dose", {"kind": "dose", "structures": ["b"]})
    assert list(find_result_problems(result, given, {"dose": other})) == []


def test_subjects_are_those_of_the_evaluation() -> None:
    assert find(answers=replace(GIVEN, sites={"s0": "", "s1": "", "s2": ""})) == [
        "answers: its subjects are not those of the evaluation"
    ]
    assert find(answers=replace(GIVEN, sites={"s0": ""})) == [
        "answers: its subjects are not those of the evaluation",
        "answers: two: a subject that is not in `sites`",
    ]


@pytest.mark.parametrize(
    ("task", "prediction", "value", "known", "told"),
    [
        (TASKS["two"], {"p": P}, [0, 1], None, ""),
        (TASKS["two"], {"p": P}, [0, 2], None, "a truth that is not one of its 2 classes"),
        (TASKS["two"], {"p": P}, [0, 2], [True, False], ""),
        (TASKS["two"], {"p": P[:, :1]}, [0, 1], None, "no prediction `p` of the shape (2,)"),
        (TASKS["two"], {}, [0, 1], None, "no prediction `p` of the shape (2,)"),
        (
            TASKS["two"],
            {"p": P},
            [[0.0], [1.0]],
            None,
            "truths of the shape (1,) with known flags of the shape ()",
        ),
        (OTHERS["grade"], {"p": P}, [0, -1], None, "a truth that is not one of its 2 classes"),
        (OTHERS["size"], {"value": P[:, 0]}, [0.5, 7.0], None, ""),
        (OTHERS["size"], {"value": P}, [0.5, 7.0], None, "no prediction `value` of the shape ()"),
        (OTHERS["os"], {"risk": P[:, 0], "p": P[:, :1]}, [[1.0, 0.0], [2.0, 1.0]], None, ""),
        (
            OTHERS["os"],
            {"risk": P[:, 0], "p": P},
            [[1.0, 0.0], [2.0, 1.0]],
            None,
            "no prediction `p` of the shape (1,)",
        ),
        (
            OTHERS["os"],
            {"risk": P[:, 0], "p": P[:, :1]},
            [1.0, 2.0],
            None,
            "truths of the shape () with known flags of the shape ()",
        ),
        (OTHERS["finds"], {"p": np.ones((2, 3))}, np.ones((2, 3)), np.ones((2, 3)), ""),
        (
            OTHERS["finds"],
            {"p": np.ones((2, 3))},
            np.ones((2, 3)),
            None,
            "truths of the shape (3,) with known flags of the shape ()",
        ),
        (
            OTHERS["finds"],
            {"p": np.ones((2, 3))},
            np.ones((2, 2)),
            np.ones((2, 3)),
            "truths of the shape (2,) with known flags of the shape (3,)",
        ),
    ],
)
def test_items_have_the_form_of_their_task(
    task: Task, prediction: Any, value: Any, known: Any, told: str
) -> None:
    assert find_pooled_problem(task, items(prediction, value, known)) == told
