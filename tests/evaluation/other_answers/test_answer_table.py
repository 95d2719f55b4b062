"""Tables of answers are joined to a cohort by subject and visit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from polytask.cohort.cohort import Cohort
from polytask.cohort.header import Header
from polytask.cohort.text_table import write_cases_table
from polytask.errors import PolytaskError
from polytask.evaluation.other_answers.answer_table import AnswerTable, read_answer_table
from polytask.evaluation.other_answers.judge_other_answers import read_other_answers
from polytask.tasks import make_task
from polytask.tasks.task import Task

HEADER = {
    "polytask": 1,
    "name": "c",
    "visits": ["t0", "t1"],
    "inputs": {"clinic": {"kind": "table", "columns": {"age": {"type": "number"}}}},
    "tasks": {
        "grade": {"kind": "ordinal", "order": ["1", "2"], "merge": {"3": "2"}, "unknown": ["x"]},
        "response": {"kind": "classification", "level": "subject", "classes": ["no", "yes"]},
    },
}
TASKS: dict[str, Task] = {
    "grade": make_task("grade", {"kind": "ordinal", "level": "visit", "classes": ["1", "2"]}),
    "response": make_task(
        "response", {"kind": "classification", "level": "subject", "classes": ["no", "yes"]}
    ),
}


def read(folder: Path, *rows: dict[str, Any]) -> AnswerTable:
    """The subjects of the cohort are a with two visits and b with one."""
    cases = [{"subject": s, "visit": v, "age": "50"} for s, v in (("a", "t0"), ("a", "t1"), ("b", "t1"))]
    folder.mkdir(parents=True, exist_ok=True)
    write_cases_table(folder / "cases.csv", list(cases[0]), cases)
    cohort = Cohort.from_table(Header.model_validate(HEADER), folder / "cases.csv")
    columns = list(dict.fromkeys(c for row in rows for c in row))
    write_cases_table(folder / "reader.csv", columns, [{**dict.fromkeys(columns, ""), **row} for row in rows])
    return read_answer_table(folder / "reader.csv", TASKS, cohort)


def refuse(folder: Path, *rows: dict[str, Any]) -> str:
    with pytest.raises(PolytaskError) as raised:
        read(folder, *rows)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_a_visit_task_is_answered_by_visit_and_a_subject_task_by_subject(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        {"subject": "a", "visit": "t0", "grade": "1", "response": "yes"},
        {"subject": "a", "visit": "t1", "grade": "", "response": "yes"},
        {"subject": "b", "grade": "2"},
    )
    assert found.name == "reader"
    assert {who: row.line for who, row in found.rows["grade"].items()} == {("a", "t0"): 2, ("b", "t1"): 4}
    assert {who: row.line for who, row in found.rows["response"].items()} == {("a", ""): 2}
    assert found.where(found.rows["grade"]["a", "t0"]).endswith("reader.csv, row 2, subject a, visit t0")
    assert found.where(found.rows["grade"]["b", "t1"]).endswith("reader.csv, row 4, subject b")


def test_words_are_merged_as_the_header_says(tmp_path: Path) -> None:
    found = read(tmp_path, {"subject": "a", "visit": "t0", "grade": "3"}, {"subject": "b", "grade": "x"})
    assert [row.cells["grade"] for row in found.rows["grade"].values()] == ["2"]


def test_rows_that_cannot_be_joined_are_refused(tmp_path: Path) -> None:
    one = {"subject": "a", "visit": "t0", "grade": "1"}
    assert "subject 'z' is not in" in refuse(tmp_path, {"subject": "z", "grade": "1"})
    told = refuse(
        tmp_path,
        {"subject": "z", "grade": "1"},
        {"subject": "y", "grade": "1"},
        {"subject": "z", "grade": "1"},
    )
    assert "subject 'z' (and 1 more) is not in" in told
    assert "row 3, subject a, visit t0: stands already in row 2" in refuse(tmp_path, one, one)
    assert "no such visit of this subject (it has t1)" in refuse(
        tmp_path, {"subject": "b", "visit": "t0", "grade": "1"}
    )
    assert "the subject has 2; fill" in refuse(tmp_path, {"subject": "a", "grade": "1"})
    told = refuse(tmp_path, {"subject": "b", "grade": "1"}, {"subject": "b", "visit": "t1", "grade": "2"})
    assert "row 3, subject b, visit t1: answers grade as row 2 does" in told


def test_answers_about_a_subject_agree(tmp_path: Path) -> None:
    rows = [
        {"subject": "a", "visit": "t0", "response": "no"},
        {"subject": "a", "visit": "t1", "response": "yes"},
    ]
    assert "answers response differently from row 2" in refuse(tmp_path, *rows)
    rows[1]["response"] = ""
    assert list(read(tmp_path, *rows).rows["response"]) == [("a", "")]


def test_a_table_of_empty_answers_is_refused(tmp_path: Path) -> None:
    assert "every answer is empty" in refuse(tmp_path, {"subject": "a", "visit": "t0", "grade": ""})


def test_tables_are_read_whole_and_have_names_of_their_own(tmp_path: Path) -> None:
    first = read(tmp_path, {"subject": "a", "visit": "t0", "grade": "1", "response": "yes"})
    cohort = Cohort.from_table(Header.model_validate(HEADER), tmp_path / "cases.csv")
    (found,) = read_other_answers([first.path], TASKS, cohort)
    assert set(found.items) == {"grade", "response"}
    assert found.items["grade"].ids == (("a", "t0"),)
    with pytest.raises(PolytaskError, match="a second table named 'reader'"):
        read_other_answers([first.path, first.path], TASKS, cohort)
    assert read_other_answers([], TASKS, cohort) == []
