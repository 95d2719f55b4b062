"""Columns of a table of answers, sorted by the task they answer."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from polytask.errors import PolytaskError
from polytask.evaluation.other_answers.answer_columns import TaskAnswerColumns, assign_columns
from polytask.tasks import make_task
from polytask.tasks.task import Task

FIELDS: dict[str, dict[str, Any]] = {
    "os": {
        "kind": "survival",
        "level": "subject",
        "horizons": [365, 730],
        "unit": "days",
        "censoring": {"times": (400.0,), "survival": (0.9,)},
    },
    "grade": {"kind": "ordinal", "level": "visit", "classes": ["G1", "G2"]},
    "grade_2": {"kind": "ordinal", "level": "visit", "classes": ["low", "high"]},
    "findings": {"kind": "multilabel", "level": "visit", "labels": ["u", "stone"]},
    "lesion": {"kind": "segmentation", "level": "voxel", "structures": ["core", "rim"], "exclusive": True},
}
TASKS: Mapping[str, Task] = {name: make_task(name, fields) for name, fields in FIELDS.items()}
TABLE = Path("reader.csv")


def sort(*columns: str) -> tuple[dict[str, TaskAnswerColumns], list[str]]:
    header: Any = SimpleNamespace(tasks=dict.fromkeys([*TASKS, "stage"]))
    return assign_columns(TABLE, ["subject", "visit", *columns], TASKS, header)


def test_every_form_of_answer_finds_its_place() -> None:
    columns = ["grade", "grade.p.G1", "grade.p.G2", "os.risk", "os.p.T365", "lesion.core", "lesion.rim"]
    found, ignored = sort(*columns)
    assert found == {
        "grade": TaskAnswerColumns("grade", {"G1": "grade.p.G1", "G2": "grade.p.G2"}),
        "os": TaskAnswerColumns("", {"T365": "os.p.T365"}, "os.risk"),
        "lesion": TaskAnswerColumns(parts={"core": "lesion.core", "rim": "lesion.rim"}),
    }
    assert ignored == []
    assert sorted(c for one in found.values() for c in one.all) == sorted(columns)


def test_a_task_whose_name_begins_like_another_has_its_own_columns() -> None:
    found, _ = sort("grade_2", "grade.p.G1", "grade_2.p.high")
    assert found["grade_2"] == TaskAnswerColumns("grade_2", {"high": "grade_2.p.high"})
    assert found["grade"] == TaskAnswerColumns("", {"G1": "grade.p.G1"})


def test_what_stands_beside_answers_is_no_answer() -> None:
    found, ignored = sort(
        "grade", "grade.u", "grade.truth", "grade.source.ct", "fold", "site", "note", "lesion.p"
    )
    assert found == {"grade": TaskAnswerColumns("grade"), "lesion": TaskAnswerColumns()}
    assert ignored == ["note"]


def test_a_label_that_is_called_like_a_trust_column_is_a_label() -> None:
    found, _ = sort("findings.u", "findings.stone")
    assert found["findings"].parts == {"u": "findings.u", "stone": "findings.stone"}


@pytest.mark.parametrize(
    ("column", "said"),
    [
        ("stage", "answers 'stage', which is no task of this model"),
        ("stage.p.II", "answers 'stage', which is no task of this model"),
        ("gradee.p.G1", "answers 'gradee', which is no task of this model, did you mean 'grade'"),
        ("gradee.risk", "answers 'gradee', which is no task"),
        ("grade.p.G3", "'G3' is no class of grade"),
        ("os.p.T99", "'T99' is no horizon of os"),
        ("os", "does not fit a survival task; expected os.risk or os.p.T365 or os.p.T730"),
        ("grade.G1", "does not fit a ordinal task; expected grade or grade.p.G1 or grade.p.G2"),
        ("grade.risk", "does not fit a ordinal task"),
        ("lesion.p.core", "does not fit a segmentation task; expected lesion (a path) or lesion.core"),
    ],
)
def test_a_column_that_no_task_can_mean_is_refused_in_one_line(column: str, said: str) -> None:
    with pytest.raises(PolytaskError) as raised:
        sort(column)
    assert said in str(raised.value)
    assert str(raised.value).startswith("reader.csv: column ")
    assert "\n" not in str(raised.value)


def test_answers_name_their_subject_and_answer_something() -> None:
    header: Any = SimpleNamespace(tasks=dict(TASKS))
    with pytest.raises(PolytaskError, match="no column 'subject'"):
        assign_columns(TABLE, ["visit", "grade"], TASKS, header)
    for columns in ([], ["note"], ["grade.u"]):
        with pytest.raises(PolytaskError, match="no column answers a task of this model"):
            assign_columns(TABLE, ["subject", *columns], TASKS, header)


def test_a_dose_is_answered_by_a_path() -> None:
    tasks: Mapping[str, Task] = {"dose": make_task("dose", {"kind": "dose"})}
    header: Any = SimpleNamespace(tasks=dict(tasks))
    assert assign_columns(TABLE, ["subject", "dose"], tasks, header)[0]["dose"].answer == "dose"
    with pytest.raises(PolytaskError, match=r"expected dose \(a path\)"):
        assign_columns(TABLE, ["subject", "dose.mean"], tasks, header)
