"""One or several plain tables: identity, images, masks, tasks and inputs found by name or stated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from polytask.cohort.importers.attach import Stated, attach_files
from polytask.cohort.importers.draft import Draft, Imported, beside, examples
from polytask.cohort.importers.found import Found
from polytask.cohort.importers.infer import inferred_tasks, stated_tasks
from polytask.cohort.importers.options import parse_tasks
from polytask.cohort.importers.sheet import join, read_sheet
from polytask.cohort.importers.survival import survival_pairs
from polytask.cohort.importers.targets import add_inputs, check_columns, identity, share_split
from polytask.errors import PolytaskError

MOST = 20
"""More columns than this are not all made tasks: a person must say which."""
REST = "*"
"""As `inputs`: every column that nothing else reads."""


def import_table(
    files: Sequence[str | Path],
    out: str | Path | None = None,
    *,
    images: Sequence[str] = (),
    masks: Sequence[str] = (),
    doses: Sequence[str] = (),
    regions: Sequence[str] = (),
    labels: Sequence[str] = (),
    structures: Sequence[str] = (),
    tasks: Sequence[str] = (),
    inputs: Sequence[str] = (),
    skip: Sequence[str] = (),
    unknown: Sequence[str] = (),
    columns: Mapping[str, str] | None = None,
    name: str = "",
    overwrite: bool = False,
) -> Imported:
    """Write a cohort beside tables.

    Args:
        files: tables, joined by subject (and visit). Paths in them are relative to the first one's folder.
        images: `INPUT.CHANNEL[:MODALITY]=COLUMN`, or a pattern like `images/{subject:0>3}.nii.gz` for the column.
        masks: `TASK=COLUMN` or pattern; `labels` (`TASK=NAME:VALUE,…`) or `structures` (`TASK=NAME,…`, a 4-D file) say
            what is in them, else the files are looked into.
        doses: `TASK=COLUMN` or pattern. `regions`: where a mask or dose counts, `TASK=COLUMN` or pattern.
        tasks: stated tasks; survival pairs are found as well. Without any, columns become tasks by what is in them.
        inputs: columns of the table input, `*` = all that nothing else reads. Without images that is the default.
        skip: columns to leave out.
        unknown: more words that mean an empty cell.
        columns: subject, visit, day, site, split → column.
    """
    paths = [Path(f) for f in files]
    if not paths:
        raise PolytaskError("import table: no file; expected one or more tables; name them")
    sheet = join([read_sheet(p, _stated(p, columns or {}, len(paths)), unknown) for p in paths])
    draft = Draft(name or paths[0].stem, visits=sheet.visits, notes=list(sheet.notes))
    draft.rows = [{"subject": row["subject"], **identity(row, sheet)} for row in sheet.rows]
    check_columns(sheet, [c for c in (*inputs, *skip) if c != REST])
    found = Found(used={*skip, *inputs} - {REST})
    stated = Stated.parse(images, masks, doses, regions, labels, structures)
    attach_files(draft, sheet, paths[0].parent, found, stated)
    asked = parse_tasks(tasks)
    stated_tasks(sheet, asked, found)
    survival_pairs(sheet, found)
    rest = [c for c in sheet.columns if c not in found.used]
    wanted = [c for c in inputs if c != REST]
    if REST in inputs or (not inputs and not draft.inputs):
        wanted, rest = [*wanted, *rest], []
        if not found.tasks and not draft.tasks:
            raise PolytaskError(
                f"{paths[0]}: no target; expected one or more; state them with --task NAME=KIND[@COLUMN]"
            )
    if not asked and len(rest) > MOST:
        raise PolytaskError(
            f"{paths[0]}: {len(rest)} columns could be targets; expected at most {MOST} unless you say which; "
            "state them with --task, --input or --skip"
        )
    if asked and rest:
        draft.notes.append(
            f"{len(rest)} columns are left out: {examples(rest, 10)} (--input COLUMN or --input '*' reads them)"
        )
    else:
        inferred_tasks(sheet, rest, found)
    draft.tasks |= found.tasks
    draft.notes += found.notes
    add_inputs(draft, sheet, wanted)
    kept = [c for table in draft.inputs.values() if table.kind == "table" for c in table.columns]
    cells = found.cells | {c: sheet.cells(c) for c in kept}
    for index, row in enumerate(draft.rows):
        row |= {c: column[index] for c, column in cells.items()}
    share_split(draft)
    return draft.write(Path(out) if out is not None else beside(paths[0]), overwrite)


def _stated(path: Path, columns: Mapping[str, str], files: int) -> dict[str, str]:
    """Stated identity columns; of several tables, a column counts for those that have it."""
    if files == 1:
        return dict(columns)
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        first = file.readline()
    return {what: column for what, column in columns.items() if column in first}
