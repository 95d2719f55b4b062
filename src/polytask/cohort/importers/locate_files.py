"""Locate files that a foreign table names in a column or that fit a pattern: `images/{subject:0>3}.nii.gz`."""

from __future__ import annotations

import string
from collections.abc import Sequence
from pathlib import Path

from polytask.cohort.importers.cohort_draft import list_examples
from polytask.cohort.importers.foreign_sheet import ForeignSheet
from polytask.cohort.importers.id_hints import MAX_LISTED_IDS, explain_missing_ids
from polytask.cohort.importers.import_options import FileSource
from polytask.errors import PolytaskError
from polytask.images.formats import find_image_ending
from polytask.images.plane_paths import find_source_file


def locate_row_files(
    sheet: ForeignSheet, source: FileSource, root: Path, notes: list[str]
) -> list[Path | None]:
    """Find one file per row; None where the cell is empty or the pattern finds nothing.

    Args:
        root: folder to which paths are relative.
        notes: gains a line about the rows without a file.

    Raises:
        PolytaskError: there is no such column, or the pattern finds no file at all.
    """
    if "{" not in source.source:
        if source.source not in sheet.columns:
            raise PolytaskError(
                f"{sheet.path}: no column {source.source!r} for {source.name!r}; expected a column or a pattern with "
                f"{{columns}}; use one of {list_examples(sheet.columns, 20)}"
            )
        cells = sheet.cells(source.source)
        paths = [root / cell if cell else None for cell in cells]
        empty = [row["subject"] for row, cell in zip(sheet.rows, cells, strict=True) if not cell]
        missing_files = [path for path in paths if path is not None and not find_source_file(path).exists()]
        if empty:
            notes.append(
                f"{source.name!r}: {format_row_count(len(empty))} no file, the cell is empty: {list_examples(empty, 3)}"
            )
        if missing_files:
            why = explain_missing_files(missing_files, root)
            notes.append(
                f"{source.name!r}: {len(missing_files)} files of column {source.source!r} do not exist: {why}"
            )
        # Paths of missing files stay in the cells: `polytask check` reports them, so that none goes unnoticed.
        return paths
    candidates = [root / fill_path_pattern(source.source, row, sheet) for row in sheet.rows]
    existing = [path if find_source_file(path).exists() else None for path in candidates]
    count = sum(path is not None for path in existing)
    if not count:
        why = explain_missing_files(candidates, root) or source.source
        raise PolytaskError(
            f"{source.name}={source.source}: no such file for any row, e.g. {why}; "
            "expected paths relative to the table; correct the pattern"
        )
    if count < len(candidates):
        missing = [path for path, here in zip(candidates, existing, strict=True) if here is None]
        why = explain_missing_files(missing, root)
        rows = f"{len(missing)} of {len(candidates)} rows have no file"
        notes.append(f"{source.name!r}: {rows} {source.source!r}: {why}")
    return existing


def format_row_count(count: int) -> str:
    """Format a number of rows as the start of a sentence: `1 row has`, `3 rows have`."""
    return f"{count} row{'s have' if count != 1 else ' has'}"


def require_existing_files(
    sheet: ForeignSheet, source: FileSource, paths: Sequence[Path | None], root: Path
) -> list[Path]:
    """Return the files of a source that exist.

    Raises:
        PolytaskError: no cell is filled, or none of the named files exists.
    """
    filled = [path for path in paths if path is not None]
    if not filled:
        raise PolytaskError(
            f"{sheet.path}: column {source.source!r} is empty; expected files; fill it, or leave it out with --skip"
        )
    existing = [path for path in filled if find_source_file(path).exists()]
    if not existing:
        raise PolytaskError(
            f"{sheet.path}: none of the {len(filled)} files of {source.source!r} exists: "
            f"{explain_missing_files(filled, root)}; expected paths relative to the table; correct them, or "
            "copy the files"
        )
    return existing


def explain_missing_files(missing: list[Path], root: Path) -> str:
    """List the first few missing files, each with the file in its folder that was probably meant."""
    shown, folders = [], {}
    for path in missing[:MAX_LISTED_IDS]:
        folder = path.parent
        if folder not in folders:
            folders[folder] = [p.name for p in sorted(folder.iterdir())] if folder.is_dir() else []
        near = explain_missing_ids([path.name], folders[folder]).removeprefix(path.name)
        name = path.relative_to(root) if path.is_relative_to(root) else path
        shown.append(f"{name}{near if folder.is_dir() else ' (there is no such folder)'}")
    return ", ".join(shown) + (
        f" and {len(missing) - MAX_LISTED_IDS} more" if len(missing) > MAX_LISTED_IDS else ""
    )


def fill_path_pattern(pattern: str, row: dict[str, str], sheet: ForeignSheet) -> str:
    """Fill a pattern with the cells of a row. Only column names and formats are read; nothing is evaluated."""
    # Not str.format: `{subject.__class__}` would reach into Python objects.
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
                    f"pattern {pattern!r}: no column {name!r}; use one of {list_examples(known, 20)}"
                )
            parts.append(format(known[name], form or ""))
    except ValueError as error:
        raise PolytaskError(
            f"pattern {pattern!r}: {error}; expected e.g. images/{{subject:0>3}}.nii.gz; correct it"
        ) from None
    return "".join(parts)


def list_file_columns(sheet: ForeignSheet) -> list[str]:
    """List the columns whose filled cells all end like an image file."""
    file_columns = []
    for column in sheet.columns:
        cells = [c for c in sheet.parse(column).cells if c]
        if cells and all((e := find_image_ending(c)) is not None and e != "/" for c in cells):
            file_columns.append(column)
    return file_columns
