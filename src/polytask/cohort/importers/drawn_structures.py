"""Read which structures of a mask are drawn: from a column of names, or from flags such as `has_Larynx` (1 = drawn)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase

from polytask.cohort.header import MaskSpec, Task
from polytask.cohort.importers.cohort_draft import DraftCells
from polytask.cohort.importers.flag_columns import group_flag_columns, parse_flag_word, strip_flag_prefix
from polytask.cohort.importers.foreign_sheet import ForeignSheet
from polytask.cohort.importers.import_options import FileSource
from polytask.cohort.importers.imported_tasks import ImportedTasks
from polytask.errors import PolytaskError, suggest_word

MIN_FLAGGED_SHARE = 0.5
"""Flags are about a mask if they cover at least this share of its structures."""


def read_drawn_structures(
    sheet: ForeignSheet, source: FileSource, task: MaskSpec, imported: ImportedTasks
) -> list[str | None]:
    """Read the drawn structures of a mask for each row of the sheet.

    Args:
        source: a column of names, or a pattern (`has_*`) of one flag for each structure.
        imported: the flags are added to its used columns.

    Returns:
        per row, the names of the drawn structures joined by `;`; "" = the table says nothing, None = none is drawn.

    Raises:
        PolytaskError: a name is not a structure, or a structure has no flag.
    """
    if "*" not in source.source:
        if source.source not in sheet.columns:
            raise PolytaskError(
                f"{sheet.path}: no column {source.source!r} for --known {source.name}; "
                f"{suggest_word(source.source, list(sheet.columns)[:200])}"
            )
        cells = sheet.cells(source.source)
        for cell in dict.fromkeys(cells):
            for name in filter(None, (part.strip() for part in cell.split(";"))):
                if name not in task.names:
                    raise PolytaskError(
                        f"{sheet.path}, column {source.source}: {name!r} is not a structure of {source.name!r}; "
                        f"{suggest_word(name, task.names)}"
                    )
        return list(cells)
    flags: dict[str, str] = {}
    for name in task.names:
        column = source.source.replace("*", name)
        near = [c for c in sheet.columns if fnmatchcase(c.lower(), column.lower())]
        if not near:
            raise PolytaskError(
                f"{sheet.path}: no column {column!r} for structure {name!r} of --known {source.name}={source.source}; "
                "expected a flag for each structure; name the structures like the columns"
            )
        flags[name] = near[0]
    imported.used |= set(flags.values())
    return [
        ";".join(name for name, column in flags.items() if parse_flag_word(row.get(column, "")) == "1")
        or None
        for row in sheet.rows
    ]


def write_drawn_structures(rows: Iterable[DraftCells], name: str, cells: Iterable[str | None]) -> None:
    """Write the drawn structures of a mask into the rows, as `read_drawn_structures` returns them.

    A mask of which nothing is drawn is removed from its row. If the table says nothing, the whole mask counts.
    """
    for row, cell in zip(rows, cells, strict=True):
        if cell is None:
            row.pop(name, None)
        elif cell and name in row:
            row[f"{name}_known"] = cell


def propose_drawn_flags(sheet: ForeignSheet, tasks: Mapping[str, Task], imported: ImportedTasks) -> None:
    """Leave out flags that are named after a mask's structures, with a note on how to use them.

    Such a flag (`has_Larynx` = 0) mostly means that nobody drew the structure. It is not a task for a model.
    """
    for name, task in tasks.items():
        structures = (
            {s.lower() for s in task.names} if isinstance(task, MaskSpec) and task.structures else set()
        )
        free = [c for c in sheet.columns if c not in imported.used]
        for start, flags in group_flag_columns(sheet, free, least=1).items():
            about = [c for c in flags if strip_flag_prefix(c).lower() in structures]
            if structures and len(about) >= MIN_FLAGGED_SHARE * len(structures):
                pattern = flags[0][: len(flags[0]) - len(strip_flag_prefix(flags[0]))] + "*"
                imported.leave_out(
                    about,
                    f"flags of the structures of {name!r}; if 0 means not drawn (unknown), add "
                    f"--known '{name}={pattern}'",
                    f"{start} flags of structures",
                )
