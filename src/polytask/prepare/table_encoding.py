"""Encode the cells of a table input as features: numbers scaled, categories one-hot, unknown cells 0 and flagged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from polytask.cohort.cell_values import column_value
from polytask.cohort.cohort import Case, Cohort
from polytask.plan.plan_schema import ColumnPlan

ColumnCell = float | str | None


def count_group_features(columns: Mapping[str, ColumnPlan]) -> tuple[int, ...]:
    """Count the features of each group of one table input, in order: one per number, one per value of a category."""
    return tuple(
        sum(count_column_features(column) for column in group.values()) for group in _group_columns(columns)
    )


def count_column_features(column: ColumnPlan) -> int:
    """Count the features of one column: one of a number, one for each value of a category."""
    return len(column.values) if column.type == "category" else 1


def list_encoded_columns(columns: Mapping[str, ColumnPlan]) -> list[tuple[str, ColumnPlan]]:
    """List the columns in the order of their features, group by group."""
    return [entry for group in _group_columns(columns) for entry in group.items()]


def count_table_features(columns: Mapping[str, ColumnPlan]) -> int:
    """Count all features of one table input."""
    return sum(count_group_features(columns))


def encode_table_cells(
    cells: Mapping[str, ColumnCell], columns: Mapping[str, ColumnPlan]
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    """Encode cells as features and known flags `[F]`, group by group, in the order of the fold's columns.

    An unknown number becomes the training mean, which is 0 after scaling. An unknown category, or a value that the
    fold's training part does not have, becomes all zeros. Columns that the fold does not use are ignored.
    This encodes one row, of a case that is evaluated or predicted; `sample_table.ParsedTable` does the same for all
    rows of a training at once, column by column.
    """
    values: list[float] = []
    known: list[bool] = []
    for name, column in list_encoded_columns(columns):
        cell = cells.get(name)
        if column.type == "number":
            # A column that is constant in the training part has sd 0; it is only shifted.
            values.append((float(cell) - column.mean) / (column.sd or 1.0) if cell is not None else 0.0)
            known.append(cell is not None)
        else:
            is_known = cell is not None and str(cell) in column.values
            values += [float(is_known and str(cell) == value) for value in column.values]
            known += [is_known] * len(column.values)
    return np.array(values, np.float32), np.array(known, bool)


def encode_table_rows(
    cohort: Cohort, name: str, cases: Sequence[Case | None], columns: Mapping[str, ColumnPlan]
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    """Encode one table input as features and known flags, each `[V, F]`; an empty slot stays 0 and unknown.

    Each visit is encoded from its own row, so a column about the subject may be filled at any visit.
    """
    values = np.zeros((len(cases), count_table_features(columns)), np.float32)
    known = np.zeros(values.shape, bool)
    for slot, case in enumerate(cases):
        if case is not None:
            cells = {column: column_value(cohort, (case,), name, column) for column in columns}
            values[slot], known[slot] = encode_table_cells(cells, columns)
    return values, known


def _group_columns(columns: Mapping[str, ColumnPlan]) -> list[Mapping[str, ColumnPlan]]:
    """Collect the columns of each group, groups in the order of their first column: an edited plan may mix them."""
    groups: dict[str | None, dict[str, ColumnPlan]] = {}
    for name, column in columns.items():
        groups.setdefault(column.group, {})[name] = column
    return list(groups.values())
