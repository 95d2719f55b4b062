"""Check tasks that follow another: no cell is filled where the task does not apply."""

from __future__ import annotations

from collections.abc import Iterator

from polytask.cohort.cell_values import does_task_apply
from polytask.cohort.checks.evidence import Evidence
from polytask.cohort.cohort import Case
from polytask.cohort.header import list_task_columns
from polytask.errors import PolytaskError, Problem
from polytask.kinds.applicability import describe_condition
from polytask.kinds.task_spec import PooledSpec


def check_applicable_cells(evidence: Evidence) -> Iterator[Problem]:
    """Find filled cells of tasks at visits or subjects where they do not apply: one of the two cells must be wrong."""
    for name, task in evidence.header.tasks.items():
        if not isinstance(task, PooledSpec) or not task.applies_when:
            continue
        for case in evidence.cohort.cases:
            filled = next((c for c in list_task_columns(name, task) if c in case.cells), None)
            if filled is None or not _is_excluded(evidence, case, name):
                continue
            condition = describe_condition(task.applies_when)
            message = f"{filled} is {case.cells[filled]!r}, but {name!r} applies only where {condition}"
            remedy = "empty the cell, or correct the other answer; until then the cell is not used"
            yield evidence.make_problem(
                "error", "not-applicable", message, remedy, case.row, case.subject, filled
            )


def _is_excluded(evidence: Evidence, case: Case, task: str) -> bool:
    try:
        return does_task_apply(evidence.cohort, (case,), task) is False
    except PolytaskError:  # a cell that cannot be read is reported by the check of cells
        return False
