"""At a landmark time begins anew, and who had the event or was lost before it is no longer at risk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from polytask.cohort.cell_values import pooled_value
from polytask.cohort.check import check_cohort
from polytask.cohort.cohort import Cohort
from polytask.cohort.header import Header
from polytask.cohort.header_file import load_header, make_canonical_text
from polytask.errors import PolytaskError
from polytask.kinds.horizons import count_days_per_unit
from tests.cohort.longitudinal import ROWS, describe_course, write_course


def answers_of(folder: Path) -> dict[str, list[Any]]:
    """Subject → the answer at each of its rows."""
    cohort = Cohort.read(folder)
    return {s: [pooled_value(cohort, [c], "relapse") for c in cases] for s, cases in cohort.subjects.items()}


def test_time_counts_from_the_visit_and_the_risk_set_loses_those_who_left(tmp_path: Path) -> None:
    """The days between origin and visit are taken off; the cells may stand on any row of the subject."""
    assert answers_of(write_course(tmp_path)) == {
        "a": [(100.0, 1.0), (70.0, 1.0), (35.0, 1.0)],
        "b": [(30.0, 0.0), None],
        "c": [None, None],
        "d": [(200.0, 0.0), (167.0, 0.0), (134.0, 0.0)],
    }


def test_without_an_origin_time_counts_from_day_0_and_only_landmarks_are_asked(tmp_path: Path) -> None:
    header = describe_course(origin=None, landmarks=["second"])
    assert answers_of(write_course(tmp_path, header=header))["a"] == [None, (60.0, 1.0), None]


def test_days_become_the_unit_of_the_task(tmp_path: Path) -> None:
    rows = [("a", "start", "0", "1", "2", "1"), ("a", "second", "365.25", "1", "", "")]
    found = answers_of(write_course(tmp_path, rows, describe_course(unit="years")))
    assert found["a"] == [(2.0, 1.0), (1.0, 1.0)]
    assert [count_days_per_unit(u) for u in ("d", "weeks", "mo.", "Years", "cycles")] == [
        1.0,
        7.0,
        30.4375,
        365.25,
        None,
    ]


def test_a_sample_is_a_subject_and_the_digest_knows_the_landmarks(tmp_path: Path) -> None:
    cohort = Cohort.read(write_course(tmp_path))
    assert [len(s.cases) for s in cohort.samples()] == [3, 2, 2, 3]
    texts = {
        make_canonical_text(Header.model_validate(describe_course(landmarks=marks)))
        for marks in (None, ["start"], ["start", "third"])
    }
    assert len(texts) == 3


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"landmarks": ["frist"]},
            ["tasks.relapse.landmarks: visit 'frist' is not in the header's `visits`"],
        ),
        (
            {"origin": "second"},
            ["tasks.relapse.landmarks: 'start' stands before the origin 'second', where time begins"],
        ),
        ({"landmarks": ["start", "start"]}, ["visit 'start' is named twice"]),
        ({"level": "subject"}, ["risk is judged at visits", "write `level: visit`"]),
        ({"visits": ["start"]}, ["tasks.relapse.visits: `landmarks` already says"]),
        ({"unit": "cycles"}, ["tasks.relapse.unit: 'cycles' cannot be counted in days"]),
    ],
)
def test_a_wrong_landmark_is_one_line(tmp_path: Path, changes: dict[str, Any], words: list[str]) -> None:
    _, listed = load_header(write_course(tmp_path, header=describe_course(**changes)) / "cohort.yaml")
    lines = [f"{p.message} -> {p.remedy}" for p in listed]
    assert len(lines) == 1
    assert all(word in lines[0] for word in words), lines


def test_a_landmark_without_a_day_is_refused_and_listed_by_check(tmp_path: Path) -> None:
    rows = [(*row[:2], "", *row[3:]) if row[:2] == ("a", "second") else row for row in ROWS]
    folder = write_course(tmp_path, rows)
    with pytest.raises(
        PolytaskError, match="row 3, subject a: task relapse counts time from landmark 'second'"
    ):
        answers_of(folder)
    listed = [p for p in check_cohort(folder, jobs=1) if p.code == "landmark"]
    assert [(p.row, p.subject, p.column) for p in listed] == [(3, "a", "day")]


def test_a_subject_without_the_origin_and_a_landmark_that_nobody_visits(tmp_path: Path) -> None:
    rows = [(*row[:4], "90", "1") for row in ROWS if row[1] != "start"]
    folder = write_course(tmp_path, rows)
    with pytest.raises(
        PolytaskError, match="subject a: task relapse counts from 'start', a visit that is missing"
    ):
        answers_of(folder)
    messages = [p.message for p in check_cohort(folder, jobs=1) if p.code == "landmark"]
    assert messages == ["task 'relapse' counts from 'start', a visit that no subject has"]


def test_rows_of_a_subject_must_agree(tmp_path: Path) -> None:
    rows = [(*row[:4], "31", "0") if row[:2] == ("b", "second") else row for row in ROWS]
    codes = {p.code for p in check_cohort(write_course(tmp_path, rows), jobs=1) if p.level == "error"}
    assert "disagreement" in codes
