"""Plans table inputs from the train part: which columns are used, how numbers are scaled, which categories exist."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import numpy as np

from polytask.cohort.cell_values import column_value
from polytask.cohort.header import Column
from polytask.kinds.plan_reasons import PlanReasons, join_first_names, round_number
from polytask.plan.plan_schema import ColumnPlan
from polytask.plan.rules.column_groups import group_columns
from polytask.plan.rules.column_screening import ColumnScreening, is_table_screened, screen_columns
from polytask.plan.rules.fold_facts import FoldFacts


def plan_tables(basis: FoldFacts, why: PlanReasons) -> dict[str, dict[str, ColumnPlan]]:
    """Plan the table inputs: table → column → plan, with the columns of a group next to each other."""
    tables = {name: table.columns for name, table in basis.cohort.header.tables.items()}
    wide = {
        name: columns
        for name, columns in tables.items()
        if is_table_screened(basis, len(_list_numbers(columns)))
    }
    # Without another input, and without a category, a model that keeps no column would have nothing to read.
    needed = len(wide) == len(basis.cohort.header.inputs) and all(
        len(_list_numbers(columns)) == len(columns) for columns in wide.values()
    )
    plans = {}
    for name, columns in tables.items():
        numbers = _list_numbers(columns)
        screening = screen_columns(basis, name, numbers, needed) if name in wide else None
        plans[name] = _plan_table(basis, name, columns, screening, why.at(f"tables.{name}"))
    return plans


def _list_numbers(columns: Mapping[str, Column]) -> list[str]:
    """List the numeric columns of a table."""
    return [column for column, spec in columns.items() if spec.type == "number"]


def _plan_table(
    basis: FoldFacts,
    table: str,
    columns: Mapping[str, Column],
    screening: ColumnScreening | None,
    why: PlanReasons,
) -> dict[str, ColumnPlan]:
    """Plan one table: the columns that its screening kept, if it was screened, in groups."""
    notes = dict.fromkeys(columns, "")
    reasons = [""]
    if screening is not None:
        notes = {c: screening.kept.get(c, "") for c in columns if c not in screening.dropped}
        reasons.append(screening.reason)
    groups, how = group_columns(columns, list(notes))
    order = list(dict.fromkeys(groups.values()))
    if len(order) > 1:
        sizes = Counter(groups.values())
        named = join_first_names([f"{group or 'no group'} {sizes[group]}" for group in order])
        reasons.append(f"{len(order)} groups of columns, {how}: {named}")
    reasons[0] = f"{len(notes)} of {len(columns)} columns are used"
    why["."] = "; ".join(reasons)
    plans = {
        column: _plan_column(basis, table, column, columns[column], groups[column], why)
        for column in sorted(notes, key=lambda c: order.index(groups[c]))
    }
    # Only now: the note of the screening goes behind the reason that `_plan_column` gave.
    for column, note in notes.items():
        why.extend(column, note)
    return plans


def _plan_column(
    basis: FoldFacts, table: str, column: str, spec: Column, group: str | None, why: PlanReasons
) -> ColumnPlan:
    if spec.type == "category":
        return _plan_category_column(basis, table, column, spec, group, why)
    cells = basis.numbers(table, column)
    numbers = cells[~np.isnan(cells)]
    filled = f"{numbers.size} of {cells.size} training cells are filled"
    if not numbers.size:
        why[column] = f"{filled}: the column says nothing in this fold"
        return ColumnPlan(type="number", group=group)
    mean, sd = round_number(float(numbers.mean()), 5), round_number(float(numbers.std()), 5)
    why[column] = f"mean {mean:g} (also used for unknown cells) and standard deviation {sd:g}; {filled}" + (
        "; all values are equal, so they are only centered" if sd == 0 else ""
    )
    return ColumnPlan(type="number", mean=mean, sd=sd or 1.0, group=group)


def _plan_category_column(
    basis: FoldFacts, table: str, column: str, spec: Column, group: str | None, why: PlanReasons
) -> ColumnPlan:
    cells = [column_value(basis.cohort, cases, table, column) for cases in basis.items(spec.level)]
    known = [cell for cell in cells if cell is not None]
    filled = f"{len(known)} of {len(cells)} training cells are filled"
    # Without a list in the header the categories come from train alone: others are unknown words to the model.
    seen = sorted({str(cell) for cell in known})
    values = list(spec.values) if spec.values is not None else seen
    why[column] = (
        f"categories as in the header, {len(seen)} of them seen in train; {filled}"
        if spec.values is not None
        else f"categories seen in train ({join_first_names(seen) or 'none'}); {filled}"
    )
    return ColumnPlan(type="category", values=values, group=group)
