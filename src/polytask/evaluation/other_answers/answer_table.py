"""Reads a table of answers from its file; rows are joined by subject and visit, never by position."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from polytask.cohort.cohort import Cohort
from polytask.cohort.header import Header
from polytask.cohort.text_table import TextRow, read_text_table
from polytask.errors import PolytaskError
from polytask.evaluation.other_answers.answer_columns import TaskAnswerColumns, assign_columns
from polytask.inference.pooled_answers import CaseId
from polytask.kinds.applicability import NOT_APPLICABLE
from polytask.kinds.class_words import read_class
from polytask.tasks.task import Task


@dataclass(frozen=True)
class AnswerTable:
    """A table of somebody else's answers.

    Args:
        name: the file's name without its ending.
        path: the file; paths in cells are relative to its folder.
        columns: task → its columns.
        rows: task → subject and visit (visit "" for a task about the subject) → the row that answers it.
        ignored: columns that are about no task.
    """

    name: str
    path: Path
    columns: dict[str, TaskAnswerColumns]
    rows: dict[str, dict[CaseId, TextRow]]
    ignored: tuple[str, ...]

    def where(self, row: TextRow) -> str:
        """Describe the place of a row for an error message."""
        visit = row.cells.get("visit", "")
        return f"{self.path}, row {row.line}, subject {row.cells['subject']}{f', visit {visit}' if visit else ''}"


def read_answer_table(path: Path | str, tasks: Mapping[str, Task], cohort: Cohort) -> AnswerTable:
    """Read a table with columns as in `predictions.csv`.

    Raises:
        PolytaskError: subjects or visits the cohort does not have, the same row twice, or columns that fit no task.
    """
    path = Path(path)
    table = read_text_table(path)
    if table.problems:
        first = table.problems[0]
        raise PolytaskError(f"{path}, row {first.row}: {first.message}; {first.remedy}")
    columns, ignored = assign_columns(path, table.columns, tasks, cohort.header)
    rows = _translate_class_words(table.rows, columns, cohort.header)
    answer_table = AnswerTable(path.stem, path, columns, {}, tuple(ignored))
    _refuse_unknown_rows(answer_table, rows, cohort)
    for name in columns:
        answer_table.rows[name] = _select_task_rows(answer_table, rows, tasks[name], cohort)
    if not any(answer_table.rows.values()):
        raise PolytaskError(f"{path}: every answer is empty; expected at least one filled cell; fill them")
    return answer_table


def _translate_class_words(
    rows: tuple[TextRow, ...], columns: Mapping[str, TaskAnswerColumns], header: Header
) -> tuple[TextRow, ...]:
    """Return the rows with classes as the header reads them: its `merge` and `unknown` hold for other people's words
    too. Where a task is not applicable, nothing is answered."""
    answered = [c.answer for c in columns.values() if c.answer]
    read = {c.answer: header.tasks[name] for name, c in columns.items() if c.answer and name in header.tasks}
    merged = []
    for row in rows:
        cells = {
            c: "" if row.cells[c] == NOT_APPLICABLE else row.cells[c] for c in answered if c in row.cells
        }
        changed = {c: read_class(read.get(c), cell) for c, cell in cells.items()}
        merged.append(TextRow(row.line, {**row.cells, **changed}))
    return tuple(merged)


def _refuse_unknown_rows(table: AnswerTable, rows: tuple[TextRow, ...], cohort: Cohort) -> None:
    strangers = list(
        dict.fromkeys(r.cells["subject"] for r in rows if r.cells["subject"] not in cohort.subjects)
    )
    if strangers:
        more = f" (and {len(strangers) - 1} more)" if len(strangers) > 1 else ""
        raise PolytaskError(
            f"{table.path}: subject {strangers[0]!r}{more} is not in {cohort.table}; expected the cohort's own ids, "
            "letter by letter; correct the id or take the row out"
        )
    row_by_id: dict[CaseId, TextRow] = {}
    for row in rows:
        who = (row.cells["subject"], row.cells.get("visit", ""))
        if who in row_by_id:
            raise PolytaskError(
                f"{table.where(row)}: stands already in row {row_by_id[who].line}; expected one row for each "
                "subject and visit; take one out"
            )
        row_by_id[who] = row
        visits = {c.visit for c in cohort.subjects[who[0]]}
        if who[1] and who[1] not in visits:
            raise PolytaskError(
                f"{table.where(row)}: the cohort has no such visit of this subject (it has "
                f"{', '.join(sorted(v for v in visits if v)) or 'none with a name'}); correct the visit"
            )


def _select_task_rows(
    table: AnswerTable, rows: tuple[TextRow, ...], task: Task, cohort: Cohort
) -> dict[CaseId, TextRow]:
    """Select the row that answers each id: a subject task on any row of the subject, others on the row of the visit."""
    columns = table.columns[task.name].all
    row_by_id: dict[CaseId, TextRow] = {}
    for row in rows:
        cells = [row.cells[c] for c in columns]
        if not any(cells):
            continue
        subject, visit = row.cells["subject"], row.cells.get("visit", "")
        if task.level == "subject":
            # A table by visits repeats an answer about the subject: the same answer twice is fine, two different ones
            # are not.
            other = row_by_id.setdefault((subject, ""), row)
            if [other.cells[c] for c in columns] != cells:
                raise PolytaskError(
                    f"{table.where(row)}: answers {task.name} differently from row {other.line}; expected one answer "
                    "about the subject; empty one of them"
                )
            continue
        if not visit:
            visits = [c.visit for c in cohort.subjects[subject]]
            if len(visits) > 1:
                raise PolytaskError(
                    f"{table.where(row)}: {task.name} is answered per visit, and the subject has {len(visits)}; fill "
                    "the column 'visit'"
                )
            visit = visits[0]
        if (subject, visit) in row_by_id:
            raise PolytaskError(
                f"{table.where(row)}: answers {task.name} as row {row_by_id[subject, visit].line} does; expected "
                "one row for each subject and visit; take one out"
            )
        row_by_id[subject, visit] = row
    return row_by_id
