"""Files that a foreign table names in a column, or that a pattern finds: `images/{subject:0>3}.nii.gz`."""

from __future__ import annotations

import string
from pathlib import Path

from polytask.cohort.importers.draft import examples
from polytask.cohort.importers.options import Source
from polytask.cohort.importers.sheet import Sheet
from polytask.errors import PolytaskError
from polytask.images.formats import ending


def locate(sheet: Sheet, source: Source, root: Path, notes: list[str]) -> list[Path | None]:
    """One file per row, None where the cell is empty or the pattern finds nothing.

    Args:
        root: folder that paths are relative to.
    """
    if "{" not in source.source:
        if source.source not in sheet.columns:
            raise PolytaskError(
                f"{sheet.path}: no column {source.source!r} for {source.name!r}; expected a column or a pattern with "
                f"{{columns}}; use one of {examples(sheet.columns, 20)}"
            )
        notes.append(f"{source.name!r}: files of column {source.source!r}")
        return [root / cell if cell else None for cell in sheet.cells(source.source)]
    found = [root / fill(source.source, row, sheet) for row in sheet.rows]
    there = [path if path.exists() else None for path in found]
    count = sum(path is not None for path in there)
    if not count:
        raise PolytaskError(
            f"{source.name}={source.source}: no such file for any row, e.g. {found[0] if found else source.source}; "
            "expected paths relative to the table; mend the pattern"
        )
    notes.append(f"{source.name!r}: {count} of {len(found)} rows have a file {source.source!r}")
    return there


def fill(pattern: str, row: dict[str, str], sheet: Sheet) -> str:
    """A pattern with the cells of a row; only plain column names and a format are read, nothing is evaluated."""
    known = {what: row.get(what, "") for what in sheet.identity} | {c: row.get(c, "") for c in sheet.columns}
    known |= {column: row.get(what, "") for what, column in sheet.identity.items()}
    parts = []
    try:
        for text, name, form, convert in string.Formatter().parse(pattern):
            parts.append(text)
            if name is None:
                continue
            if name not in known or convert or "{" in (form or ""):
                raise PolytaskError(
                    f"pattern {pattern!r}: no column {name!r}; use one of {examples(known, 20)}"
                )
            parts.append(format(known[name], form or ""))
    except ValueError as error:
        raise PolytaskError(
            f"pattern {pattern!r}: {error}; expected e.g. images/{{subject:0>3}}.nii.gz; mend it"
        ) from None
    return "".join(parts)


def file_columns(sheet: Sheet) -> list[str]:
    """Columns whose every filled cell ends like an image file."""
    found = []
    for column in sheet.columns:
        cells = [c for c in sheet.cells(column) if c]
        if cells and all((e := ending(c)) is not None and e != "/" for c in cells):
            found.append(column)
    return found
