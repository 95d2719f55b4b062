"""Check that cells which belong to a subject say the same in all rows of the subject."""

from __future__ import annotations

from collections.abc import Iterator

from polytask.cohort.checks.evidence import Evidence
from polytask.cohort.header import EventTimeSpec, Task, list_task_columns
from polytask.errors import Problem
from polytask.kinds.class_words import read_class
from polytask.kinds.header_words import is_same_word


def check_subject_agreement(evidence: Evidence) -> Iterator[Problem]:
    """Find subject-level columns whose filled cells differ within a subject."""
    columns: list[str] = [
        column
        for table in evidence.header.tables.values()
        for column, spec in table.columns.items()
        if spec.level == "subject"
    ]
    columns += [name for name, slide in evidence.header.slides.items() if slide.level == "subject"]
    readers: dict[str, Task] = {}
    for name, task in evidence.header.tasks.items():
        if task.level == "subject" or (isinstance(task, EventTimeSpec) and task.counts_by_subject):
            columns += list_task_columns(name, task)
            readers |= dict.fromkeys(list_task_columns(name, task), task)
    for cases in evidence.cohort.subjects.values():
        for column in columns if len(cases) > 1 else []:
            task_of = readers.get(column)
            # Merged classes count as one word; an answer that the header reads as unknown says nothing.
            filled = [c for c in cases if column in c.cells and read_class(task_of, c.cells[column])]
            for case in filled[1:]:
                word, first = case.cells[column], filled[0].cells[column]
                if not is_same_word(read_class(task_of, word), read_class(task_of, first)):
                    message = f"{column} is {word!r}, but {first!r} in row {filled[0].row}"
                    remedy = "the column has level `subject`: make the rows agree, or write `level: visit`"
                    place = (case.row, case.subject, column)
                    yield evidence.make_problem("error", "disagreement", message, remedy, *place)
