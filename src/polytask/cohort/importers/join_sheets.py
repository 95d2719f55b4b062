"""Join several foreign tables into one: by subject, and by visit where both tables have visits."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from polytask.cohort.importers.cohort_draft import list_examples
from polytask.cohort.importers.foreign_sheet import ForeignSheet
from polytask.cohort.importers.id_hints import explain_missing_ids
from polytask.errors import PolytaskError


def join_sheets(sheets: Sequence[ForeignSheet], skipped: Sequence[str] = ()) -> ForeignSheet:
    """Join tables by subject and visit; a table without visits applies to all visits of a subject.

    Rows of one subject (and visit) that say the same become one row.

    Args:
        skipped: columns or patterns that nobody reads; repeated rows may differ in them.

    Raises:
        PolytaskError: a row is repeated with other content, two tables have no subject in common, or a column says
            different things in two tables.
    """
    # The table with visits comes first: only then can rows of a table without visits be copied to each visit.
    whole = max(sheets, key=lambda s: "visit" in s.identity)
    notes = [note for sheet in sheets for note in sheet.notes]
    joined: dict[tuple[str, str], dict[str, str]] = {}
    for sheet in [whole, *(s for s in sheets if s is not whole)]:
        if sheet is not whole:
            notes += _compare_subjects(whole, sheet)
        row_by_key: dict[tuple[str, str], dict[str, str]] = {}
        repeated = 0
        read = [c for c in sheet.columns if not any(fnmatchcase(c, word) for word in skipped)]
        visits: dict[str, list[tuple[str, str]]] = {}
        for subject, visit in joined:
            visits.setdefault(subject, []).append((subject, visit))
        for row in sheet.rows:
            key = (row["subject"], row.get("visit", ""))
            if key in row_by_key:
                _refuse_difference(
                    sheet, key, [c for c in read if row.get(c, "") != row_by_key[key].get(c, "")]
                )
                repeated += 1
                continue
            row_by_key[key] = row
            targets = [key]
            if "visit" not in sheet.identity and "visit" in whole.identity:
                targets = visits.get(key[0], [])
            for target in targets:
                _merge_row(
                    joined.setdefault(target, {"subject": target[0], "visit": target[1]}), row, sheet.path
                )
        if repeated:
            notes.append(
                f"{sheet.path.name}: {repeated} rows repeat another row of the same subject and are left out"
            )
    identity = {k: v for sheet in reversed(sheets) for k, v in sheet.identity.items()}
    columns = tuple(dict.fromkeys(c for sheet in sheets for c in sheet.columns))
    return ForeignSheet(whole.path, columns, tuple(joined.values()), identity, tuple(notes))


def _refuse_difference(sheet: ForeignSheet, key: tuple[str, str], columns: Sequence[str]) -> None:
    """Raise if two rows of one subject and visit differ in some columns."""
    if columns:
        where = f"subject {key[0]!r}" + (f" at visit {key[1]!r}" if key[1] else "")
        raise PolytaskError(
            f"{sheet.path}: {where} has two rows that differ in {list_examples(columns, 4)}; expected one row; "
            "name the visits with --visit COLUMN, leave the columns out with --skip, or remove one row"
        )


def _compare_subjects(whole: ForeignSheet, other: ForeignSheet) -> list[str]:
    """Make notes about subjects that only one of two tables has; raises if no subject is in both."""
    first, second = ({row["subject"]: None for row in sheet.rows} for sheet in (whole, other))
    only_first = [s for s in first if s not in second]
    only_second = [s for s in second if s not in first]
    if first and second and len(only_second) == len(second):
        raise PolytaskError(
            f"{other.path}: none of its subjects is in {whole.path.name}: {explain_missing_ids(only_second, first)}; "
            "expected the same names, also leading zeros; correct them, or name the column with --subject COLUMN"
        )
    notes = []
    if only_second:
        one = len(only_second) == 1
        outcome = f"{'has' if one else 'have'} no visit, left out"
        outcome = outcome if _lacks_visits(whole, other) else "added without the other columns"
        remark = f"{'is' if one else 'are'} not in {whole.path.name} and {outcome}"
        notes.append(_describe_subject_count(other.path, only_second, remark, first))
    if only_first:
        remark = f"{'has' if len(only_first) == 1 else 'have'} no row in {other.path.name} (unknown)"
        notes.append(_describe_subject_count(whole.path, only_first, remark, second))
    return notes


def _lacks_visits(whole: ForeignSheet, other: ForeignSheet) -> bool:
    return "visit" in whole.identity and "visit" not in other.identity


def _describe_subject_count(
    path: Path, subjects: Sequence[str], remark: str, other_subjects: Iterable[str]
) -> str:
    """Make a note with the number of subjects, what is true of them, and the ids that were probably meant."""
    count = f"{len(subjects)} subject{'s' * (len(subjects) != 1)}"
    return f"{path.name}: {count} {remark}: {explain_missing_ids(subjects, other_subjects)}"


def _merge_row(target: dict[str, str], row: dict[str, str], path: Path) -> None:
    """Merge a row into an already joined one, in place; raises if a filled cell contradicts it."""
    for column, cell in row.items():
        if column == "visit" and target.get("visit"):
            continue
        before = target.get(column, "")
        if cell and before and cell != before:
            raise PolytaskError(
                f"{path}: column {column!r} of subject {row['subject']!r} is {cell!r}, but {before!r} "
                "in another table; expected the same; rename or remove one of the columns"
            )
        target[column] = before or cell
