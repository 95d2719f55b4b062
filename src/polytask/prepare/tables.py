"""Cells of a table input to features: numbers scaled, categories one-hot, unknown cells 0 with their flag down."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from polytask.plan.plan import ColumnPlan

Cell = float | str | None


def table_width(columns: Mapping[str, ColumnPlan]) -> int:
    """Features of one table input: one per number, one per value of a category."""
    return sum(len(c.values) if c.type == "category" else 1 for c in columns.values())


def table_features(
    cells: Mapping[str, Cell], columns: Mapping[str, ColumnPlan]
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    """Features and known flags `[F]`, in the order of the fold's columns.

    An unknown number becomes the training mean, which is 0 after scaling; an unknown category, or a value the fold
    never saw, is no category at all.
    """
    values: list[float] = []
    known: list[bool] = []
    for name, column in columns.items():
        cell = cells.get(name)
        if column.type == "number":
            there = cell is not None
            values.append((float(cell) - column.mean) / (column.sd or 1.0) if cell is not None else 0.0)
            known.append(there)
        else:
            there = cell is not None and str(cell) in column.values
            values += [float(there and str(cell) == value) for value in column.values]
            known += [there] * len(column.values)
    return np.array(values, np.float32), np.array(known, bool)
