"""Cells to features, group by group; columns the fold leaves out are not looked at."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from polytask.cohort.cohort import Cohort
from polytask.cohort.header import Header
from polytask.errors import PolytaskError
from polytask.plan.plan_schema import ColumnPlan
from polytask.prepare.table_encoding import (
    count_group_features,
    count_table_features,
    encode_table_cells,
    encode_table_rows,
)

COLUMNS = {
    "a_rna": ColumnPlan(type="number", mean=1, sd=2, group="rna"),
    "stage": ColumnPlan(type="category", values=["I", "II", "III"]),
    "b_rna": ColumnPlan(type="number", mean=0, sd=1, group="rna"),
    "a_mut": ColumnPlan(type="number", mean=0, sd=1, group="mut"),
}
"""Mixed, as an edited plan may have them."""


def test_groups_are_contiguous_in_the_order_of_their_first_column() -> None:
    assert count_group_features(COLUMNS) == (2, 3, 1)
    assert count_table_features(COLUMNS) == 6
    values, known = encode_table_cells({"a_rna": 5.0, "b_rna": 7.0, "stage": "II", "a_mut": 1.0}, COLUMNS)
    assert values.tolist() == [2, 7, 0, 1, 0, 1]
    assert known.all()
    _, known = encode_table_cells({"b_rna": 7.0, "a_mut": 1.0}, COLUMNS)
    assert known.tolist() == [False, True, False, False, False, True]


def test_without_groups_there_is_one_and_the_order_is_the_columns() -> None:
    plain = {name: c.model_copy(update={"group": None}) for name, c in COLUMNS.items()}
    assert count_group_features(plain) == (6,)
    values, _ = encode_table_cells({"a_rna": 5.0, "b_rna": 7.0, "stage": "II", "a_mut": 1.0}, plain)
    assert values.tolist() == [2, 0, 1, 0, 7, 1]
    assert count_group_features({}) == ()


HEAD = Header.model_validate(
    {
        "polytask": 1,
        "name": "w",
        "inputs": {
            "mol": {"kind": "table", "columns": {c: {"type": "number"} for c in ("kept", "dropped", "gone")}}
        },
        "tasks": {},
    }
)
FOLD = {"kept": ColumnPlan(type="number", mean=1, sd=2)}


def read(folder: Path, text: str) -> Cohort:
    (folder / "new.csv").write_text(text)
    return Cohort.from_table(HEAD, folder / "new.csv")


@pytest.mark.parametrize(
    "text",
    ["subject,kept,dropped,gone\nx,5,1,2\n", "subject,kept\nx,5\n", "subject,kept,dropped\nx,5,high\n"],
    ids=["all there", "dropped columns missing", "an odd word in a dropped column"],
)
def test_a_prediction_table_needs_only_the_columns_the_fold_kept(tmp_path: Path, text: str) -> None:
    cohort = read(tmp_path, text)
    values, known = encode_table_rows(cohort, "mol", [None, cohort.cases[0]], FOLD)
    assert values.tolist() == [[0.0], [2.0]]
    assert known.tolist() == [[False], [True]]


def test_a_missing_kept_column_is_unknown(tmp_path: Path) -> None:
    cohort = read(tmp_path, "subject,dropped\nx,5\n")
    values, known = encode_table_rows(cohort, "mol", cohort.cases, FOLD)
    assert not values.any()
    assert not known.any()


def test_a_table_of_which_nothing_is_kept_has_no_features(tmp_path: Path) -> None:
    values, known = encode_table_rows(read(tmp_path, "subject,kept\nx,5\n"), "mol", [None], {})
    assert values.shape == known.shape == (1, 0)
    assert values.dtype == np.float32


def test_a_string_in_a_kept_column_is_one_line_with_its_place(tmp_path: Path) -> None:
    cohort = read(tmp_path, "subject,kept\nx,5\ny,high\n")
    with pytest.raises(PolytaskError) as raised:
        encode_table_rows(cohort, "mol", cohort.cases, FOLD)
    line = str(raised.value)
    assert (
        "new.csv, row 3, subject y, column kept: 'high' is not a number; write a number with a decimal point"
        in line
    )
    assert "\n" not in line
