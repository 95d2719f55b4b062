"""How often planning looks at cells and columns: counted, since seconds depend on the machine."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml

from polytask.cohort.cohort import Cohort
from polytask.cohort.splits import make_splits
from polytask.errors import PolytaskError
from polytask.plan import fingerprint as fingerprints
from polytask.plan.machine import Machine
from polytask.plan.planner import make_plan
from polytask.plan.rules import column_evidence, parsed_columns
from polytask.plan.rules.parsed_columns import ParsedColumns

COLUMNS = 80


def write_cohort(folder: Path, subjects: int = 30, columns: int = COLUMNS, visits: int = 1) -> Cohort:
    folder.mkdir()
    names = [f"g{k}" for k in range(columns)]
    inputs = {name: {"type": "number"} for name in names} | {"age": {"type": "number", "level": "subject"}}
    header = {
        "polytask": 1,
        "name": "cells",
        "inputs": {"genes": {"kind": "table", "columns": inputs}},
        "tasks": {"grade": {"kind": "classification", "classes": ["low", "middle", "high"]}},
    } | ({"visits": [f"v{k}" for k in range(visits)]} if visits > 1 else {})
    (folder / "cohort.yaml").write_text(yaml.safe_dump(header, sort_keys=False))
    random = np.random.default_rng(0)
    lines = [",".join(["subject", *(["visit"] if visits > 1 else []), "age", *names, "grade"])]
    for number in range(subjects):
        for visit in range(visits):
            cells = [f"{v:.3f}" if random.random() > 0.1 else "" for v in random.normal(0, 1, columns)]
            who = [f"S{number:03d}", *([f"v{visit}"] if visits > 1 else [])]
            age = str(40 + number) if visit == visits - 1 else ""
            lines.append(",".join([*who, age, *cells, ["low", "middle", "high"][number % 3]]))
    (folder / "cases.csv").write_text("\n".join(lines) + "\n")
    return Cohort.read(folder)


def test_a_cell_is_parsed_once_whatever_the_number_of_folds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cohort = write_cohort(tmp_path / "cohort")
    calls: list[str] = []
    real = parsed_columns.read_decimal
    monkeypatch.setattr(parsed_columns, "read_decimal", lambda cell: calls.append(cell) or real(cell))
    splits = make_splits(cohort, 5, 0)
    plan = make_plan(cohort, fingerprints.make_fingerprint(cohort, 1), splits, 0, Machine(1, 8 * 2**30))
    assert len(plan.folds) == 5
    filled = sum(1 for case in cohort.cases for column in case.cells if column != "grade")
    assert len(calls) <= filled


def test_columns_are_ranked_once_for_all_classes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cohort = write_cohort(tmp_path / "cohort")
    ranked = []
    real = column_evidence.rank_columns
    monkeypatch.setattr(
        column_evidence, "rank_columns", lambda values: ranked.append(values.shape) or real(values)
    )
    make_plan(
        cohort, fingerprints.make_fingerprint(cohort, 1), make_splits(cohort, 2, 0), 0, Machine(1, 8 * 2**30)
    )
    assert len(ranked) == 2, "once a fold"


def test_columns_of_subjects_and_of_visits(tmp_path: Path) -> None:
    cohort = write_cohort(tmp_path / "cohort", 6, 4, visits=3)
    columns = ParsedColumns(cohort)
    subjects = ("S004", "S001")
    rows = columns.find_rows(subjects)
    assert [cohort.cases[r].subject for r in rows] == ["S004"] * 3 + ["S001"] * 3
    assert [cohort.cases[r].visit for r in rows] == ["v0", "v1", "v2"] * 2
    found = columns.read_cases("genes", "g1", rows)
    wanted = [float(cohort.cases[r].cells.get("g1", "nan")) for r in rows]
    np.testing.assert_array_equal(found, wanted)
    assert columns.read_subjects("genes", "age", subjects).tolist() == [44.0, 41.0]
    assert columns.find_rows(()).size == 0


def test_an_odd_cell_is_named_when_it_is_read_and_not_before(tmp_path: Path) -> None:
    write_cohort(tmp_path / "cohort", 6, 4)
    path = tmp_path / "cohort" / "cases.csv"
    lines = path.read_text().splitlines()
    lines[2] = lines[2].replace("S001,41", "S001,forty")
    path.write_text("\n".join(lines) + "\n")
    cohort = Cohort.read(tmp_path / "cohort")
    columns = ParsedColumns(cohort)
    assert columns.read_subjects("genes", "age", ("S000", "S002")).tolist() == [40.0, 42.0]
    with pytest.raises(PolytaskError, match=r"row 3, subject S001, column age: 'forty' is not a number"):
        columns.read_subjects("genes", "age", ("S000", "S001"))


def test_what_is_no_plain_number_is_read_as_everywhere_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cell that only `column_value` can read, as a bound, keeps the value that it gives."""
    write_cohort(tmp_path / "cohort", 6, 4)
    path = tmp_path / "cohort" / "cases.csv"
    path.write_text(path.read_text().replace("S001,41", "S001,>41"))
    cohort = Cohort.read(tmp_path / "cohort")
    monkeypatch.setattr(parsed_columns, "column_value", lambda cohort, cases, table, column: 41.0)
    assert ParsedColumns(cohort).read_subjects("genes", "age", ("S001", "S002")).tolist() == [41.0, 42.0]
