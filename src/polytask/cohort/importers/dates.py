"""Read dates in a foreign table (`2019-03-31`, `31.03.2019`, `3/31/2019`) and count the days between them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import date

from polytask.cohort.importers.foreign_sheet import ForeignSheet
from polytask.errors import PolytaskError

_YEAR_FIRST_DATE = re.compile(r"(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})(?:[ T].*)?")
_DOTTED_DATE = re.compile(r"(\d{1,2})\.(\d{1,2})\.(\d{4})(?: .*)?")
_SLASHED_DATE = re.compile(r"(\d{1,2})[/-](\d{1,2})[/-](\d{4})(?: .*)?")
MIN_DATE_SHARE = 0.5
"""A column holds dates if more than this share of its filled cells are dates."""


def has_dates(cells: Iterable[str]) -> bool:
    """Whether more than half of the filled cells are dates with a year of four digits."""
    filled = [c for c in cells if c]
    forms = (_YEAR_FIRST_DATE, _DOTTED_DATE, _SLASHED_DATE)
    return sum(any(form.fullmatch(c) for form in forms) for c in filled) > MIN_DATE_SHARE * len(filled)


def count_days(sheet: ForeignSheet, start: str, ends: Sequence[str]) -> list[list[float | None]]:
    """Count the days from the date in column `start` to the dates in the columns `ends`.

    Returns:
        for each column of `ends` one number per row; None where one of the two cells is not a date.

    Raises:
        PolytaskError: dates with slashes may have the day or the month first, and no date settles it.
    """
    # All columns decide together on the order of day and month: they come from one program.
    columns = [start, *ends]
    cells = [sheet.parse(column).cells for column in columns]
    day_first = _is_day_first(sheet, columns, [c for column in cells for c in column if c])
    first, *others = ([_parse_date(c, day_first) for c in column] for column in cells)
    return [
        [None if a is None or b is None else float((b - a).days) for a, b in zip(first, other, strict=True)]
        for other in others
    ]


def _is_day_first(sheet: ForeignSheet, columns: Sequence[str], cells: Sequence[str]) -> bool:
    """Whether the day stands first in dates with slashes: a number above 12 can only be a day."""
    slashed = [(int(m[1]), int(m[2]), m[0]) for c in cells if (m := _SLASHED_DATE.fullmatch(c))]
    day, month = any(a > 12 for a, _, _ in slashed), any(b > 12 for _, b, _ in slashed)
    if slashed and day == month:
        what = "some have the day first and some the month" if day else "the day or the month may come first"
        raise PolytaskError(
            f"{sheet.path}: dates like {slashed[0][2]!r} in {', '.join(map(repr, columns))}: {what}; expected one "
            "order; write them as YYYY-MM-DD"
        )
    return day


def _parse_date(cell: str, day_first: bool) -> date | None:
    """Parse the date in a cell; None where it is not a date."""
    if match := _YEAR_FIRST_DATE.fullmatch(cell):
        year, month, day = match.groups()
    elif match := _DOTTED_DATE.fullmatch(cell):
        day, month, year = match.groups()
    elif match := _SLASHED_DATE.fullmatch(cell):
        (day, month), year = (match[1], match[2]) if day_first else (match[2], match[1]), match[3]
    else:
        return None
    try:
        return date(int(year), int(month), int(day))
    except ValueError:
        return None
