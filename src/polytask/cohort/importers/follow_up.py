"""Read survival as registries write it: a time (or date) of death, one of the last follow-up, and who is dead.

TCGA has `days_to_death`, `days_to_last_follow_up` and `vital_status`; other registries have dates. These columns
become one time and one event.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from polytask.cohort.importers.cohort_draft import list_examples
from polytask.cohort.importers.dates import count_days, has_dates
from polytask.cohort.importers.foreign_sheet import ForeignSheet
from polytask.cohort.importers.foreign_words import guess_time_unit, map_event_words
from polytask.cohort.importers.imported_tasks import ImportedTasks
from polytask.cohort.importers.lost_cells import LostCells
from polytask.errors import PolytaskError

_LAST_SEEN_WORDS = r"last (?:follow ?up|fu|known alive|contact|visit|seen|alive)"
_UNIT_WORDS = r"(?:days?|weeks?|months?|years?|time)"
_START_WORDS = (
    r"(?:initial )?(?:pathologic )?diagnosis|baseline|enrol?lment|inclusion|randomi[sz]ation|treatment start|"
    r"start of treatment|study entry"
)
_DEATH_TIME = re.compile(rf"{_UNIT_WORDS} (?:to|until) death(?: {_UNIT_WORDS})?|death {_UNIT_WORDS} to")
_LAST_TIME = re.compile(
    rf"{_UNIT_WORDS} (?:to|until) {_LAST_SEEN_WORDS}(?: {_UNIT_WORDS})?|{_LAST_SEEN_WORDS} {_UNIT_WORDS} to"
)
_DEATH_DATE = re.compile(r"(?:date of )?death(?: date)?|date death")
_LAST_DATE = re.compile(
    rf"date of {_LAST_SEEN_WORDS}|{_LAST_SEEN_WORDS} date|date {_LAST_SEEN_WORDS}|{_LAST_SEEN_WORDS}"
)
_START_DATE = re.compile(rf"date of (?:{_START_WORDS})|(?:{_START_WORDS}) date|date (?:{_START_WORDS})")
_STATUS_NAME = re.compile(
    r"vital status|survival status|patient status|status|dead|death|deceased|died|death event"
)


@dataclass(frozen=True)
class FollowUpColumns:
    """The columns that together describe one follow-up.

    Args:
        death, last: columns of the time of death and of the last follow-up; dates if `start` is a column.
        status: column that says who is dead; "" = whoever has a time of death.
        start: column of the date from which days are counted; "" = `death` and `last` are not dates.
    """

    death: str
    last: str
    status: str = ""
    start: str = ""

    @property
    def columns(self) -> list[str]:
        """All columns of the follow-up that are named."""
        return [c for c in (self.death, self.last, self.status, self.start) if c]


def find_follow_up_columns(sheet: ForeignSheet, columns: Sequence[str]) -> FollowUpColumns | None:
    """Find the columns of death, last follow-up and status by their names and cells; None if there are none.

    If no column or several columns could be the start of dates, the result has no `start`.
    """
    status = next(
        (c for c in _list_matching_columns(columns, _STATUS_NAME) if _is_death_status(sheet, c)), ""
    )
    for death, last, dates in ((_DEATH_TIME, _LAST_TIME, False), (_DEATH_DATE, _LAST_DATE, True)):
        deaths, lasts = (
            [c for c in _list_matching_columns(columns, form) if has_dates(sheet.parse(c).cells) == dates]
            for form in (death, last)
        )
        if len(deaths) == 1 and lasts:
            starts = [
                c
                for c in _list_matching_columns(columns, _START_DATE)
                if dates and has_dates(sheet.parse(c).cells)
            ]
            return FollowUpColumns(deaths[0], lasts[0], status, starts[0] if len(starts) == 1 else "")
    return None


def has_follow_up_dates(sheet: ForeignSheet, follow_up: FollowUpColumns) -> bool:
    """Whether death and last follow-up are dates, so that days must be counted from a start column."""
    return has_dates(sheet.parse(follow_up.death).cells)


def read_follow_up(
    sheet: ForeignSheet, name: str, follow_up: FollowUpColumns, imported: ImportedTasks
) -> tuple[list[str], list[str], str, str]:
    """Read times and events: the time of death for the dead, else that of the last follow-up.

    A row with neither time is unknown, and so is a dead person without a time of death.

    Returns:
        (times, events, unit, explanation for people); times and events have one cell per row of the sheet.

    Raises:
        PolytaskError: the words of the status do not say who is dead, or dates can be read in two ways.
    """
    ends = [follow_up.death, follow_up.last]
    counted: Sequence[Sequence[float | None]] = (
        count_days(sheet, follow_up.start, ends)
        if follow_up.start
        else [sheet.parse(c).numbers for c in ends]
    )
    deaths, lasts = counted
    statuses = sheet.parse(follow_up.status).texts if follow_up.status else ("",) * len(sheet.rows)
    death_bits = _read_status_words(sheet, follow_up.status) if follow_up.status else {}
    loss = LostCells(name, "a time that is 0 or more, and a time of death only for the dead")
    imported.losses.append(loss)
    times, events = [], []
    dead = alive = untimed = 0
    columns = [sheet.parse(c).cells for c in (follow_up.death, follow_up.last)]
    for k, row in enumerate(sheet.rows):
        bit = death_bits.get(statuses[k])
        # An empty status: a time of death means dead. Alive follows only if the table has no status column at all.
        if bit is None:
            bit = "1" if columns[0][k] else "" if follow_up.status else "0"
        value, cell = (deaths[k], columns[0][k]) if bit == "1" else (lasts[k], columns[1][k])
        # Said to be alive but with a time of death: one of the two is wrong, so that the row counts as lost.
        lives = bit == "0" and follow_up.status and columns[0][k]
        good = bool(bit and cell) and value is not None and value >= 0 and not lives
        times.append(f"{value:.10g}" if good else "")
        events.append(bit if good else "")
        dead, alive = dead + (good and bit == "1"), alive + (good and bit == "0")
        untimed += bit == "1" and not cell
        if bit and (cell or lives):
            shown = ", ".join(f"{c} {row[c]!r}" for c in follow_up.columns if row.get(c))
            loss.count_cell(row["subject"], shown, lost=not good)
    who = " and ".join(repr(word) for word, bit in death_bits.items() if bit == "1")
    where = f"where {follow_up.status!r} is {who}" if follow_up.status else "where it is filled"
    unknown = len(sheet.rows) - dead - alive - loss.lost
    parts = [
        f"survival, time {follow_up.death!r} {where} ({dead} rows, observed), else {follow_up.last!r} "
        f"({alive} rows, censored)"
    ]
    parts += [f"days counted from {follow_up.start!r}"] if follow_up.start else []
    of_them = f" ({untimed} of them dead, without a time)" if untimed else ""
    parts += [f"{unknown} rows with neither are unknown{of_them}"] if unknown else []
    return times, events, "days" if follow_up.start else guess_time_unit(follow_up.death), ", ".join(parts)


def _read_status_words(sheet: ForeignSheet, status: str) -> dict[str, str]:
    """Map each word of the status column to "1" (dead) or "0" (alive), or raise if a word does not say it."""
    words = sheet.parse(status).words
    mapped = map_event_words(status, words) if words else ({}, "")
    if mapped is None:
        raise PolytaskError(
            f"{sheet.path}, column {status}: {list_examples(map(repr, words))} do not say who is dead; expected e.g. "
            "Dead and Alive; rewrite the column, or name words that mean unknown with --unknown"
        )
    return mapped[0]


def _is_death_status(sheet: ForeignSheet, column: str) -> bool:
    """Whether the column has few different words and all of them say who is dead."""
    words = sheet.parse(column).words
    return 0 < len(words) <= 10 and map_event_words(column, words) is not None


def _list_matching_columns(columns: Sequence[str], form: re.Pattern[str]) -> list[str]:
    """List the columns whose name fits a pattern, those of a follow-up first.

    One part of a dotted name is enough: `demographic.days_to_death` and `days_to_death.demographic` both fit.
    """
    matches = []
    for column in columns:
        parts = [column, *column.split(".")]
        plain = [" ".join(re.split(r"[^a-z0-9]+", p.lower())).strip() for p in parts]
        if any(form.fullmatch(p) for p in plain):
            matches.append(column)
    return sorted(matches, key=lambda c: "follow" not in c.lower())
