"""A foreign table: its rows with unknown words emptied, several tables joined by subject and visit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from polytask.cohort.importers.draft import examples
from polytask.cohort.importers.words import UNKNOWN, find
from polytask.cohort.table import read_table
from polytask.cohort.words import number
from polytask.errors import PolytaskError


@dataclass(frozen=True)
class Sheet:
    """Rows of text; an unknown cell is empty.

    Args:
        columns: without those that became identity.
        rows: column → cell; the identity stands under `subject`, `visit`, `day`, `site`, `split`.
        identity: what it is → the column it came from.
    """

    path: Path
    columns: tuple[str, ...]
    rows: tuple[dict[str, str], ...]
    identity: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def cells(self, column: str) -> list[str]:
        """One column, in the order of the rows."""
        return [row.get(column, "") for row in self.rows]

    @property
    def visits(self) -> list[str] | None:
        """Visit names in order: by number, by mean day, or as they first appear."""
        if "visit" not in self.identity:
            return None
        names = list(dict.fromkeys(row["visit"] for row in self.rows if row.get("visit")))
        days = {
            n: [d for r in self.rows if r.get("visit") == n and (d := number(r.get("day", ""))) is not None]
            for n in names
        }
        if names and all(days.values()):
            return sorted(names, key=lambda n: sum(days[n]) / len(days[n]))
        if all(number(n) is not None for n in names):
            return sorted(names, key=lambda n: number(n) or 0.0)
        return names


def read_sheet(path: Path, stated: dict[str, str], unknown: Sequence[str] = (), case: bool = False) -> Sheet:
    """Read one table.

    Args:
        stated: subject, visit, day, site, split → column, where a person said so.
        unknown: more words that mean an empty cell.
        case: whether the first column names the case, which is the subject too when no other column does.
    """
    table = read_table(path)
    if table.problems:
        problem = table.problems[0]
        raise PolytaskError(f"{path}, row {problem.row}: {problem.message}; {problem.remedy}")
    identity: dict[str, str] = {}
    for what in ("subject", "visit", "day", "site", "split"):
        column = stated.get(what) or find(what, table.columns[1:] if case else table.columns)
        if what == "subject" and case:
            column = stated.get(what) or ("subject" if "subject" in table.columns[1:] else table.columns[0])
        if column is not None and column not in table.columns:
            raise PolytaskError(
                f"{path}: no column {column!r}; expected the {what}; use one of {examples(table.columns, 20)}"
            )
        if column is not None and column not in identity.values():
            identity[what] = column
    if "subject" not in identity:
        raise PolytaskError(
            f"{path}: no column names the subject; expected `subject` or `patient_id`; say --subject COLUMN"
        )
    words = {*UNKNOWN, *unknown}
    emptied = Counter(cell for row in table.rows for cell in row.cells.values() if cell in words)
    rows = []
    for row in table.rows:
        cells = {k: "" if v in words else v for k, v in row.cells.items()}
        own = {what: cells.pop(column) for what, column in identity.items()}
        if case:
            own["case"] = row.cells[table.columns[0]]
            cells.pop(table.columns[0], None)
        rows.append({**cells, **own})
    named = [row for row in rows if row["subject"]]
    kept = [row for row in named if row.get("visit") or "visit" not in identity]
    notes = [
        f"{path.name}: {what} = column {column!r}" for what, column in identity.items() if what != column
    ]
    if emptied:
        notes.append(
            f"{path.name}: read as unknown: "
            + ", ".join(f"{w} ({n} cells)" for w, n in sorted(emptied.items()))
        )
    if len(named) < len(rows):
        notes.append(f"{path.name}: {len(rows) - len(named)} rows without a subject are left out")
    if len(kept) < len(named):
        notes.append(f"{path.name}: {len(named) - len(kept)} rows without a visit are left out")
    used = {*identity.values(), *(table.columns[:1] if case else ())}
    columns = tuple(c for c in table.columns if c not in used)
    return Sheet(path, columns, tuple(kept), identity, tuple(notes))


def join(sheets: Sequence[Sheet]) -> Sheet:
    """Join tables by subject, and by visit where both name it; a table without visits holds for all of them.

    Raises:
        PolytaskError: a repeated row, or a column that says different things in two tables.
    """
    whole = max(sheets, key=lambda s: "visit" in s.identity)
    notes = [note for sheet in sheets for note in sheet.notes]
    joined: dict[tuple[str, str], dict[str, str]] = {}
    for sheet in [whole, *(s for s in sheets if s is not whole)]:
        seen: set[tuple[str, str]] = set()
        visits: dict[str, list[tuple[str, str]]] = {}
        for subject, visit in joined:
            visits.setdefault(subject, []).append((subject, visit))
        alone: list[str] = []
        for row in sheet.rows:
            key = (row["subject"], row.get("visit", ""))
            if key in seen:
                where = f"subject {key[0]!r}" + (f" at visit {key[1]!r}" if key[1] else "")
                raise PolytaskError(
                    f"{sheet.path}: {where} has two rows; expected one; say --visit COLUMN, or remove one"
                )
            seen.add(key)
            targets = [key]
            if "visit" not in sheet.identity and "visit" in whole.identity:
                targets = visits.get(key[0], [])
                alone += [key[0]] * (not targets)
            for target in targets:
                _merge(joined.setdefault(target, {"subject": target[0], "visit": target[1]}), row, sheet.path)
        if alone:
            notes.append(
                f"{sheet.path.name}: {len(alone)} subjects have no visit and are left out: {examples(alone)}"
            )
    identity = {k: v for sheet in reversed(sheets) for k, v in sheet.identity.items()}
    columns = tuple(dict.fromkeys(c for sheet in sheets for c in sheet.columns))
    return replace(whole, columns=columns, rows=tuple(joined.values()), identity=identity, notes=tuple(notes))


def _merge(target: dict[str, str], row: dict[str, str], path: Path) -> None:
    for column, cell in row.items():
        if column == "visit" and target.get("visit"):
            continue
        before = target.get(column, "")
        if cell and before and cell != before:
            raise PolytaskError(
                f"{path}: column {column!r} of subject {row['subject']!r} is {cell!r}, but {before!r} "
                "in another table; expected them to agree; rename or remove one"
            )
        target[column] = before or cell
