"""Import one or several plain tables; identity, images, masks, tasks and inputs are stated or found by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from polytask.cohort.importers.attach_files import attach_files, note_rows_without_image
from polytask.cohort.importers.choose_columns import (
    ALL_OTHER_COLUMNS,
    expand_column_patterns,
    read_column_list,
)
from polytask.cohort.importers.cohort_draft import (
    CohortDraft,
    ImportedCohort,
    choose_cohort_folder,
    list_examples,
)
from polytask.cohort.importers.column_kinds import infer_target_kind
from polytask.cohort.importers.column_notes import ColumnNote
from polytask.cohort.importers.drawn_structures import propose_drawn_flags
from polytask.cohort.importers.file_options import parse_file_options
from polytask.cohort.importers.foreign_sheet import ForeignSheet
from polytask.cohort.importers.foreign_words import DEMOGRAPHIC_NAME, make_clean_name
from polytask.cohort.importers.import_options import parse_stated_tasks
from polytask.cohort.importers.imported_tasks import ImportedTasks
from polytask.cohort.importers.infer_tasks import (
    add_inferred_tasks,
    add_stated_tasks,
    leave_out_reserved,
    set_aside_non_targets,
)
from polytask.cohort.importers.join_sheets import join_sheets
from polytask.cohort.importers.lost_cells import report_lost_cells
from polytask.cohort.importers.read_sheet import read_sheet
from polytask.cohort.importers.survival_tasks import add_survival_pairs
from polytask.cohort.importers.target_table import (
    add_table_inputs,
    note_split,
    read_row_identity,
    share_test_split,
)
from polytask.cohort.importers.text_form import TextForm
from polytask.errors import PolytaskError
from polytask.kinds import find_answer_form

MAX_INFERRED_TASKS = 20
"""If more columns than this could be tasks, a person must say which of them are."""


def import_table(
    files: Sequence[str | Path],
    out: str | Path | None = None,
    *,
    images: Sequence[str] = (),
    contours: Sequence[str] = (),
    masks: Sequence[str] = (),
    doses: Sequence[str] = (),
    regions: Sequence[str] = (),
    known: Sequence[str] = (),
    labels: Sequence[str] = (),
    structures: Sequence[str] = (),
    units: Sequence[str] = (),
    dvh: Sequence[str] = (),
    tasks: Sequence[str] = (),
    inputs: Sequence[str] = (),
    input_files: Sequence[str | Path] = (),
    skip: Sequence[str] = (),
    unknown: Sequence[str] = (),
    accept_loss: Sequence[str] = (),
    columns: Mapping[str, str] | None = None,
    form: TextForm = TextForm(),
    name: str = "",
    overwrite: bool = False,
) -> ImportedCohort:
    """Write a cohort beside tables.

    Args:
        files: tables (CSV or TSV, also compressed as .gz, or Excel with the extra `xlsx`), joined by subject (and
            visit). Paths in them are relative to the folder of the first one.
        images: `INPUT.CHANNEL[:MODALITY]=COLUMN`, or a pattern like `images/{subject:0>3}.nii.gz` for the column.
        contours: `INPUT=COLUMN:NAME,NAME`: the planes of one 4-D file as channels of an image input.
        masks: `TASK=COLUMN` or pattern; `labels` (`TASK=NAME:VALUE,…`) or `structures` (`TASK=NAME,…`, a 4-D file) say
            what is in them, else the first masks are opened to find out.
        doses: `TASK=COLUMN` or pattern. `regions`: where a mask or dose counts, `TASK=COLUMN` or pattern.
        known: `TASK=COLUMN` with the names of drawn structures joined by `;`, or `TASK=has_*` with a flag for each.
        units: `TASK=UNIT` of a dose, survival or regression. `dvh`: `DOSE=MASK`, whose structures give the DVH.
        tasks: stated tasks; survival pairs are found in addition. Without any stated task, columns become tasks by
            what is in them.
        inputs: columns or patterns (`original_*`) of the table input; `*` = all columns that nothing else reads. The
            default is `*` without images, and age, sex and the like with images.
        input_files: further tables, joined by subject, all of whose columns are inputs; a `.txt` file lists columns,
            one per line.
        skip: columns or patterns to leave out.
        unknown: further words that mean an empty cell.
        accept_loss: tasks that may lose more than 5 % of their cells.
        columns: subject, visit, day, site, split → column.
        form: encoding, separator and decimal sign of the tables, where they cannot be found automatically.
    """
    paths = [Path(f) for f in files]
    if not paths:
        raise PolytaskError("import table: no file; expected one or more tables; name them")
    sheet, input_columns = _read_joined_tables(paths, input_files, dict(columns or {}), unknown, skip, form)
    wanted = [*inputs, *input_columns]
    chosen = expand_column_patterns(sheet.columns, wanted, sheet.path, "--input")
    skipped = expand_column_patterns(sheet.columns, skip, sheet.path, "--skip")
    stated = parse_file_options(
        {
            **{"image": images, "contours": contours, "mask": masks, "dose": doses, "region": regions},
            **{"known": known, "labels": labels, "structures": structures, "unit": units, "dvh": dvh},
        }
    )
    draft = CohortDraft(name or paths[0].name.partition(".")[0], visits=sheet.visits, notes=list(sheet.notes))
    draft.rows = [{"subject": row["subject"], **read_row_identity(row, sheet)} for row in sheet.rows]
    note_split(draft, sheet)
    imported = ImportedTasks(used={*skipped, *chosen}, units=stated.units, accepted=accept_loss)
    # From certain to guessed; each step marks its columns as used, so that no column becomes two things.
    attach_files(draft, sheet, paths[0].parent, imported, stated)
    note_rows_without_image(draft)
    stated_tasks = parse_stated_tasks(tasks)
    add_stated_tasks(sheet, stated_tasks, imported)
    add_survival_pairs(sheet, imported)
    propose_drawn_flags(sheet, draft.tasks, imported)
    leave_out_reserved(sheet, imported)
    every = ALL_OTHER_COLUMNS in inputs or (not wanted and not draft.inputs)
    if ALL_OTHER_COLUMNS not in inputs:
        set_aside_non_targets(sheet, sheet.columns, imported, inputs=not stated_tasks or every)
    unread = [c for c in sheet.columns if c not in imported.used]
    if every:
        free = {*unread, *imported.inputs}
        chosen, unread = [*chosen, *(c for c in sheet.columns if c in free)], []
        if not imported.tasks and not draft.tasks:
            raise PolytaskError(
                f"{paths[0]}: no target; expected one or more; state them with --task NAME=KIND[@COLUMN]"
                f"{_propose_task_option(sheet, chosen, imported)}"
            )
    else:
        chosen += imported.inputs
    if stated_tasks:
        if unread:
            imported.notes.append(_note_unasked_columns(unread))
    else:
        _refuse_many_targets(sheet, unread)
        add_inferred_tasks(sheet, unread, imported)
    draft.tasks |= imported.tasks
    draft.column_notes += imported.notes
    draft.notes += report_lost_cells(imported.losses, accept_loss, str(sheet.path))
    cells = imported.cells | add_table_inputs(draft, sheet, chosen)
    for index, row in enumerate(draft.rows):
        row.update((c, column[index]) for c, column in cells.items() if column[index])
    if not draft.inputs:
        raise PolytaskError(
            f"{paths[0]}: nothing for a model to read; expected images or columns; state them with --image or --input"
            f"{_show_left_out(draft)}"
        )
    share_test_split(draft)
    return draft.write(Path(out) if out is not None else choose_cohort_folder(paths[0]), overwrite)


def _read_joined_tables(
    paths: Sequence[Path],
    input_files: Sequence[str | Path],
    columns: dict[str, str],
    unknown: Sequence[str],
    skip: Sequence[str],
    form: TextForm,
) -> tuple[ForeignSheet, list[str]]:
    """Read all tables and join them. Returns (joined sheet, columns or patterns that the `input_files` add)."""
    lists = [Path(f) for f in input_files]
    tables = [p for p in lists if p.suffix.lower() != ".txt"]
    _require_existing_tables([*paths, *tables])
    partly = len(paths) + len(tables) > 1
    sheets = [read_sheet(p, columns, unknown, partly=partly, form=form) for p in [*paths, *tables]]
    sheet = join_sheets(sheets, skip)
    added = [c for s in sheets[len(paths) :] for c in s.columns]
    return sheet, added + [c for p in lists if p not in tables for c in read_column_list(p)]


def _require_existing_tables(paths: Sequence[Path]) -> None:
    """Raise once for all tables that do not exist, if there are several; a single one is reported when it is read."""
    missing = [path for path in paths if not path.with_name(path.name.partition("#")[0]).exists()]
    if len(missing) > 1:
        raise PolytaskError(
            f"{len(missing)} of {len(paths)} tables do not exist: {list_examples(missing, 3)}; expected files; correct "
            "the paths"
        )


def _propose_task_option(sheet: ForeignSheet, columns: Sequence[str], imported: ImportedTasks) -> str:
    """Propose a `--task` option: survival that was unclear, or an example from a column of words."""
    unclear = next((note.line for note in imported.notes if "=survival:" in note.line), "")
    if unclear:
        return f"; {unclear}"
    free = [c for c in columns if not DEMOGRAPHIC_NAME.match(c) and not sheet.parse(c).numeric] or columns
    kinds = ((c, infer_target_kind(sheet, c)[0]) for c in free)
    likely = next(((c, k) for c, k in kinds if k and find_answer_form(k) in ("class", "grade")), None)
    return f", e.g. --task '{make_clean_name(likely[0])}={likely[1]}@{likely[0]}'" if likely else ""


def _show_left_out(draft: CohortDraft) -> str:
    """List the first columns that were left out, as the end of a message."""
    lines = [note.line for note in draft.column_notes if note.became == "left out"]
    return f"; {'; '.join(lines[:3])}" if lines else ""


def _note_unasked_columns(columns: Sequence[str]) -> ColumnNote:
    """Make a note about the columns that nobody asked for when tasks were stated."""
    line = (
        f"{len(columns)} columns are left out: {list_examples(columns, 10)} "
        "(--input COLUMN or --input '*' reads them)"
    )
    return ColumnNote("left out", "not asked for", line, len(columns))


def _refuse_many_targets(sheet: ForeignSheet, columns: Sequence[str]) -> None:
    """Raise if there are too many columns to make a task of each."""
    if len(columns) > MAX_INFERRED_TASKS:
        raise PolytaskError(
            f"{sheet.path}: {len(columns)} columns could be targets ({list_examples(columns, 5)}); expected at most "
            f"{MAX_INFERRED_TASKS} unless "
            "you say which; state them with --task, --input (also 'original_*') or --skip"
        )
