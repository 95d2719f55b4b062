from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polytask.cohort.formula_cells import escape_cell, restore_cell
from polytask.cohort.text_table import read_text_table, write_cases_table

SRC = Path(__file__).parents[2] / "src" / "polytask"
IDS = ["=1+1", "+cmd|' /C calc'!A0", "-x", "@SUM(A1)", "'=x", "''-y", "'tis", "-", "- 5", "=", "+", "'"]


@pytest.mark.parametrize("cell", ["-0.5", "+3", "-1e-5", "1", "", "a=b", "it's", "'quoted'", "-.5", "5-"])
def test_numbers_and_plain_text_stay(cell: str) -> None:
    assert escape_cell(cell) == cell
    assert restore_cell(cell) == cell


@pytest.mark.parametrize(
    "cell", ["=1+1", "+a", "-x", "@b", "--5", "-1,5", "\t=1", "\r=1", " =1", "-1.2.3", "+"]
)
def test_what_a_spreadsheet_would_run_gets_an_apostrophe(cell: str) -> None:
    assert escape_cell(cell) == f"'{cell}"


@given(st.text(alphabet="=+-@' \t0159.eEabc,", max_size=8) | st.text(max_size=5))
def test_every_text_comes_back(cell: str) -> None:
    written = escape_cell(cell)
    assert restore_cell(written) == cell
    assert written[:1] not in ("=", "@")
    assert written[:1] not in ("+", "-") or float(written) is not None


def test_tables_keep_ids_and_columns(tmp_path: Path) -> None:
    rows = [{"subject": word, "=x": "-0.5", "-y": "=2"} for word in IDS]
    write_cases_table(tmp_path / "t.csv", ["subject", "=x", "-y"], rows)
    table = read_text_table(tmp_path / "t.csv")
    assert [row.cells for row in table.rows] == rows
    with (tmp_path / "t.csv").open(newline="") as stream:
        cells = [cell for line in csv.reader(stream) for cell in line]
    assert not [c for c in cells if c[:1] in "=+-@" and c not in ("", "-0.5")]


def test_every_module_that_knows_csv_escapes_or_restores_its_cells() -> None:
    modules = {
        p
        for p in SRC.rglob("*.py")
        if re.search(r"^(import|from) csv\b", p.read_text(encoding="utf-8"), re.M)
    }
    assert modules
    bare = [
        p.name for p in modules if "polytask.cohort.formula_cells import" not in p.read_text(encoding="utf-8")
    ]
    assert bare == []
