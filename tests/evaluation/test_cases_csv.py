"""The table of cases of an evaluation."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np

from polytask.evaluation.cases_csv import list_item_cells, write_cases
from polytask.evaluation.part_answers import CaseMetrics, PartAnswers
from polytask.tasks import make_task
from tests.evaluation.worlds import items

TASKS: dict[str, Any] = {
    "size": make_task("size", {"kind": "regression", "level": "visit"}),
    "finds": make_task("finds", {"kind": "multilabel", "level": "visit", "labels": ["u", "v"]}),
    "os": make_task("os", {"kind": "survival", "level": "subject", "horizons": [5.0]}),
    "grade": make_task("grade", {"kind": "ordinal", "level": "visit", "classes": ["G1", "G2"]}),
}


def test_truths_stand_beside_answers() -> None:
    size = items({"value": np.array([1.5, 2.5])}, [2.0, 9.0], [True, False])
    assert list_item_cells(TASKS["size"], size, 0) == {"truth": 2.0, "answer": 1.5}
    assert list_item_cells(TASKS["size"], size, 1) == {"truth": "", "answer": 2.5}
    grade = items({"p": np.array([[0.25, 0.75]])}, [0])
    assert list_item_cells(TASKS["grade"], grade, 0) == {
        "truth": "G1",
        "answer": "G2",
        "p.G1": 0.25,
        "p.G2": 0.75,
    }
    finds = items({"p": np.array([[0.6, 0.2]])}, np.array([[1.0, 1.0]]), np.array([[True, False]]))
    found = list_item_cells(TASKS["finds"], finds, 0)
    assert (found["truth.u"], found["truth.v"], found["answer"]) == (1, "", "u")
    os = items(
        {"risk": np.array([0.5, 0.5]), "p": np.array([[0.1], [0.1]])}, [[3.0, 1.0], [4.0, 0.0]], [True, False]
    )
    found = list_item_cells(TASKS["os"], os, 0)
    assert (found["time"], found["event"], found["risk"]) == (3.0, 1, 0.5)
    found = list_item_cells(TASKS["os"], os, 1)
    assert (found["time"], found["event"]) == ("", "")
    ended = items({"risk": np.array([0.5]), "p": np.array([[0.1]])}, [[4.0, 0.0]])
    found = list_item_cells(TASKS["os"], ended, 0)
    assert (found["time"], found["event"]) == (4.0, 0)


def test_rows_are_in_the_order_of_the_subjects_and_undefined_cells_empty(tmp_path: Path) -> None:
    mask = make_task("mask", {"kind": "segmentation", "structures": ["s"], "exclusive": True})
    cases = CaseMetrics(
        (("b", "v1"), ("a", "v1")), ({"n": 1.0, "dice": 2 / 3}, {"n": 1.0, "dice": float("nan")})
    )
    size = items({"value": np.array([1234567.0])}, [2.0], subjects=["a"])
    given = PartAnswers({"a": "S", "b": ""}, {"size": size}, {"mask": cases}, {})
    write_cases({"mask": mask, "size": TASKS["size"]}, given, tmp_path / "cases.csv")
    with (tmp_path / "cases.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert list(rows[0]) == ["subject", "visit", "site", "mask.dice", "size.truth", "size.answer"]
    assert [(r["subject"], r["visit"], r["site"]) for r in rows] == [
        ("a", "v1", "S"),
        ("a", "", "S"),
        ("b", "v1", ""),
    ]
    assert [r["mask.dice"] for r in rows] == ["", "", "0.666667"]
    assert (rows[1]["size.truth"], rows[1]["size.answer"]) == ("2", "1.23457e+06")
