"""Numbers as German and French Excel write them: `12,5`, `1.234,5`, `1 234,5`. What may mean two things is asked."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from polytask.cohort.row_cells import Columns, RowCells
from polytask.cohort.table import Row, Table
from polytask.errors import PolytaskError
from polytask.kinds.words import number

DECIMALS = ("comma", "point")
MOST = 0.5
"""A column is of numbers when a larger share of its filled cells is."""
_SIGN = r"(?P<sign>(?:<=|>=|[<>≤≥])?\s*[+-]?)"
_GROUPS = r"\d{1,3}(?P<mark>[. \u00a0\u202f'’])\d{3}(?:(?P=mark)\d{3})*"
_COMMA = re.compile(rf"{_SIGN}(?P<whole>\d+|{_GROUPS}),(?P<rest>\d+(?:[eE][+-]?\d+)?)")
"""A number with a decimal comma, with marks between its thousands or not."""
_THOUSANDS = re.compile(rf"{_SIGN}(?P<whole>(?!0){_GROUPS})")
"""A whole number with marks between its thousands; `1.234` alone may also be a little more than one."""
_GROUPED = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}")
"""`1,234`: a decimal comma, or a thousand."""
_ENGLISH = re.compile(r"[+-]?\d{1,3}(?:(?:,\d{3})+\.\d+|(?:,\d{3}){2,})")
"""Commas between thousands for certain."""
_POINT = re.compile(r"[+-]?\d*\.\d+(?:[eE][+-]?\d+)?")
_LIST = re.compile(r"\d+(?:,\d+){2,}")
"""Several codes in one cell."""


@dataclass
class Evidence:
    """Columns of numbers with an example cell of each: what speaks for a decimal comma, and what against it.

    Args:
        commas: `12,5`. grouped: columns that hold nothing clearer than `1,234`. points: `12.5`. thousands: `1.234`,
            which is a thousand beside decimal commas. english: `1,234.5`.
    """

    commas: dict[str, str] = field(default_factory=dict)
    grouped: dict[str, str] = field(default_factory=dict)
    points: dict[str, str] = field(default_factory=dict)
    thousands: dict[str, str] = field(default_factory=dict)
    english: dict[str, str] = field(default_factory=dict)


def read_decimal_commas(table: Table, stated: str, comma: str) -> tuple[Table, str]:
    """The table with its decimal commas written as points, and an example of one ("" = there are none).

    Args:
        stated: `comma` or `point` where a person said so. With a comma, a point stands between thousands.
        comma: what parts the cells; between commas a cell like `"2,3"` is a list as often as a number, so that it
            stays as it is unless a person says otherwise.

    Raises:
        PolytaskError: cells speak for a decimal comma and against it, or may mean two things.
    """
    if stated not in ("", *DECIMALS):
        raise PolytaskError(
            f"--decimal {stated!r}: expected comma or point; name the sign before the decimals"
        )
    if stated == "point" or (comma == "," and not stated):
        return table, ""
    cells = {c: [str(row.cells.get(c, "")) for row in table.rows] for c in table.columns if c}
    found = _gather(cells)
    chosen = {**found.commas, **found.grouped}
    against = found.points or found.english
    if not stated:
        if chosen and (found.commas or not found.english) and (against or found.thousands):
            raise PolytaskError(_say_both(table, chosen, against or found.thousands))
        doubtful = found.thousands if comma == ";" else {} if found.commas else found.grouped
        if doubtful and not against:
            raise PolytaskError(_say_doubt(table, doubtful))
        if against:
            return table, ""
    columns = {**chosen, **found.thousands} if stated else chosen
    if not columns:
        return table, ""
    example = next(iter(chosen.items()), next(iter(columns.items())))
    return _rewrite(table, columns), f"{example[1]!r} in column {example[0]!r}"


def _gather(cells: Mapping[str, list[str]]) -> Evidence:
    """What the columns of numbers hold."""
    found = Evidence()
    for column, words in cells.items():
        if found.points and not any("," in word for word in words):
            continue  # a point elsewhere tells already what a point here would
        seen = _read_column(words)
        if not seen:
            continue
        for kind, kept in (("english", found.english), ("points", found.points)):
            if kind in seen:
                kept[column] = seen[kind]
        if "commas" in seen:
            found.commas[column] = seen["commas"]
        elif "grouped" in seen:
            found.grouped[column] = seen["grouped"]
        if "thousands" in seen and "points" not in seen and "confirmed" not in seen:
            found.thousands[column] = seen["thousands"]
    return found


def _read_column(words: Iterable[str]) -> dict[str, str]:
    """Kind of number → the first cell of it, for a column that is mostly numbers; empty for others and for lists."""
    seen: dict[str, str] = {}
    numeric = known = 0
    for word in words:
        known += bool(word)
        kind = ""
        if "," in word:
            if _GROUPED.fullmatch(word):
                kind = "grouped"
            elif _ENGLISH.fullmatch(word):
                kind = "english"
            elif _LIST.fullmatch(word):
                return {}
            elif match := _COMMA.fullmatch(word):
                kind = "commas"
                if match["mark"] == ".":
                    seen.setdefault("confirmed", word)
        elif "." in word:
            kind = "thousands" if _THOUSANDS.fullmatch(word) else "points" if _POINT.fullmatch(word) else ""
        elif word and (number(word) is not None or _THOUSANDS.fullmatch(word)):
            kind = "whole"
        if kind:
            numeric += 1
            seen.setdefault(kind, word)
    return seen if numeric > MOST * known else {}


def _rewrite(table: Table, columns: Iterable[str]) -> Table:
    """The table with the numbers of these columns written with a point."""
    names = Columns({column: place for place, column in enumerate(table.columns)})
    places = {names.places[column] for column in columns}
    rows = []
    for row in table.rows:
        words = [row.cells.get(column, "") for column in table.columns]
        for place in places:
            words[place] = _with_point(words[place])
        rows.append(Row(row.line, RowCells(names, tuple(words))))
    return replace(table, rows=tuple(rows))


def _with_point(cell: str) -> str:
    """`1.234,5` → `1234.5`; any other cell stays."""
    match = _COMMA.fullmatch(cell) or _THOUSANDS.fullmatch(cell)
    if match is None:
        return cell
    whole = match["whole"] if match["mark"] is None else re.sub(r"\D", "", match["whole"])
    rest = match.groupdict().get("rest")
    return f"{match['sign']}{whole}{f'.{rest}' if rest else ''}"


def _say_doubt(table: Table, cells: Mapping[str, str]) -> str:
    column, cell = next(iter(cells.items()))
    return (
        f"{table.path}: {cell!r} in column {column!r} may be a number with three decimals or a thousand; expected one "
        "meaning; say --decimal comma, or --decimal point"
    )


def _say_both(table: Table, commas: Mapping[str, str], points: Mapping[str, str]) -> str:
    (one, comma), (other, point) = next(iter(commas.items())), next(iter(points.items()))
    return (
        f"{table.path}: numbers with a comma ({comma!r} in column {one!r}) and with a point ({point!r} in column "
        f"{other!r}); expected one decimal sign; say --decimal comma (a point stands between thousands), or --decimal "
        "point (cells with a comma are no numbers)"
    )
