"""Read numbers as German and French Excel write them: `12,5`, `1.234,5`, `1 234,5`. Unclear cases raise an error."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from polytask.cohort.row_cells import ColumnLayout, RowCells
from polytask.cohort.text_table import TextRow, TextTable
from polytask.errors import PolytaskError
from polytask.kinds.header_words import parse_cell_number

DECIMAL_SIGNS = ("comma", "point")
MIN_NUMBER_SHARE = 0.5
"""A column holds numbers if more than this share of its filled cells are numbers."""
_SIGN_PATTERN = r"(?P<sign>(?:<=|>=|[<>≤≥])?\s*[+-]?)"
_GROUPED_DIGITS = r"\d{1,3}(?P<mark>[. \u00a0\u202f'’])\d{3}(?:(?P=mark)\d{3})*"
_COMMA_NUMBER = re.compile(rf"{_SIGN_PATTERN}(?P<whole>\d+|{_GROUPED_DIGITS}),(?P<rest>\d+(?:[eE][+-]?\d+)?)")
"""Matches a number with a decimal comma, with or without marks between its thousands."""
_THOUSANDS_NUMBER = re.compile(rf"{_SIGN_PATTERN}(?P<whole>(?!0){_GROUPED_DIGITS})")
"""Matches a whole number with marks between its thousands; `1.234` may also be a decimal slightly above one."""
_PLAIN_COMMA_NUMBER = re.compile(r"[+-]?\d+,(?:\d{1,2}|\d{4,})")
"""Matches the common number with a decimal comma, which is none of the doubtful ones below: one look, not four."""
_AMBIGUOUS_NUMBER = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}")
"""Matches `1,234`, where the comma may be a decimal comma or stand between thousands."""
_ENGLISH_NUMBER = re.compile(r"[+-]?\d{1,3}(?:(?:,\d{3})+\.\d+|(?:,\d{3}){2,})")
"""Matches numbers whose commas certainly stand between thousands: `1,234.5`, `1,234,567`."""
_POINT_NUMBER = re.compile(r"[+-]?\d*\.\d+(?:[eE][+-]?\d+)?")
_CODE_LIST = re.compile(r"\d+(?:,\d+){2,}")
"""Matches a list of several codes in one cell: `1,2,3`."""


@dataclass
class DecimalEvidence:
    """What speaks for a decimal comma and what against it: column of numbers → an example cell.

    Args:
        commas: decimal commas (`12,5`).
        grouped: columns with nothing clearer than `1,234`.
        points: decimal points (`12.5`).
        thousands: `1.234`, which is more than a thousand if the table has decimal commas.
        english: commas between thousands (`1,234.5`).
    """

    commas: dict[str, str] = field(default_factory=dict)
    grouped: dict[str, str] = field(default_factory=dict)
    points: dict[str, str] = field(default_factory=dict)
    thousands: dict[str, str] = field(default_factory=dict)
    english: dict[str, str] = field(default_factory=dict)


def read_decimal_commas(table: TextTable, stated: str, separator: str) -> tuple[TextTable, str]:
    """Rewrite decimal commas of a table as points. Returns (table, example of a rewritten cell or "").

    Args:
        stated: `comma` or `point` where a person stated it. With `comma`, a point stands between thousands.
        separator: the character between cells. In a table with commas a cell such as `"2,3"` may as well be a list
            as a number, so that nothing is rewritten unless a person stated `comma`.

    Raises:
        PolytaskError: some cells speak for a decimal comma and some against it, or cells can be read in two ways.
    """
    if stated not in ("", *DECIMAL_SIGNS):
        raise PolytaskError(
            f"--decimal {stated!r}: expected comma or point; give the sign before the decimals"
        )
    if stated == "point" or (separator == "," and not stated):
        return table, ""
    cells = {c: [str(row.cells.get(c, "")) for row in table.rows] for c in table.columns if c}
    evidence = _gather_decimal_evidence(cells)
    chosen = {**evidence.commas, **evidence.grouped}
    against = evidence.points or evidence.english
    if not stated:
        if chosen and (evidence.commas or not evidence.english) and (against or evidence.thousands):
            raise PolytaskError(_describe_conflict(table, chosen, against or evidence.thousands))
        doubtful = evidence.thousands if separator == ";" else {} if evidence.commas else evidence.grouped
        if doubtful and not against:
            raise PolytaskError(_describe_doubt(table, doubtful))
        if against:
            return table, ""
    columns = {**chosen, **evidence.thousands} if stated else chosen
    if not columns:
        return table, ""
    example = next(iter(chosen.items()), next(iter(columns.items())))
    return _rewrite_number_columns(table, columns), f"{example[1]!r} in column {example[0]!r}"


def _gather_decimal_evidence(cells: Mapping[str, list[str]]) -> DecimalEvidence:
    """Collect example cells of each way to write numbers from the columns of numbers."""
    evidence = DecimalEvidence()
    for column, words in cells.items():
        if evidence.points and not any("," in word for word in words):
            continue  # decimal points are known from another column, and this one has no comma
        examples = _read_number_column(words)
        if not examples:
            continue
        for kind, example_by_column in (("english", evidence.english), ("points", evidence.points)):
            if kind in examples:
                example_by_column[column] = examples[kind]
        if "commas" in examples:
            evidence.commas[column] = examples["commas"]
        elif "grouped" in examples:
            evidence.grouped[column] = examples["grouped"]
        if "thousands" in examples and "points" not in examples and "confirmed" not in examples:
            evidence.thousands[column] = examples["thousands"]
    return evidence


def _read_number_column(words: Iterable[str]) -> dict[str, str]:
    """Map each way to write numbers to its first cell; empty for columns that are mostly text or hold lists."""
    examples: dict[str, str] = {}
    numeric = known = 0
    for word in words:
        known += bool(word)
        kind = ""
        if "," in word:
            if _PLAIN_COMMA_NUMBER.fullmatch(word):
                kind = "commas"
            elif _AMBIGUOUS_NUMBER.fullmatch(word):
                kind = "grouped"
            elif _ENGLISH_NUMBER.fullmatch(word):
                kind = "english"
            elif _CODE_LIST.fullmatch(word):
                return {}
            elif match := _COMMA_NUMBER.fullmatch(word):
                kind = "commas"
                if match["mark"] == ".":
                    examples.setdefault("confirmed", word)
        elif "." in word:
            kind = (
                "thousands"
                if _THOUSANDS_NUMBER.fullmatch(word)
                else "points"
                if _POINT_NUMBER.fullmatch(word)
                else ""
            )
        elif word and (parse_cell_number(word) is not None or _THOUSANDS_NUMBER.fullmatch(word)):
            kind = "whole"
        if kind:
            numeric += 1
            examples.setdefault(kind, word)
    return examples if numeric > MIN_NUMBER_SHARE * known else {}


def _rewrite_number_columns(table: TextTable, columns: Iterable[str]) -> TextTable:
    """Return the table with the numbers of these columns written with a decimal point."""
    names = ColumnLayout({column: place for place, column in enumerate(table.columns)})
    places = {names.places[column] for column in columns}
    rows = []
    for row in table.rows:
        words = [row.cells.get(column, "") for column in table.columns]
        for place in places:
            words[place] = _write_with_point(words[place])
        rows.append(TextRow(row.line, RowCells(names, tuple(words))))
    return replace(table, rows=tuple(rows))


def _write_with_point(cell: str) -> str:
    """Rewrite `1.234,5` as `1234.5`; a cell that is not such a number stays as it is."""
    if _PLAIN_COMMA_NUMBER.fullmatch(cell):
        return cell.replace(",", ".")
    match = _COMMA_NUMBER.fullmatch(cell) or _THOUSANDS_NUMBER.fullmatch(cell)
    if match is None:
        return cell
    whole = match["whole"] if match["mark"] is None else re.sub(r"\D", "", match["whole"])
    decimals = match.groupdict().get("rest")
    return f"{match['sign']}{whole}{f'.{decimals}' if decimals else ''}"


def _describe_doubt(table: TextTable, cells: Mapping[str, str]) -> str:
    column, cell = next(iter(cells.items()))
    return (
        f"{table.path}: {cell!r} in column {column!r} has three decimals or means thousands; expected one "
        "meaning; add --decimal comma or --decimal point"
    )


def _describe_conflict(table: TextTable, commas: Mapping[str, str], points: Mapping[str, str]) -> str:
    (comma_column, comma), (point_column, point) = next(iter(commas.items())), next(iter(points.items()))
    return (
        f"{table.path}: numbers with a comma ({comma!r} in column {comma_column!r}) and with a point ({point!r} in "
        f"column {point_column!r}); expected one decimal sign; add --decimal comma (a point stands between thousands), "
        "or --decimal point (cells with a comma are not numbers)"
    )
