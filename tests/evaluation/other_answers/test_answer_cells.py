"""What the cells of somebody's answers say."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from polytask.cohort.text_table import TextRow
from polytask.errors import PolytaskError
from polytask.evaluation.other_answers.answer_cells import OtherPooledAnswers, read_other_pooled
from polytask.evaluation.other_answers.answer_columns import assign_columns
from polytask.evaluation.other_answers.answer_table import AnswerTable
from polytask.evaluation.other_answers.paired_views import list_pooled_views
from polytask.inference.pooled_answers import PooledAnswers
from polytask.tasks import make_task
from polytask.tasks.task import Task

FIELDS: dict[str, dict[str, Any]] = {
    "two": {"kind": "classification", "level": "visit", "classes": ["no", "yes"]},
    "grade": {"kind": "ordinal", "level": "visit", "classes": ["1", "2", "3"]},
    "finds": {"kind": "multilabel", "level": "visit", "labels": ["u", "v"]},
    "size": {"kind": "regression", "level": "visit"},
    "os": {"kind": "survival", "level": "subject", "horizons": [5, 10]},
}
TASKS: Mapping[str, Task] = {name: make_task(name, fields) for name, fields in FIELDS.items()}
NAN = float("nan")


def read(task: str, *rows: Mapping[str, str]) -> OtherPooledAnswers:
    columns = list(dict.fromkeys(c for row in rows for c in row))
    header: Any = SimpleNamespace(tasks=dict(TASKS))
    found, _ = assign_columns(Path("t.csv"), ["subject", *columns], TASKS, header)
    full = {
        (f"s{k}", ""): TextRow(k + 2, {"subject": f"s{k}", **dict.fromkeys(columns, ""), **row})
        for k, row in enumerate(rows)
    }
    return read_other_pooled(AnswerTable("t", Path("t.csv"), found, {task: full}, ()), TASKS[task])


def refuse(task: str, row: Mapping[str, str]) -> str:
    with pytest.raises(PolytaskError) as raised:
        read(task, row)
    return str(raised.value)


def test_one_probability_of_two_says_the_other() -> None:
    found = read("two", {"two.p.yes": "0.25"}, {"two.p.yes": ""})
    assert found.p is not None
    assert found.p[0].tolist() == [0.75, 0.25]
    assert np.isnan(found.p[1]).all()
    assert (found.called, found.risk, found.value) == (None, None, None)
    assert found.places == {("s0", ""): 0, ("s1", ""): 1}


def test_rounded_probabilities_sum_to_one_again() -> None:
    row = {"grade.p.1": "0.333", "grade.p.2": "0.333", "grade.p.3": "0.33"}
    found = read("grade", row)
    assert found.p is not None
    assert found.p.sum() == pytest.approx(1.0)
    assert found.p[0, 0] == pytest.approx(0.333 / 0.996)
    assert read("two", {"two.p.no": "0.5", "two.p.yes": "0.514"}).p is not None
    assert "sum to 1.02" in refuse("two", {"two.p.no": "0.5", "two.p.yes": "0.516"})
    assert "sum to 0.984" in refuse("two", {"two.p.no": "0.5", "two.p.yes": "0.484"})


def test_probabilities_lie_between_nothing_and_one_and_are_complete() -> None:
    assert read("two", {"two.p.yes": "1"}).p is not None
    assert read("two", {"two.p.yes": "0"}).p is not None
    assert "two.p.yes is 1.01" in refuse("two", {"two.p.yes": "1.01"})
    assert "two.p.yes is -0.01" in refuse("two", {"two.p.yes": "-0.01"})
    assert "no probability of '3'" in refuse("grade", {"grade.p.1": "0.5", "grade.p.2": "0.5"})


def test_labels_and_horizons_have_probabilities_of_their_own() -> None:
    found = read("finds", {"finds.p.u": "0.9", "finds.p.v": "0.8"}, {"finds.p.u": "0.9"})
    assert found.p is not None
    assert found.p[0].tolist() == [0.9, 0.8]
    assert np.isnan(found.p[1, 1])
    found = read("os", {"os.risk": "7", "os.p.T10": "0.5"})
    assert found.p is not None
    assert found.risk is not None
    assert np.isnan(found.p[0, 0])
    assert (found.p[0, 1], found.risk.tolist()) == (0.5, [7.0])
    assert read("os", {"os.p.T5": "0.5"}).risk is None


def test_a_class_is_named_as_text_or_as_an_equal_number() -> None:
    found = read("grade", {"grade": "2.0"}, {"grade": "3"}, {"grade": "NA"}, {"grade": ""})
    assert found.called is not None
    assert found.called[:2].tolist() == [[0, 1, 0], [0, 0, 1]]
    assert np.isnan(found.called[2:]).all()
    assert "'4' is no class of the task" in refuse("grade", {"grade": "4"})
    assert "'x' is no class of the task" in refuse("grade", {"grade": "x"})


def test_labels_are_named_together_or_one_by_one() -> None:
    found = read("finds", {"finds": "v; u"}, {"finds": "u"}, {"finds": "none"}, {"finds": ""})
    assert found.called is not None
    assert found.called[:3].tolist() == [[1, 1], [1, 0], [0, 0]]
    assert np.isnan(found.called[3]).all()
    found = read("finds", {"finds.u": "1", "finds.v": "0"}, {"finds.v": "1"})
    assert found.called is not None
    assert found.called[0].tolist() == [1, 0]
    assert (np.isnan(found.called[1, 0]), found.called[1, 1]) == (True, 1.0)
    assert "2; expected 0, 1" in refuse("finds", {"finds.u": "2"})
    assert "'w' is no class" in refuse("finds", {"finds": "u;w"})


@pytest.mark.parametrize(
    ("task", "columns", "width"),
    [
        ("two", ["two.p.yes", "two"], 2),
        ("grade", ["grade.p.1", "grade.p.2", "grade.p.3", "grade"], 3),
        ("finds", ["finds.p.u", "finds.v"], 2),
        ("os", ["os.p.T5", "os.p.T10", "os.risk"], 2),
        ("size", ["size"], 0),
    ],
)
def test_columns_that_no_row_answers_are_read_as_nothing(task: str, columns: list[str], width: int) -> None:
    header: Any = SimpleNamespace(tasks=dict(TASKS))
    found, _ = assign_columns(Path("t.csv"), ["subject", *columns], TASKS, header)
    table = AnswerTable("t", Path("t.csv"), found, {task: {}}, ())
    nothing = read_other_pooled(table, TASKS[task])
    shapes = {array.shape for array in (nothing.p, nothing.called) if array is not None}
    assert shapes == ({(0, width)} if width else set())
    value = np.zeros((1, 2)) if task in ("os", "finds") else np.zeros(1)
    known = np.ones((1, 2) if task == "finds" else 1, bool)
    ours = PooledAnswers((("s0", ""),), {"p": np.zeros((1, width)), "value": np.zeros(1)}, value, known)
    assert list_pooled_views(TASKS[task], ours, nothing) == []


def test_a_number_has_a_dot_and_is_finite() -> None:
    found = read("size", {"size": "1.5"}, {"size": "n/a"}, {"size": "-2e1"})
    assert found.value is not None
    assert found.value[[0, 2]].tolist() == [1.5, -20.0]
    assert np.isnan(found.value[1])
    for cell in ("1,5", "inf", "nan", "wide"):
        assert f"{cell!r} is not a number" in refuse("size", {"size": cell})
