"""The key `applies_when` of a header: which tasks may follow which, in one line each where they may not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from polytask.cohort.cell_values import does_task_apply, pooled_value
from polytask.cohort.cohort import Cohort
from polytask.cohort.header_file import load_header, make_canonical_text
from polytask.cohort.text_table import write_cases_table
from tests.journeys.run_cli import polytask

DIAGNOSIS: dict[str, Any] = {"kind": "classification", "classes": ["benign", "malignant"]}
SEVERITY: dict[str, Any] = {"kind": "ordinal", "order": ["mild", "severe"]}
CELLS = [
    ("benign", ""),
    ("malignant", "severe"),
    ("malignant", ""),
    ("", "mild"),
    ("", ""),
    ("benign", ""),
    ("malignant", "mild"),
    ("malignant", "severe"),
]


def write_header(folder: Path, **tasks: dict[str, Any]) -> Path:
    clinic = {"kind": "table", "columns": {"age": {"type": "number"}}}
    path = folder / "cohort.yaml"
    path.write_text(
        yaml.safe_dump({"polytask": 1, "name": "w", "inputs": {"clinic": clinic}, "tasks": tasks})
    )
    return path


def list_problems(folder: Path, **tasks: dict[str, Any]) -> list[str]:
    return [f"{p.message}; {p.remedy}" for p in load_header(write_header(folder, **tasks))[1]]


def follow(other: str, *words: str, **more: Any) -> dict[str, Any]:
    return {**SEVERITY, "applies_when": {other: list(words)}, **more}


@pytest.mark.parametrize(
    ("tasks", "said"),
    [
        ({"severity": follow("diagnos", "malignant")}, "'diagnos' is not a task; did you mean 'diagnosis'?"),
        (
            {"severity": follow("diagnosis", "malignat")},
            "'malignat' is not a class of 'diagnosis'; did you mean",
        ),
        (
            {"severity": follow("severity", "mild")},
            "'severity' would follow its own answer; name another task",
        ),
        ({"severity": follow("diagnosis", "benign", "malignant")}, "every class of 'diagnosis' is named"),
        (
            {"size": {"kind": "regression"}, "severity": follow("size", "1")},
            "'size' is a regression, whose answer is no class",
        ),
        (
            {"severity": follow("diagnosis", "malignant", level="subject")},
            "'diagnosis' may differ between the visits of a subject",
        ),
        (
            {
                "severity": follow("spread", "far"),
                "spread": follow("severity", "mild", order=["near", "far"]),
            },
            "severity → spread → severity is a circle",
        ),
        (
            {"severity": {**SEVERITY, "applies_when": {"diagnosis": ["malignant"], "size": ["1"]}}},
            "2 tasks are named; name one",
        ),
    ],
)
def test_a_condition_that_cannot_hold_is_one_line(
    tmp_path: Path, tasks: dict[str, dict[str, Any]], said: str
) -> None:
    found = list_problems(tmp_path, diagnosis=DIAGNOSIS, **tasks)
    assert len(found) == 1, found
    assert found[0].startswith("tasks.severity.applies_when: ")
    assert said in found[0]
    refused = polytask("plan", tmp_path, "-o", tmp_path / "work")
    assert refused.code == 2
    assert said in refused.complaint


def test_a_mask_cannot_follow(tmp_path: Path) -> None:
    mask = {
        "kind": "segmentation",
        "image": "clinic",
        "labels": {"x": 1},
        "applies_when": {"diagnosis": ["x"]},
    }
    assert any(
        "unknown key 'applies_when'" in line
        for line in list_problems(tmp_path, diagnosis=DIAGNOSIS, mask=mask)
    )


def test_without_the_key_a_header_keeps_its_hash(tmp_path: Path) -> None:
    header, _ = load_header(write_header(tmp_path, diagnosis=DIAGNOSIS, severity=SEVERITY))
    following, _ = load_header(
        write_header(tmp_path, diagnosis=DIAGNOSIS, severity=follow("diagnosis", "malignant"))
    )
    assert header is not None
    assert following is not None
    assert "applies_when" not in make_canonical_text(header)
    assert "applies_when" in make_canonical_text(following)


def make_cohort(folder: Path, cells: list[tuple[str, str]] = CELLS, **severity: Any) -> Cohort:
    write_header(folder, diagnosis=DIAGNOSIS, severity=follow("diagnosis", "malignant", **severity))
    rows = [
        {"subject": f"s{k}", "age": "50", "diagnosis": diagnosis, "severity": grade}
        for k, (diagnosis, grade) in enumerate(cells)
    ]
    write_cases_table(folder / "cases.csv", list(rows[0]), rows)
    return Cohort.read(folder)


def test_the_diagnosis_says_whether_a_severity_applies(tmp_path: Path) -> None:
    cohort = make_cohort(tmp_path)
    applies = [does_task_apply(cohort, (case,), "severity") for case in cohort.cases]
    assert applies == [False, True, True, None, None, False, True, True]
    assert [does_task_apply(cohort, (case,), "diagnosis") for case in cohort.cases] == [True] * 8
    assert [pooled_value(cohort, (case,), "severity") for case in cohort.cases] == [
        *(None, 1, None, 0, None, None, 0, 1)
    ]


def test_a_severity_where_it_does_not_apply_is_an_error_and_not_read(tmp_path: Path) -> None:
    cohort = make_cohort(tmp_path, [*CELLS, ("benign", "severe")])
    assert pooled_value(cohort, (cohort.cases[-1],), "severity") is None
    said = polytask("check", tmp_path, "--json")
    (problem,) = [p for p in said.json["problems"] if p["code"] == "not-applicable"]
    assert said.code == 1, "as for every error of a cohort"
    assert problem["message"] == (
        "severity is 'severe', but 'severity' applies only where diagnosis is malignant"
    )


def test_what_follows_a_task_that_does_not_apply_does_not_either(tmp_path: Path) -> None:
    write_header(
        tmp_path,
        diagnosis=DIAGNOSIS,
        severity=follow("diagnosis", "malignant"),
        stage=follow("severity", "severe", order=["I", "II"]),
    )
    cells = [
        ("benign", "", ""),
        ("malignant", "mild", ""),
        ("malignant", "severe", "II"),
        ("malignant", "", ""),
    ]
    rows = [
        {"subject": f"s{k}", "diagnosis": a, "severity": b, "stage": c} for k, (a, b, c) in enumerate(cells)
    ]
    write_cases_table(tmp_path / "cases.csv", list(rows[0]), rows)
    cohort = Cohort.read(tmp_path)
    assert [does_task_apply(cohort, (c,), "stage") for c in cohort.cases] == [False, False, True, None]
