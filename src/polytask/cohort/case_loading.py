"""Turn the rows of a table into cases: subject, visit, day, site and split, and the other cells as text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from polytask.cohort.header import Header
from polytask.cohort.row_cells import ColumnLayout, to_row_cells
from polytask.cohort.text_table import TextRow, TextTable
from polytask.errors import Problem, suggest_word
from polytask.images.file_names import make_file_name
from polytask.kinds.header_words import parse_cell_number

IDENTITY_COLUMNS = ("subject", "visit", "day", "site", "split")
"""Columns that identify a case (who, when, where); every other column is a cell of an input or target."""


@dataclass(frozen=True)
class Case:
    """One row of the table: one subject at one visit.

    Args:
        visit: "" where the header names no visits.
        day: days since some origin of the subject; None where unknown.
        site: "" where unknown.
        test: whether the subject belongs to the test part.
        row: line in the table (the column names are line 1); 0 for a case that was made in memory.
        cells: column → text of each known cell, without the identity columns.
        twin: whether the key of another case differs only in upper and lower case; then both keys carry a hash.
    """

    subject: str
    visit: str = ""
    day: float | None = None
    site: str = ""
    test: bool = False
    row: int = 0
    cells: Mapping[str, str] = field(default_factory=dict)
    twin: bool = False

    @property
    def key(self) -> str:
        """Name of the case as a file name: `subject` or `subject@visit`."""
        return make_file_name(
            *([self.subject, self.visit] if self.visit else [self.subject]), hashed=self.twin
        )


def mark_similar_keys(cases: Sequence[Case]) -> list[Case]:
    """Set `twin` on cases whose keys differ only in case: some file systems would take them for one file."""
    spellings = Counter(key.lower() for key in {case.key for case in cases})
    return [replace(case, twin=True) if spellings[case.key.lower()] > 1 else case for case in cases]


def load_cases(header: Header, table: TextTable) -> tuple[list[Case], list[Problem]]:
    """Turn every row into a case. Returns (cases, problems); site and split hold for all rows of a subject."""
    problems: list[Problem] = []
    if missing := _find_missing_column(header, table):
        return [], [missing]
    unknown = {"", *header.unknown}
    places = {column: place for place, column in enumerate(table.columns)}
    everything = ColumnLayout(places, unknown)
    without_identity = ColumnLayout(
        {c: place for c, place in places.items() if c not in IDENTITY_COLUMNS}, unknown
    )
    cases: list[Case] = []
    splits: dict[int, str] = {}
    for row in table.rows:
        words = to_row_cells(row.cells, everything)
        known = words.view_with_columns(everything)
        subject = known.get("subject", "")
        splits[row.line] = known.get("split", "")
        if not subject:
            problems.append(
                _make_row_error(
                    table, "no-subject", "the subject is empty", "fill in the subject, or remove the row", row
                )
            )
            continue
        visit, faults = _find_visit(header, known.get("visit", ""))
        faults += _list_day_and_split_faults(known)
        day = parse_cell_number(known["day"]) if "day" in known else None
        problems += [_make_row_error(table, code, m, r, row, subject) for code, m, r in faults]
        cells = words.view_with_columns(without_identity)
        cases.append(
            Case(subject, visit, day, known.get("site", ""), known.get("split") == "test", row.line, cells)
        )
    if not cases and not problems:
        problems.append(
            _make_row_error(
                table, "no-case", "no row below the column names", "add a row for each subject and visit"
            )
        )
    problems += _find_duplicate_cases(table, cases)
    problems += _find_disagreements(table, cases, splits)
    return mark_similar_keys(_share_site_and_split(cases)), problems


def _find_missing_column(header: Header, table: TextTable) -> Problem | None:
    """Make the problem of a table without the column `subject`, or without `visit` where there are several visits."""
    if "subject" not in table.columns:
        remedy = suggest_word("subject", list(table.columns))
        return _make_row_error(table, "missing-column", "no column 'subject'", remedy)
    if len(header.visits or []) > 1 and "visit" not in table.columns:
        message = "no column 'visit', but the header names visits"
        return _make_row_error(table, "missing-column", message, "add the column")
    return None


def _list_day_and_split_faults(known: Mapping[str, str]) -> list[tuple[str, str, str]]:
    """List (code, message, remedy) of a day that is not a number and a split that is neither train nor test."""
    faults = []
    if "day" in known and parse_cell_number(known["day"]) is None:
        message = f"day {known['day']!r} is not a number"
        faults.append(("odd-cell", message, "write the day as a number, or leave the cell empty"))
    if known.get("split", "train") not in ("train", "test"):
        message = f"split {known['split']!r} is neither train nor test"
        faults.append(("odd-split", message, "write train or test, or leave the cell empty"))
    return faults


def _find_visit(header: Header, cell: str) -> tuple[str, list[tuple[str, str, str]]]:
    """Find the visit that a cell names. Returns (visit, list of (code, message, remedy) of what is wrong)."""
    visits = header.visits or []
    if not visits:
        wrong = (
            "unknown-visit",
            f"visit {cell!r}, but the header names no visits",
            f"add `visits: [{cell}]` to cohort.yaml",
        )
        return "", [wrong] if cell else []
    if not cell and len(visits) == 1:
        return visits[0], []
    if cell in visits:
        return cell, []
    if not cell:
        return cell, [("unknown-visit", "the visit is empty", f"write one of {', '.join(visits)}")]
    return cell, [("unknown-visit", f"visit {cell!r} is not in the header", suggest_word(cell, visits))]


def _find_duplicate_cases(table: TextTable, cases: list[Case]) -> Iterator[Problem]:
    """List rows that repeat the subject and visit of an earlier row."""
    first: dict[tuple[str, str], int] = {}
    for case in cases:
        before = first.setdefault((case.subject, case.visit), case.row)
        if before != case.row:
            case_name = f"subject {case.subject!r}" + (f" at visit {case.visit!r}" if case.visit else "")
            yield Problem(
                "error",
                "duplicate-case",
                f"{case_name} is already in row {before}",
                "keep one of the two rows",
                file=table.path.name,
                row=case.row,
                subject=case.subject,
            )


def _find_disagreements(table: TextTable, cases: list[Case], splits: dict[int, str]) -> Iterator[Problem]:
    """List rows whose site or split differs from that of an earlier filled row of the same subject."""
    for column in ("site", "split"):
        first_words: dict[str, tuple[str, int]] = {}
        for case in cases:
            word = case.site if column == "site" else splits[case.row]
            before, row = first_words.setdefault(case.subject, (word, case.row)) if word else ("", 0)
            if word and word != before:
                yield Problem(
                    "error",
                    "disagreement",
                    f"{column} {word!r}, but {before!r} in row {row}",
                    f"write the same {column} in all rows of the subject",
                    file=table.path.name,
                    row=case.row,
                    subject=case.subject,
                    column=column,
                )


def _share_site_and_split(cases: list[Case]) -> list[Case]:
    """Give every row of a subject the same site and split: those of its filled rows."""
    # One test row makes the whole subject a test subject: a subject must not be on both sides of the split.
    test = {c.subject for c in cases if c.test}
    # Reversed, so that the first filled row of a subject is written last and wins.
    site = {c.subject: c.site for c in reversed(cases) if c.site}
    return [replace(c, test=c.subject in test, site=site.get(c.subject, "")) for c in cases]


def _make_row_error(
    table: TextTable, code: str, message: str, remedy: str, row: TextRow | None = None, subject: str = ""
) -> Problem:
    line = row.line if row else 0
    return Problem("error", code, message, remedy, file=table.path.name, row=line, subject=subject)
