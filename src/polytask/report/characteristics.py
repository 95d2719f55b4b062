"""Table 1 of a paper: the characteristics of the subjects of each part, from the declared table columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from polytask.array_types import Floats
from polytask.cohort.cell_values import column_value
from polytask.cohort.cohort import Cohort
from polytask.cohort.input_specs import Column
from polytask.report.metric_tables import DASH, ReportTable, TableCell
from polytask.report.report_material import ReportMaterial
from polytask.report.subject_flow import FOLD_PART_TITLES

MAX_TABLE_ONE_COLUMNS = 30
"""Largest number of columns that are shown; molecular tables have thousands."""
MIN_SKEWNESS_FOR_MEDIAN = 1.0
"""Columns of more than this skewness are shown by median and quartiles in place of mean and SD."""
TableOneValue = float | str | None


def build_table_one(material: ReportMaterial) -> tuple[ReportTable | None, str]:
    """Build Table 1 with one column per part, and a note that explains it; None when there is nothing to show."""
    cohort = material.cohort
    parts = {k: [s for s in v if s in cohort.subjects] for k, v in material.parts.items()}
    if not any(parts.values()):
        return None, ""
    columns = [(t, c, spec) for t, table in cohort.header.tables.items() for c, spec in table.columns.items()]
    rows: list[tuple[str, list[TableCell]]] = []
    # Test subjects are left out: a report must not look at them.
    sites = [s for s in dict.fromkeys(c.site for c in cohort.cases if not c.test) if s]
    if len(sites) > 1:
        of_parts: dict[str, list[TableOneValue]] = {
            k: [cohort.subjects[s][0].site or None for s in v] for k, v in parts.items()
        }
        rows += _build_category_rows("site", sites, of_parts, {})
    for table, name, spec in columns[:MAX_TABLE_ONE_COLUMNS]:
        values = {k: [_read_subject_value(cohort, s, table, name) for s in v] for k, v in parts.items()}
        rows += (
            _build_number_row(name, spec, values)
            if spec.type == "number"
            else _build_word_rows(name, spec, values)
        )
    if not rows:
        return None, ""
    heads = [f"{FOLD_PART_TITLES[k]} (n {len(v)})" for k, v in parts.items()]
    note = (
        "Numbers: mean (SD), or median (quartiles) where the values are skewed. Others: subjects (percent of those "
        "known). For a column that may change between visits: the first row of each subject."
    )
    if len(columns) > MAX_TABLE_ONE_COLUMNS:
        note += f" Shown are the first {MAX_TABLE_ONE_COLUMNS} of {len(columns)} columns."
    return ReportTable("", ["", *heads], rows), note


def _read_subject_value(cohort: Cohort, subject: str, table: str, column: str) -> TableOneValue:
    return column_value(cohort, cohort.subjects[subject], table, column)


def _build_number_row(
    name: str, spec: Column, values: Mapping[str, Sequence[TableOneValue]]
) -> list[tuple[str, list[TableCell]]]:
    known = {k: np.array([x for x in v if x is not None], np.float64) for k, v in values.items()}
    # Judged over all parts together, so that one row never mixes means and medians.
    skewed = compute_skewness(np.concatenate(list(known.values()))) > MIN_SKEWNESS_FOR_MEDIAN
    what = "median (quartiles)" if skewed else "mean (SD)"
    cells = [format_spread(v, skewed, len(values[k]) - v.size) for k, v in known.items()]
    return [(f"{spec.title or name}, {what}", cells)]


def format_spread(values: Floats, skewed: bool, unknown: int) -> TableCell:
    """Format the center and spread of the values of a part, and how many are unknown."""
    n = f"unknown {unknown}" if unknown else ""
    if not values.size:
        return TableCell(DASH, n=n, why="known for no subject")
    if skewed:
        low, middle, high = np.quantile(values, (0.25, 0.5, 0.75))
        return TableCell(
            f"{_format_short_number(middle)} ({_format_short_number(low)} to {_format_short_number(high)})",
            n=n,
        )
    if values.size < 2:
        return TableCell(_format_short_number(values[0]), n=n, why="one value: no SD")
    return TableCell(
        f"{_format_short_number(values.mean())} ({_format_short_number(values.std(ddof=1))})", n=n
    )


def compute_skewness(values: Floats) -> float:
    """Compute the absolute value of the third standardized moment; 0 where it is not defined."""
    if values.size < 3 or np.ptp(values) == 0:
        return 0.0
    centered = values - values.mean()
    return float(abs((centered**3).mean() / (centered**2).mean() ** 1.5))


def _build_word_rows(
    name: str, spec: Column, values: Mapping[str, Sequence[TableOneValue]]
) -> list[tuple[str, list[TableCell]]]:
    words = spec.values or sorted({str(x) for v in values.values() for x in v if x is not None})
    return _build_category_rows(spec.title or name, words, values, spec.titles)


def _build_category_rows(
    name: str, words: Sequence[str], values: Mapping[str, Sequence[TableOneValue]], titles: Mapping[str, str]
) -> list[tuple[str, list[TableCell]]]:
    """Build one row per word, and a row for unknown values where there are any."""
    rows = []
    for word in words:
        cells = []
        for v in values.values():
            known = [x for x in v if x is not None]
            hits = sum(x == word for x in known)
            share = f"({100 * hits / len(known):.0f} %)" if known else ""
            cells.append(TableCell(f"{hits} {share}".strip()))
        rows.append((f"{name}: {titles.get(word, word)}", cells))
    unknown = [sum(x is None for x in v) for v in values.values()]
    if any(unknown):
        rows.append((f"{name}: unknown", [TableCell(str(n)) for n in unknown]))
    return rows


def _format_short_number(value: float) -> str:
    """Format a number with one decimal; numbers below 1 keep two significant digits."""
    return (f"{value:.1f}" if value == 0 or abs(value) >= 1 else f"{value:.2g}").replace("-", "−")
