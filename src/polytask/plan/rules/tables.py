"""Columns of table inputs: how numbers are imputed and scaled, and which categories there are, from the train part."""

from __future__ import annotations

import numpy as np

from polytask.cohort.header import Column
from polytask.cohort.values import column_value
from polytask.plan.plan import ColumnPlan
from polytask.plan.rules.fold import FoldBasis
from polytask.plan.rules.why import Why, few
from polytask.plan.sketch import short


def plan_tables(basis: FoldBasis, why: Why) -> dict[str, dict[str, ColumnPlan]]:
    """Table input → column → plan."""
    return {
        name: {
            column: _column(basis, name, column, spec, why.at(f"tables.{name}"))
            for column, spec in table.columns.items()
        }
        for name, table in basis.cohort.header.tables.items()
    }


def _column(basis: FoldBasis, table: str, column: str, spec: Column, why: Why) -> ColumnPlan:
    cells = [column_value(basis.cohort, cases, table, column) for cases in basis.items(spec.level)]
    known = [cell for cell in cells if cell is not None]
    filled = f"{len(known)} of {len(cells)} training cells are filled"
    if spec.type == "category":
        seen = sorted({str(cell) for cell in known})
        values = list(spec.values) if spec.values is not None else seen
        why[column] = (
            f"categories of the header, {len(seen)} of them seen in train; {filled}"
            if spec.values is not None
            else f"categories seen in train ({few(seen) or 'none'}); {filled}"
        )
        return ColumnPlan(type="category", values=values)
    numbers = np.array([float(cell) for cell in known])
    if not numbers.size:
        why[column] = f"{filled}: the column says nothing in this fold"
        return ColumnPlan(type="number")
    mean, sd = short(float(numbers.mean()), 5), short(float(numbers.std()), 5)
    why[column] = f"mean {mean:g} (stands for unknown cells) and deviation {sd:g}; {filled}" + (
        "; all alike, so it is only centred" if sd == 0 else ""
    )
    return ColumnPlan(type="number", mean=mean, sd=sd or 1.0)
